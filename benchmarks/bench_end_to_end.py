"""`bodyreg register` from file to file: the time that a user waits, including imports.

Real poses are read from the file named by BODYREG_MPII_POSES, (N, 34) pixels (.npy); without it
those rows are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import registrations as made
from benchmarks.ceilings import ceilings, machine

POSES = "BODYREG_MPII_POSES"
PEOPLE = 39_210
"""Number of people in the training set of DensePose-COCO."""
PRESETS = ["accurate", "paper"]


@pytest.fixture(scope="module")
def crowd_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crowd") / "people.npz"
    made.people(PEOPLE).save(path)
    return path


@pytest.mark.parametrize("preset", PRESETS)
def bench_register_mpii(preset, benchmark, device, tmp_path):
    if not os.environ.get(POSES):
        pytest.skip(f"{POSES} names no file of poses")
    source = ["--mpii", os.environ[POSES]]
    _register(benchmark, device, "MPII's poses, keypoints alone", source, preset, tmp_path)


@pytest.mark.parametrize("preset", PRESETS)
def bench_register_crowd(preset, benchmark, device, tmp_path, crowd_file):
    source = ["--observations", str(crowd_file)]
    _register(benchmark, device, "made people, 120 points", source, preset, tmp_path)


def _register(
    benchmark, device: str, what: str, source: list[str], preset: str, folder: Path
) -> None:
    """Run the command in a new process; disk access and imports count."""
    out = folder / "out"
    command = [sys.executable, "-m", "bodyreg", "register", *source, "--out", str(out)]
    command += ["--preset", preset, "--device", device, "--quiet"]
    benchmark.group = f"bodyreg register, file to file [{device}]"
    benchmark.pedantic(lambda: subprocess.run(command, check=True), rounds=1)
    record = json.loads((out / "run.json").read_text())
    benchmark.extra_info.update(
        row=f"{record['people']:,} of {what}, {preset}",
        device=device,
        machine=machine(device),
        against=[],
        calls=1,
        people=record["people"],
        flops=0,
        result=("solving alone", f"{record['seconds']:.3g} s"),
        **ceilings(device),
    )
