"""The run for a machine with a GPU: its plan, and the record of a step that fails or hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.device import Step, steps

ROOT = Path(__file__).resolve().parents[2]


def device(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.device", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_dry_run_prints_every_step_and_runs_none():
    done = device("--dry-run")
    assert done.returncode == 0, done.stderr
    for step in steps("90", Path("build")):
        assert f"{step.name}, at most {step.seconds:g} s" in done.stdout
    assert "BODYREG_CUDA=1 BODYREG_CUDA_ARCHS=90" in done.stdout
    assert "together at most 600 s" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_in_a_line(tmp_path):
    done = device("--results", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "benchmarks.device: no CUDA device here; --dry-run prints what would be done"
    ]
    assert list(tmp_path.iterdir()) == []


def test_every_file_that_a_step_names_is_there():
    named = [part for step in steps("90", Path("build")) for part in step.command]
    files = [part for part in named if part.startswith(("benchmarks", "tests/", "setup.py"))]
    assert files
    assert all((ROOT / file).exists() for file in files)


def test_outcomes():
    passes = Step("passes", [sys.executable, "-c", "print('done')"], 30)
    passes.run(left=30)
    assert (passes.outcome, passes.tail) == ("passed", "done\n")
    fails = Step("fails", [sys.executable, "-c", "import sys; sys.exit('why')"], 30)
    fails.run(left=30)
    assert (fails.outcome, fails.tail) == ("failed, status 1", "why\n")
    late = Step("late", [sys.executable, "-c", "print('never')"], 30)
    late.run(left=-1)
    assert late.outcome == "no time left"


def test_a_step_that_hangs_is_stopped_with_all_that_it_started():
    program = (
        "import subprocess as s; p = s.Popen(['sleep', '100']); print(p.pid, flush=True); p.wait()"
    )
    hangs = Step("hangs", [sys.executable, "-c", program], 1)
    hangs.run(left=100)
    assert hangs.outcome == "stopped after 1 s"
    assert wait_for(lambda: gone(int(hangs.tail)))


def gone(process: int) -> bool:
    """Whether a process has ended; it may still be a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition: Callable[[], bool]) -> bool:
    """A signal takes a moment."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False
