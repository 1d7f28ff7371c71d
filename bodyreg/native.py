"""The native library. Loading it defines the ops of `torch.ops.bodyreg`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from bodyreg.errors import InstallationError

HOME = Path(__file__).parent
BUILD = "`pip install -e . --no-build-isolation` in the folder above"


@cache
def load() -> ModuleType:
    """The native library of this copy of bodyreg.

    Raises:
        InstallationError: it is not built, does not fit this Python and torch, or is of another
            copy.
    """
    try:
        from bodyreg import _C
    except ImportError as error:
        if any(HOME.glob("_C.*.so")):
            raise InstallationError(
                f"{HOME}: the native library does not fit this Python and this torch ({error}); "
                f"build it again: {BUILD}"
            ) from error
        raise InstallationError(
            f"{HOME}: this copy of bodyreg has no native library; build it: {BUILD}; or start in "
            "another folder, where the installed copy is found"
        ) from None
    found = Path(_C.__file__).parent
    if not found.samefile(HOME):
        raise InstallationError(
            f"{HOME}: this copy of bodyreg has no native library, and the one in {found} is of "
            f"another copy; build it: {BUILD}; or start in another folder"
        )
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)
    return _C


def _use_one_thread() -> None:
    """Let a forked process compute alone.

    A fork has one thread, but OpenMP still counts on the threads that its parent had. The first
    operation that is shared between threads, one of torch or of bodyreg, would wait for them for
    ever.
    """
    torch.set_num_threads(1)
