"""Dependencies of benchmarks and ops: a machine with a GPU may have only torch and NumPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ABSENT = """
import sys

for absent in {absent}:
    sys.modules[absent] = None  # an import of it fails
"""
SOLVE = """
from benchmarks import bench_fit, registrations
from bodyreg import RegistrationConfig
from bodyreg.body import AXIS_ANGLE

config = RegistrationConfig.preset("paper", iterations=2)
arguments = registrations.problem(registrations.people(3), config, "cpu")
parameters, _ = bench_fit.peers.fit(*arguments)
assert parameters.shape == (3, AXIS_ANGLE.count)
"""
COLLECT = """
import pytest

flags = ["-q", "-p", "no:cacheprovider", "--collect-only"]
sys.exit(pytest.main([*flags, "benchmarks", "tests/ops", "tests/device"]))
"""
OURS_ALONE = ("pycocotools", "roma", "smplx", "trimesh", "tyro")
"""What a machine of many uses hardly has."""


def run(absent: tuple[str, ...], program: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", ABSENT.format(absent=absent) + program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_registrations_are_made_and_solved_with_torch_and_numpy_alone():
    done = run((*OURS_ALONE, "cv2", "scipy", "tqdm"), SOLVE)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_a_gpu_runs_can_be_collected_without_packages_of_ours():
    done = run(OURS_ALONE, COLLECT)
    assert done.returncode == 0, done.stdout[-2000:]
