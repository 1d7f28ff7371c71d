"""Fixtures that tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary

if TYPE_CHECKING:
    from bodyreg import Body

__all__ = ["pytest_addoption", "pytest_sessionfinish", "pytest_terminal_summary"]

# Before torch is imported: pytest's workers share the cores, and so do the processes they start.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))


@pytest.fixture(scope="session")
def body() -> Body:
    """The built-in body."""
    from bodyreg import Body

    return Body.default()


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of torch's threads until the test ends."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The folder of `bodyreg demo` with seven people; tests only read it."""
    from bodyreg.cli import main

    out = tmp_path_factory.mktemp("demo") / "demo"
    assert main(["demo", "--out", str(out), "--people", "7", "--iterations", "80", "--quiet"]) == 0
    return out
