"""Errors of the operating system: one line, exit status 2, and nothing half-written."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bodyreg.cli import info
from bodyreg.data import Observations
from tests.refusals import file_limit, no_entry

from .conftest import made_observations

# Streams are buffered, as for most users: then a full disk shows when they are flushed.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bodyreg", *arguments],
        env=BUFFERED,
        text=True,
        **({"stderr": subprocess.PIPE} | options),
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


QUICK = ("--iterations", 3, "--starts", 1, "--quiet")


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def people(tmp_path, body_file, observations_file) -> tuple:
    """Options of register for three people, each in a picture of its own."""
    observations = Observations.load(observations_file)
    observations.picture = np.array(["a.png", "b.png", "c.png"])
    observations.save(observations_file)
    return ("--observations", observations_file, "--body", body_file, *QUICK)


@pytest.fixture
def finished(bodyreg, tmp_path, people) -> Path:
    assert bodyreg("register", *people, "--out", tmp_path / "run").status == 0
    return tmp_path / "run"


@pytest.mark.parametrize(
    "command",
    [
        "register --observations LOCKED/a.npz --out OUT",
        "register --observations LOCKED --out OUT",
        "register --densepose-coco LOCKED/a.json --out OUT",
        "register --mpii LOCKED/a.mat --out OUT",
        "register --human36m LOCKED/a.npz --out OUT",
        "register --openpose LOCKED --out OUT",
        "register --deepfashion LOCKED --out OUT",
        "register PEOPLE --body LOCKED/smpl.pkl --out OUT",
        "register PEOPLE --initial LOCKED/fits.npz --out OUT",
        "register PEOPLE --images LOCKED --overlays 1 --out OUT",
        "register PEOPLE --out LOCKED/out",
        "register PEOPLE --out LOCKED",
        "evaluate --fits LOCKED --truth LOCKED/truth.npz",
        "evaluate --fits RUN --truth LOCKED/truth.npz --body BODY",
        "evaluate --fits LOCKED/fits.npz --densepose-coco LOCKED/a.json",
        "report LOCKED",
        "report RUN --out LOCKED/r.html",
        "report RUN --images LOCKED",
        "view LOCKED",
        "info --body LOCKED/smpl.npz",
        "synthesize --people 1 --out LOCKED/s",
        "synthesize --people 1 --out OUT --backgrounds LOCKED",
        "synthesize --people 1 --out OUT --motions LOCKED",
    ],
)
def test_a_folder_that_may_not_be_entered(bodyreg, tmp_path, people, body_file, finished, command):
    locked = tmp_path / "locked"
    locked.mkdir()
    words = []
    for word in command.split():
        named = word.replace("LOCKED", str(locked)).replace("RUN", str(finished))
        named = named.replace("BODY", str(body_file))
        words += people if word == "PEOPLE" else [named.replace("OUT", str(tmp_path / "out"))]
    before = all_files(tmp_path)
    with no_entry(locked):
        line = bodyreg(*words).refusal
    assert f"{locked}" in line
    assert "(Permission denied); check the permissions" in line
    assert all_files(tmp_path) == before


@pytest.mark.parametrize(
    ("limit", "arguments", "named"),
    [
        (700, (), "run.json"),
        (1 << 12, (), "shards"),
        (1 << 14, ("--overlays", "2"), "overlays.png"),
    ],
)
def test_register_on_a_disk_that_is_full(bodyreg, tmp_path, people, limit, arguments, named):
    with file_limit(limit):
        line = bodyreg("register", *people, *arguments, "--out", tmp_path / "out").refusal
    assert named in line
    assert "cannot be written (File too large); " in line
    # What is left is whole, and the same command goes on from there.
    assert not list((tmp_path / "out").rglob(".*"))
    # Fits without the picture of them are a finished run.
    assert (tmp_path / "out" / "run.json").exists() == (named == "overlays.png")
    assert bodyreg("register", *people, *arguments, "--out", tmp_path / "out").status == 0
    assert (tmp_path / "out" / named).exists() == (named != "shards")


@pytest.mark.parametrize("kind", ["obj", "ply", "glb"])
def test_meshes_on_a_disk_that_is_full(bodyreg, tmp_path, people, kind, monkeypatch):
    out, replace = tmp_path / "out", os.replace

    def refuse(source, goal):
        if Path(goal).suffix == f".{kind}":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(goal))
        replace(source, goal)

    monkeypatch.setattr(os, "replace", refuse)
    line = bodyreg("register", *people, "--meshes", kind, "--out", out).refusal
    assert f".{kind}: cannot be written (No space left on device); free some space" in line
    assert not list(out.rglob(".*"))
    assert not list(out.rglob(f"*.{kind}"))
    assert not (out / "run.json").exists()


def test_the_other_writers_on_a_disk_that_is_full(bodyreg, tmp_path, finished):
    for limit, command in (
        (1 << 14, f"report {finished} --out {tmp_path}/r.html"),
        (1 << 10, f"synthesize --people 2 --size 64 --workers 1 --quiet --out {tmp_path}/s"),
    ):
        with file_limit(limit):
            line = bodyreg(*command.split()).refusal
        assert "cannot be written (File too large); " in line
    assert not (tmp_path / "r.html").exists()
    assert not list(tmp_path.rglob("truth.npz"))


@pytest.mark.parametrize("name", ["n" * 256 + ".jpg", "d/" * 3000 + "a.jpg"])
def test_a_name_in_a_file_that_is_too_long(bodyreg, tmp_path, body_file, name):
    observations = made_observations()
    observations.picture = np.array([name] * 3)
    observations.save(tmp_path / "long.npz")
    line = bodyreg(
        "register", "--observations", tmp_path / "long.npz", "--body", body_file, *QUICK,
        "--images", tmp_path, "--overlays", 1, "--out", tmp_path / "out",
    ).refusal  # fmt: skip
    assert "(File name too long); choose a shorter name" in line
    assert len(line) < 500


@pytest.mark.parametrize("name", ["n" * 256, "d/" * 3000 + "out"])
def test_an_output_whose_name_is_too_long(bodyreg, tmp_path, people, name):
    line = bodyreg("register", *people, "--out", tmp_path / name).refusal
    assert "(File name too long); choose a shorter name" in line


def test_links_to_themselves(bodyreg, tmp_path, people):
    (tmp_path / "loop").symlink_to("loop")
    loop = tmp_path / "loop"
    for command in (
        ("register", "--observations", loop, "--out", tmp_path / "out"),
        ("register", "--densepose-coco", loop, "--out", tmp_path / "out"),
        ("register", *people, "--out", loop / "out"),
        ("info", "--body", loop),
        ("report", loop),
    ):
        assert "a symbolic link points back to itself" in bodyreg(*command).refusal


def test_a_folder_where_a_file_should_be(bodyreg, tmp_path, people, body_file, finished):
    folder = tmp_path / "folder"
    folder.mkdir()
    for command in (
        ("register", "--densepose-coco", folder, "--out", tmp_path / "out"),
        ("register", "--human36m", folder, "--out", tmp_path / "out"),
        ("register", *people, "--body", folder, "--out", tmp_path / "out"),
        ("evaluate", "--fits", finished, "--truth", folder, "--body", body_file),
        ("report", finished, "--out", folder),
    ):
        line = bodyreg(*command).refusal
        assert f"{folder}: " in line
        assert "is a folder" in line
    line = bodyreg("register", *people, "--initial", folder, "--out", tmp_path / "out").refusal
    assert f"{folder}: no .json file of keypoints, nor .npz, in this folder" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_shell_has_closed(tmp_path, people, closed):
    """The same status, and the same files, as with open streams."""
    words = [sys.executable, "-m", "bodyreg", "register", *map(str, people), "--out"]
    for out, expected in ((tmp_path / "out", 0), (tmp_path / ("n" * 256), 2)):
        line = f"{shlex.join([*words, str(out)])} {closed}"
        assert subprocess.run(["sh", "-c", line], capture_output=True).returncode == expected
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"fits.npz", "run.json"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_standard_error_that_is_full():
    with open("/dev/full", "w") as full:
        assert run("report", "nowhere", stderr=full).returncode == 2
