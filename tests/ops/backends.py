"""Where the ops run in a test: the CPU ops, the CUDA sources on the emulator, or a GPU.

A test that takes the fixture `backend` (conftest.py) runs once on each; the public functions of
bodyreg.ops are routed to it meanwhile.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch

from bodyreg.ops import _library


@dataclass(frozen=True)
class Backend:
    name: str
    namespace: str  # of torch.ops
    device: str

    @property
    def library(self):
        return getattr(torch.ops, self.namespace)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes bodyreg.ops run here; skips the test, with a reason, where that cannot be."""
        if self.name == "cuda" and not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        if self.name == "emulated":
            _load_emulated()
        with _library.routed_to(self.namespace):
            yield


@functools.cache
def _load_emulated() -> None:
    from tests.native import build

    if shutil.which(build.CXX) is None:
        pytest.skip(f"no {build.CXX} to compile the emulator with")
    build.load_emulated()
    _library.register_all(EMULATED.namespace)


CPU = Backend("cpu", "bodyreg", "cpu")
EMULATED = Backend("emulated", "bodyreg_emulated", "cpu")
CUDA = Backend("cuda", "bodyreg", "cuda")

PARAMETERS = [
    pytest.param(CPU, id="cpu", marks=pytest.mark.rung2),
    pytest.param(EMULATED, id="emulated", marks=pytest.mark.rung3),
    pytest.param(CUDA, id="cuda", marks=pytest.mark.rung7),
]
