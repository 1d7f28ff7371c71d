"""What tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.skips import pytest_addoption, pytest_sessionfinish

__all__ = ["pytest_addoption", "pytest_sessionfinish"]

# Before torch is imported: pytest's workers share the cores, and so do the processes they start.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The folder of `bodyreg demo` with seven people; tests only read it."""
    from bodyreg.cli import main

    out = tmp_path_factory.mktemp("demo") / "demo"
    assert main(["demo", "--out", str(out), "--people", "7", "--iterations", "80", "--quiet"]) == 0
    return out
