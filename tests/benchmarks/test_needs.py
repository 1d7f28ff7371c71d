"""What benchmarks and ops need: a machine with a GPU may have torch and NumPy and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys

for other in ("cv2", "pycocotools", "scipy", "smplx", "tqdm", "trimesh", "tyro"):
    sys.modules[other] = None  # an import of it fails

from benchmarks import bench_fit, registrations
from bodyreg import RegistrationConfig

config = RegistrationConfig.preset("paper", iterations=2)
arguments = registrations.problem(registrations.people(3), config, "cpu")
parameters, _ = bench_fit.peers.fit(*arguments)
assert parameters.shape == (3, 108)
"""


def test_registrations_are_made_and_solved_with_torch_and_numpy_alone():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
