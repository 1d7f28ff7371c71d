"""bodyreg synthesize: always the same bytes, also after kills."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES, Body
from bodyreg.cli import main
from bodyreg.cli import synthesize as synthesize_command
from bodyreg.data import Truth
from bodyreg.errors import UserError
from bodyreg.runs import data_sets
from bodyreg.synthetic import generate
from bodyreg.synthetic.formats import FORMATS, Recipe
from tests.synthetic.bvh_files import MIXAMO, both_sides, write_bvh

ROOT = Path(__file__).parents[2]
LABELS = ("--formats", "densepose-coco", "mpii", "human36m", "deepfashion", "--no-pictures")
PICTURES = ("--formats", "densepose-coco", "mpii", "market1501", "--size", "96")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(generate, "PICTURES_PER_SHARD", 4)


def synthesize(out: Path, *options: object, here: bool = True) -> int:
    """Run the command; `here` does all work in this process."""
    with pytest.MonkeyPatch.context() as patch:
        if here:
            patch.setattr(synthesize_command, "foresee", lambda _: None)
            patch.setattr(data_sets, "in_processes", lambda make, shards, _: map(make, shards))
        return main(["synthesize", "--out", str(out), "--quiet", *map(str, options)])


def digests(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of all files in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(entry.parent.name))
    return found


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Annotations of every kind, made in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "PICTURES_PER_SHARD", 4)
        out = tmp_path_factory.mktemp("labels") / "out"
        assert synthesize(out, *LABELS, "--people", 12, "--seed", 3) == 0
    return out


def test_any_number_of_workers_writes_the_same_bytes(labels, tmp_path):
    out = tmp_path / "elsewhere"
    options = ("--people", 12, "--seed", 3, "--workers", 2)
    assert synthesize(out, *LABELS, *options, here=False) == 0
    assert digests(out) == digests(labels)


def test_shards_hold_all_pictures_and_the_last_ones_few(monkeypatch):
    """Any number of processes end at about the same time."""
    monkeypatch.setattr(generate, "PICTURES_PER_SHARD", 64)
    for pictures in (1, 8, 9, 1010):
        starts, stops = zip(*generate.cut(pictures), strict=True)
        assert (0, *stops) == (*starts, pictures)
        sizes = np.diff((*starts, pictures))
        assert (sizes[:-1] >= generate.LAST_SHARD).all()
        assert (np.diff(sizes) <= 0).all()
        assert sizes[0] <= 64
        assert sizes[-1] <= generate.LAST_SHARD


def test_a_killed_run_goes_on(labels, tmp_path):
    """It is killed after its first shard; workers end with it; the same command finishes."""
    out = tmp_path / "out"
    arguments = ["synthesize", "--out", str(out), *LABELS, "--people", "12", "--seed", "3"]
    script = (
        "import sys; from bodyreg.synthetic import generate; generate.PICTURES_PER_SHARD = 4; "
        "from bodyreg.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments, "--quiet", "--workers", "1"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    workers: set[int] = set()
    while not list((out / "shards").glob("[!.]*.npz")):
        assert process.poll() is None
        # A server's children, on Linux; itself ends after them.
        for child in children(process.pid):
            workers.update([child, *children(child)])
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "mpii" / "run.json").exists()
    limit = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert synthesize(out, *LABELS, "--people", 12, "--seed", 3) == 0
    assert digests(out) == digests(labels)


def test_killed_while_joining(labels, tmp_path, monkeypatch):
    """One format is finished and the next is not: finished work is not repeated."""
    out = tmp_path / "out"
    arguments = (*LABELS, "--people", 12, "--seed", 3)
    with monkeypatch.context() as patch:
        patch.setattr(FORMATS["mpii"], "join", lambda *_: os.close(-1))
        with pytest.raises(OSError, match="Bad file descriptor"):
            synthesize(out, *arguments)
    assert (out / "densepose-coco" / "run.json").exists()
    assert not (out / "mpii" / "run.json").exists()
    monkeypatch.setattr(data_sets, "make_shard", None)
    assert synthesize(out, *arguments) == 0
    assert digests(out) == digests(labels)


@pytest.mark.parametrize("text", ["{}", "[1]", "{", "[" * 100_000])
def test_shards_of_another_run_are_refused(capsys, tmp_path, text):
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "run.json").write_text(text)
    assert synthesize(tmp_path, "--people", 3) == 2
    assert "unfinished shards of another run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{}", "[1]", "{", "[" * 100_000])
def test_a_record_of_something_else_is_refused(capsys, tmp_path, text):
    (tmp_path / "mpii").mkdir()
    (tmp_path / "mpii" / "run.json").write_text(text)
    assert synthesize(tmp_path, "--people", 3, "--formats", "mpii") == 2
    assert "holds another data set (unknown)" in capsys.readouterr().err


def test_folders_of_others_are_left_alone(tmp_path, capsys):
    (tmp_path / "mpii").mkdir()
    (tmp_path / "mpii" / "mine.txt").write_text("mine")
    assert synthesize(tmp_path, "--people", 3, "--formats", "mpii") == 2
    assert "holds another data set (unknown)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mpii"]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "mpii").write_text("in the way")
    shard = generate.Shard(
        Recipe(1, 0, 32), ("mpii",), 0, 1, tmp_path, tmp_path / "shard.npz", "run", True
    )
    with pytest.raises(UserError, match=r"mpii/images/000000000001.jpg: cannot be written"):
        generate.make_shard(shard)
    assert not (tmp_path / "shard.npz").exists()


def test_what_is_there_is_kept_and_another_data_set_refused(labels, capsys):
    before = {path: path.stat().st_mtime_ns for path in labels.rglob("*")}
    assert synthesize(labels, *LABELS, "--people", 12, "--seed", 3) == 0
    assert {path: path.stat().st_mtime_ns for path in labels.rglob("*")} == before
    assert synthesize(labels, *LABELS, "--people", 12, "--seed", 4) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds another data set (other seed)" in error
    assert {path: path.stat().st_mtime_ns for path in labels.rglob("*")} == before


def test_formats_do_not_depend_on_each_other(labels, tmp_path):
    options = ("--no-pictures", "--people", 12, "--seed", 3)
    assert synthesize(tmp_path, "--formats", "mpii", *options) == 0
    assert digests(tmp_path / "mpii") == digests(labels / "mpii")


def test_pictures_show_the_people(tmp_path):
    """Crowds share their pictures, every annotation has its picture, and a seed fixes all bytes."""
    for here in (True, False):
        out = tmp_path / str(here)
        assert synthesize(out, *PICTURES, "--people", 3, "--workers", 2, here=here) == 0
    assert digests(tmp_path / "True") == digests(tmp_path / "False")
    content = json.loads((out / "densepose-coco" / "densepose.json").read_text())
    for image in content["images"]:
        paths = [out / name / "images" / image["file_name"] for name in ("densepose-coco", "mpii")]
        assert os.path.samefile(*paths)
        assert cv2.imread(str(paths[0])).shape == (96, 96, 3)
    for entry in json.loads((out / "mpii" / "annot.json").read_text()):
        assert (out / "mpii" / "images" / entry["image"]).is_file()
    for name in ("densepose-coco", "mpii", "market1501"):
        truth = Truth.load(out / name / "truth.npz")
        with np.load(out / name / "truth.npz") as archive:
            pictures = archive["picture"].tolist()
        assert len(pictures) == len(truth)
        assert all((out / name / picture).is_file() for picture in pictures)
    picture = cv2.imread(str(out / "market1501" / pictures[0]))
    assert picture.shape == (128, 64, 3)
    assert picture.std() > 10


@pytest.fixture
def motions(tmp_path):
    """A folder with one BVH file, in a folder inside it."""
    random = np.random.default_rng()
    turns = Rotation.from_rotvec(random.normal(0, 0.2, (10 * 24, 3))).as_matrix()
    knees = [JOINT_NAMES.index(f"{side}_knee") for side in ("left", "right")]
    turns = turns.reshape(10, 24, 3, 3)
    turns[:, knees] = Rotation.from_rotvec([0.5, 0, 0]).as_matrix()
    (tmp_path / "bvh" / "some").mkdir(parents=True)
    write_bvh(
        tmp_path / "bvh" / "some" / "dance.bvh", Body.default().joints, turns, turns[:, 0],
        names=both_sides(MIXAMO),
    )  # fmt: skip
    return tmp_path / "bvh"


def test_people_in_captured_poses(motions, tmp_path):
    """In every format, with any number of processes; the record tells them."""
    options = ("--people", 6, "--noise", "detector", "--distance", 2, 5, "--motions", motions)
    for name, here in (("a", True), ("b", False)):
        made = synthesize(tmp_path / name, *LABELS, *options, "--workers", 2, here=here)
        assert made == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    for name in ("densepose-coco", "mpii", "human36m", "deepfashion"):
        assert set(Truth.load(tmp_path / "a" / name / "truth.npz").action) == {"dance"}
        record = json.loads((tmp_path / "a" / name / "run.json").read_text())
        assert "--noise detector --motions bvh --distance 2.0 5.0" in record["command"]
    before = digests(tmp_path / "a")
    assert synthesize(tmp_path / "a", *LABELS, *options) == 0
    file = motions / "some" / "dance.bvh"
    file.write_text(file.read_text().replace("Frame Time: 0.1", "Frame Time: 0.11"))
    assert synthesize(tmp_path / "a", *LABELS, *options) == 2
    assert digests(tmp_path / "a") == before


def test_a_damaged_motion_is_told_before_anything_is_made(motions, tmp_path, capsys):
    file = motions / "some" / "dance.bvh"
    file.write_text(file.read_text()[:-30])
    assert synthesize(tmp_path / "out", "--motions", motions) == 2
    error = capsys.readouterr().err
    assert f"{file}, line " in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_backgrounds_of_the_users(tmp_path, capsys):
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    assert synthesize(tmp_path / "out", "--backgrounds", folder) == 2
    assert "no pictures" in capsys.readouterr().err
    (folder / "bad.png").write_text("bad")
    assert synthesize(tmp_path / "bad", "--people", 1, "--backgrounds", folder) == 2
    error = capsys.readouterr().err
    assert "bad.png" in error
    assert error.count("\n") == 1
    (folder / "bad.png").unlink()
    cv2.imwrite(str(folder / "green.png"), np.full((64, 64, 3), (0, 250, 0), np.uint8))
    options = ("--people", 1, "--size", 64, "--backgrounds", folder)
    assert synthesize(tmp_path / "out", *options) == 0
    picture = cv2.imread(str(tmp_path / "out/densepose-coco/images/000000000001.jpg"))
    assert (picture[..., 1].astype(int) - picture[..., 0] > 60).mean() > 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--people", 0), "--people 0: must be 1 to 1,000,000,000"),
        (("--people", 10**20), "--people"),
        (("--seed", -1), "--seed"),
        (("--size", 9), "--size 9"),
        (("--points", 10**7), "--points 10000000: must be 0 to 1,000,000"),
        (("--noise-pixels", "nan"), "--noise-pixels nan: must be 0 to 64"),
        (("--noise-pixels", "1e300"), "--noise-pixels"),
        (("--noise-depth", "1e300"), "--noise-depth 1e+300: must be 0 to 4"),
        (("--workers", 0), "--workers"),
        (("--formats", "mpii", "mpii"), "--formats"),
        (("--backgrounds", "nowhere"), "nowhere"),
        (("--motions", "nowhere"), "--motions nowhere: no such folder; check the path"),
        (("--motion-up", "+y"), "--motion-names and --motion-up need --motions"),
        (("--motions", ".", "--motion-up", "y"), "--motion-up y: must be one of +x, -x, +y"),
        (("--distance", 1, 5), "--distance 1.0: must be 1.5 to 1,000,000"),
        (("--distance", 5, 2), "--distance 5 2: the nearer distance comes first"),
        (("--distance", 3), "--distance"),
        (("--distance", "a", 3), "--distance: 'a' is not a number"),
        (("--distance", 2, 5, "--formats", "human36m"), "--distance is of crowds"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, options, words):
    out = tmp_path / "out"
    assert synthesize(out, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not out.exists()
