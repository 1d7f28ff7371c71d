"""Rung 4: every kernel under the address, undefined-behaviour and thread sanitizers.

Reference: the CPU op (itself held against the plain PyTorch reference elsewhere), in a process
without Python or torch.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.native import build

HERE = Path(__file__).parent
OPS = [
    "kinematics",
    "lbs",
    "projection",
    "correspondence",
    "fit",
    "raster",
    "flow",
    "warp",
    "pool_flow",
]
# name: emulator engine, optimisation of the kernels, flags. With the address sanitizer's checks,
# -O1 takes six times as long to compile as -O0, and the program is no faster.
SANITIZERS = {
    "address": ("fibers", "-O0", build.ADDRESS),
    "thread": ("threads", "-O1", build.THREAD),
}


def drive(op: str, sanitizer: str) -> Path:
    engine, optimisation, flags = SANITIZERS[sanitizer]
    kernels = [s for s in build.cuda_sources() if s.parent.name == op]
    units = [build.Unit(source, (optimisation, "-x", "c++", *flags)) for source in kernels]
    # The reference and the driver are built without the sanitizer: that is quicker.
    units.append(build.Unit(HERE / f"drive_{op}.cpp", ("-O1",)))
    units.append(build.Unit(build.CSRC / op / f"{op}_cpu.cpp", ("-O1", "-Wno-psabi")))
    return build.build_program([*units, *build.engine(engine, ["-O1", *flags])], flags)


def test_every_kernel_file_is_driven():
    assert {source.parent.name for source in build.cuda_sources()} == set(OPS)


@pytest.mark.rung4
@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("op", OPS)
def test_kernels(op, sanitizer):
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "TSAN_OPTIONS": "halt_on_error=1",
    }
    program = drive(op, sanitizer)
    done = subprocess.run([program], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-6000:]
