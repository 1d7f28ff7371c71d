"""Rung 1: exp, log and log1p of vectors. Reference: libm, in long double."""

import subprocess
from pathlib import Path

import pytest

from bodyreg.ops import _library
from tests.native import build

FLAGS = {
    "baseline": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma"),
}


@pytest.mark.rung1
@pytest.mark.parametrize("isa", FLAGS)
def test_within_two_units_in_the_last_place(isa):
    if isa not in _library._C.build_info()["isa"]:
        pytest.skip(f"no {isa} on this machine")
    flags = ("-O2", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
    unit = build.Unit(
        Path(__file__).with_name("check_simd_math.cpp"),
        (*flags, "-Wno-unused-function", f"-DBODYREG_ISA={isa}", *FLAGS[isa]),
    )
    done = subprocess.run([build.build_program([unit])], capture_output=True, text=True, check=True)
    errors = {}
    for line in done.stdout.splitlines():
        kind, function, error = line.split()
        errors[kind, function] = max(errors.get((kind, function), 0), float(error))
    assert len(errors) == 6
    assert max(errors.values()) < 2, errors
