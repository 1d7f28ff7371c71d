"""The native library. Loading it defines the ops of `torch.ops.bodyreg`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import torch  # noqa: F401 - loads the libraries that the native library needs

from bodyreg.errors import InstallationError

HOME = Path(__file__).parent
BUILD = "`pip install -e . --no-build-isolation` in the folder above"


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
    return _C
