from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.ops.backends import CPU, CUDA, PARAMETERS, Backend


@pytest.fixture(params=PARAMETERS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Where the ops run in this test."""
    with request.param.active():
        yield request.param


@pytest.fixture(params=[CPU, pytest.param(CUDA, marks=pytest.mark.rung7)], ids=["cpu", "cuda"])
def built_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Where the ops run in this test, without the emulator."""
    with request.param.active():
        yield request.param


@pytest.fixture
def use_isa() -> Iterator[Callable[[str], None]]:
    """Makes the CPU ops use an instruction set until the test ends; skips where there is none."""
    from bodyreg import _C

    known = _C.build_info()["isa"]

    def use(isa: str) -> None:
        if isa not in known:
            pytest.skip(f"no {isa} on this machine")
        _C.set_isa(isa)

    yield use
    _C.set_isa(known[-1])
