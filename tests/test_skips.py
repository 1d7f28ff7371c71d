"""--forbid-skips: what may be skipped in continuous integration, and what may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def outcome(folder: Path, text: str, *flags: str) -> tuple[int, str]:
    """The status of pytest on one file, and what it prints."""
    (folder / "test_some.py").write_text(f"import pytest\n\n{text}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(folder), *flags, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


MISSING = "def test_one():\n    pytest.skip('no browser')\n\n\ndef test_two():\n    pass"


def test_a_missing_program_is_a_failure(tmp_path):
    status, printed = outcome(tmp_path, MISSING, "--forbid-skips")
    assert status == 1
    assert "FORBIDDEN SKIP test_some.py::test_one: no browser" in printed


def test_without_the_option_it_is_a_skip(tmp_path):
    status, printed = outcome(tmp_path, MISSING)
    assert status == 0
    assert "FORBIDDEN" not in printed and "1 passed, 1 skipped" in printed


@pytest.mark.parametrize("flags", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_every_reason_is_a_line(tmp_path, flags):
    text = "@pytest.mark.parametrize('n', range(3))\ndef test_some(n):\n    "
    text += "pytest.skip('no browser' if n else 'no net')\n\n\n"
    text += "@pytest.mark.xfail\ndef test_one():\n    assert False"
    status, printed = outcome(tmp_path, text, *flags)
    assert status == 0
    lines = [line for line in printed.splitlines() if line.startswith("skipped ")]
    assert lines == ["skipped 2: no browser", "skipped 1: no net"]


def test_a_missing_library_of_a_whole_file_is_a_failure(tmp_path):
    text = "pytest.importorskip('no_such_module_at_all', reason='no such module')"
    status, printed = outcome(tmp_path, text, "--forbid-skips")
    assert status == 1
    assert "no such module" in printed


@pytest.mark.parametrize("reason", ["no CUDA device", "no avx512 on this machine"])
def test_a_missing_device_is_a_skip(tmp_path, reason):
    text = f"@pytest.mark.skipif(True, reason='{reason}')\ndef test_one():\n    pass"
    text += "\n\n\ndef test_two():\n    pass"
    assert outcome(tmp_path, text, "--forbid-skips")[0] == 0


def test_an_expected_failure_is_no_skip(tmp_path):
    text = "@pytest.mark.xfail\ndef test_one():\n    assert False"
    assert outcome(tmp_path, text, "--forbid-skips")[0] == 0
