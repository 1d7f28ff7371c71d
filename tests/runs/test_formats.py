"""A format that people can be registered from is a module and a row: options and checks follow."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import bodyreg.data
from bodyreg.body import Body
from bodyreg.cli import main
from bodyreg.data import Fits, Observations
from bodyreg.data.focal import Focal
from bodyreg.data.formats import FORMATS, Format
from bodyreg.data.opening import open_people
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.runs.finished import FinishedRun

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from formats_table import with_table  # noqa: E402


def read_csv(source: Source, body) -> tuple[Observations, Counter[str]]:
    """One person per file NAME.csv in a folder: x, y of named joints, in the picture NAME.png."""
    people, names = [], sorted(source.path.glob("*.csv"))
    for path in names:
        rows = [line.split(",") for line in path.read_text().split()]
        people.append(np.array([row[1:] for row in rows], np.float64))
    joints = tuple(row[0] for row in rows)
    half = 150.0 if "close" in source.switches else 300.0
    count = len(names)
    observations = Observations(
        id=np.arange(count),
        frame=np.tile([300, 300, half], (count, 1)),
        point_start=np.zeros(count + 1, int),
        point_xy=np.zeros((0, 2)),
        point_vertex=np.zeros((0, 3), int),
        point_barycentric=np.zeros((0, 3)),
        point_weight=np.zeros(0),
        keypoint_name=joints,
        keypoint_xy=np.array(people),
        keypoint_weight=np.ones((count, len(joints))),
        picture=np.array([f"{path.stem}.png" for path in names]),
    )
    return observations, Counter({"empty line": 1})


ROW = Format(
    name="comma-separated",
    reads="FOLDER",
    what="A folder of comma-separated joints.",
    read=read_csv,
    files=lambda source: sorted(source.path.glob("*.csv")),
    pictures="needed",
    switches={"close": "the crop is half as wide"},
)


@pytest.fixture
def row(monkeypatch):
    """The registry with one row more, before the command's options are made from it."""
    monkeypatch.setitem(FORMATS, ROW.name, ROW)
    for module in ("bodyreg.cli.sources", "bodyreg.cli.register"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield
    for module in ("bodyreg.cli.sources", "bodyreg.cli.register"):
        sys.modules.pop(module, None)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    joints = {
        "pelvis": (300, 300), "left_hip": (318, 310), "right_hip": (282, 310),
        "left_knee": (320, 400), "right_knee": (280, 400), "neck": (300, 190),
    }  # fmt: skip
    for person in ("a", "b"):
        lines = [f"{name},{x},{y}" for name, (x, y) in joints.items()]
        (folder / f"{person}.csv").write_text("\n".join(lines))
        cv2.imwrite(str(folder / f"{person}.png"), np.full((600, 600, 3), 90, np.uint8))
    return folder


def call(capsys, *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.err if status else printed.out


def test_a_new_format_is_registered(row, folder, tmp_path, capsys):
    out = tmp_path / "out"
    command = ("register", "--comma-separated", folder, "--images", folder, "--iterations", 5)
    status, printed = call(capsys, *command, "--close", "--overlays", 1, "--out", out)
    assert status == 0
    assert "skipped 1 (1 empty line)" in printed
    fits = Fits.load(out / "fits.npz")
    assert len(fits) == 2 and (fits.frame[:, 2] == 150).all()
    assert (out / "overlays.png").is_file()
    record = json.loads((out / "run.json").read_text())
    assert record["source"]["format"] == "comma-separated"
    assert record["source"]["switches"] == ["close"]
    finished = FinishedRun.open(out)
    assert finished.source == Source("comma-separated", folder, folder, ("close",))
    assert call(capsys, "report", out)[0] == 0
    assert call(capsys, *command, "--out", tmp_path / "far")[0] == 0
    assert (Fits.load(tmp_path / "far" / "fits.npz").frame[:, 2] == 300).all()
    (folder / "c.csv").write_text((folder / "a.csv").read_text())
    assert "csv: has changed since the run" in call(capsys, "report", out)[1]


def test_a_focal_length_of_all_pictures(row, folder, tmp_path, capsys):
    out = tmp_path / "out"
    command = ("register", "--comma-separated", folder, "--images", folder, "--iterations", 5)
    assert call(capsys, *command, "--focal", "900", "--out", out)[0] == 0
    record = json.loads((out / "run.json").read_text())
    assert record["source"]["focal"] == {"length": 900, "unit": "px"}
    finished = FinishedRun.open(out)
    assert finished.source.focal == Focal(900, "px")
    assert finished.people.read(0, 2).focal.tolist() == [900, 900]
    for text, words in (("long", "'long' is no focal length"), ("0", "focal length 0px is too")):
        status, error = call(capsys, *command, "--focal", text, "--out", tmp_path / "no")
        assert status == 2 and words in error and error.count("\n") == 1
    body, film = Body.default(), Focal(35, "mm")
    people, _ = open_people(Source(ROW.name, folder, folder, focal=film), body)
    expected = 35 / np.hypot(36, 24) * np.hypot(600, 600)
    np.testing.assert_allclose(people.read(0, 2).focal, expected, rtol=1e-6)
    joints = np.zeros((1, 34)) + np.arange(34)
    np.save(tmp_path / "poses.npy", joints)
    with pytest.raises(UserError, match=r"poses.npy: does not hold the sizes of its pictures"):
        open_people(Source("mpii", tmp_path / "poses.npy", focal=film), body)
    assert not (tmp_path / "no").exists()


def test_options_and_checks_follow(row, folder, tmp_path, capsys):
    register = ("register", "--out", tmp_path / "out")
    with pytest.raises(SystemExit, match="0"):
        main(["register", "--help"])
    page = capsys.readouterr().out
    assert "--comma-separated FOLDER" in page and "A folder of comma-separated joints." in page
    assert "With --comma-separated: the crop is half as wide." in page
    for arguments, words in (
        ((), "--deepfashion and --comma-separated"),
        (
            ("--comma-separated", folder, "--mpii", "a.mat"),
            "give only one of --mpii and --comma-separated",
        ),
        (("--comma-separated", folder), "cannot be read without its pictures; give --images"),
        (("--mpii", "a.mat", "--close"), "--close belongs to --comma-separated"),
    ):
        status, error = call(capsys, *register, *arguments)
        assert status == 2 and words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "source",
    [Source("crystal-ball", Path("a")), Source("mpii", Path("a"), switches=("whole_body",))],
)
def test_what_this_version_cannot_read(source):
    with pytest.raises(UserError, match="this version cannot read"):
        open_people(source, None)


def test_the_table_of_the_documentation_is_the_registry():
    page = (ROOT / "docs" / "formats.md").read_text()
    assert with_table(page) == page
    assert all((f"| `{form.option} " in page) == form.evidence for form in FORMATS.values())
    for form in FORMATS.values():
        assert form.holds and form.gives and form.functions
        for name in form.functions:
            assert name.partition(".")[0] in bodyreg.data.__all__


def test_options_need_no_reader():
    """Commands explain themselves without loading torch."""
    code = (
        "import sys, bodyreg.cli.register; assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_runs_need_no_command():
    """What recipes import brings no command and no options along."""
    code = (
        "import sys, bodyreg.runs.registration, bodyreg.runs.report, bodyreg.runs.data_sets; "
        "assert not {'tyro', 'bodyreg.cli'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
