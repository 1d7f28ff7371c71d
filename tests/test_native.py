"""A copy of bodyreg that cannot run says what is wrong: in one line, with exit status 2."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bodyreg import native

COMMANDS = ("info", "synthesize --people 1 --out x", "register --densepose-coco x --out y")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The sources of bodyreg, without the native library."""
    ignored = shutil.ignore_patterns("_C*", "__pycache__")
    shutil.copytree(native.HOME, tmp_path / "checkout" / "bodyreg", ignore=ignored)
    return tmp_path / "checkout"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    # Without the folder of the installed copy: what a plain `pip install` has put elsewhere.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def assert_one_line(result: subprocess.CompletedProcess, expected: str) -> None:
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("bodyreg: error: ")
    assert expected in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_a_checkout_that_is_not_built(checkout, command):
    result = run(checkout, "-m", "bodyreg", *command.split())
    assert_one_line(result, f"{checkout}/bodyreg: this copy of bodyreg has no native library")
    assert "pip install -e ." in result.stderr
    assert os.listdir(checkout) == ["bodyreg"]


@pytest.mark.parametrize("statement", ["import bodyreg.ops", "import bodyreg; bodyreg.register"])
def test_imports_from_a_checkout_that_is_not_built(checkout, statement):
    result = run(checkout, "-c", statement)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("bodyreg.errors.InstallationError: ")
    assert "this copy of bodyreg has no native library" in last


def test_a_library_that_does_not_fit(checkout):
    (checkout / "bodyreg" / Path(native.load().__file__).name).write_bytes(b"of another machine")
    assert_one_line(run(checkout, "-m", "bodyreg", "info"), "the native library does not fit")


def test_a_copy_that_is_not_installed(checkout):
    # -S: no installed package is found.
    for arguments in (["--version"], ["-h"]):
        result = run(checkout, "-S", "-m", "bodyreg", *arguments)
        if arguments == ["-h"]:  # needs nothing
            assert result.returncode == 0
        else:
            assert_one_line(result, "bodyreg is not installed; run `pip install -e .")


def test_an_error_of_installation_is_an_import_error():
    with pytest.raises(ImportError):
        raise native.InstallationError
