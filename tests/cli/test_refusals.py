"""Errors of the operating system: one line, exit status 2, and nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bodyreg.cli import info


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bodyreg", *arguments], stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("--help",), ("info",), ("register", "--help")])
def test_a_standard_output_that_is_full(arguments):
    with open("/dev/full", "w") as full:
        result = run(*arguments, stdout=full)
    assert result.returncode == 2
    assert result.stderr == (
        "bodyreg: error: standard output: cannot be used (No space left on device); free some "
        "space, or choose another disk\n"
    )


def test_a_standard_output_without_a_reader():
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        result = run("info", stdout=pipe)
    assert (result.returncode, result.stderr) == (128 + 13, "")


def test_a_current_folder_that_is_gone(tmp_path):
    code = f"import os, sys; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); "
    code += "from bodyreg.cli import main; sys.exit(main(['info']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "bodyreg: error: the current folder: cannot be read (No such file or directory); check "
        "the path\n"
    )


def raising(error):
    def run(options, command):
        raise error

    return run


@pytest.mark.parametrize("error", [PermissionError(13, "no", "/x"), OSError(24, "many", "/x")])
def test_what_the_machine_refuses_anywhere_is_one_line(bodyreg, monkeypatch, error):
    monkeypatch.setattr(info, "run", raising(error))
    result = bodyreg("info")
    assert result.out == ""
    assert f"bodyreg: error: /x: cannot be used ({error.strerror}); " in result.refusal


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "no", "/x"),
        FileExistsError(17, "no", "/x"),
        OSError("ours"),
        KeyError(),
    ],
)
def test_errors_of_ours_are_loud(bodyreg, monkeypatch, error):
    monkeypatch.setattr(info, "run", raising(error))
    with pytest.raises(type(error)):
        bodyreg("info")
