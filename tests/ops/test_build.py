"""The native library and its build. Reference: what setup.py's docstring promises."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bodyreg import _C, __version__

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.rung2


def test_build_info():
    info = _C.build_info()
    assert info["version"] == __version__
    assert info["torch_target"] == "2.11"
    assert info["isa"][0] == "baseline"
    assert (info["nvcc"] is None) == (info["cuda_archs"] == [])


def test_one_symbol_is_exported():
    if shutil.which("nm") is None:
        pytest.skip("no nm")
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", _C.__file__], check=True, text=True, capture_output=True
    )
    assert [line.split()[-1] for line in listing.stdout.splitlines()] == ["PyInit__C"]


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="isa: expected baseline, avx2 or avx512, got sse9"):
        _C.set_isa("sse9")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"BODYREG_CUDA": "1", "PATH": ""}, "BODYREG_CUDA=1, but there is no nvcc"),
        ({"BODYREG_CUDA": "yes"}, "BODYREG_CUDA: expected auto, 0 or 1, got yes"),
        ({"BODYREG_CUDA": "1", "CUDA_HOME": "cuda", "BODYREG_CUDA_ARCHS": "ninety"}, "ARCHS: exp"),
    ],
)
def test_wrong_build_settings_are_one_clear_line(variables, message, tmp_path):
    pytest.importorskip("setuptools")
    if not (ROOT / "setup.py").exists():
        pytest.skip("installed without its sources")
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho release 13.0, V13\n")
    nvcc.chmod(0o755)
    variables = {k: v.replace("cuda", str(tmp_path / "cuda")) for k, v in variables.items()}
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_HOME"}
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path)],
        cwd=ROOT,
        env={**environment, **variables},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 1
    assert message in done.stderr.strip().splitlines()[-1]
