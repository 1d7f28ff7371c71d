"""bodyreg calibrate, and --landmarks of the commands that fit and compare."""

import json

import numpy as np
import pytest

from bodyreg.body import CONVENTIONS, Body
from bodyreg.body.landmarks import moved
from bodyreg.data import Fits, read_densepose_coco, read_landmarks, write_landmarks
from bodyreg.runs.finished import FinishedRun


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> str:
    """A few made people in DensePose-COCO's file."""
    from bodyreg.cli import main

    folder = tmp_path_factory.mktemp("made")
    made = ("--people", "6", "--no-pictures", "--workers", "1", "--quiet")
    assert main(["synthesize", "--out", str(folder), "--formats", "densepose-coco", *made]) == 0
    return str(folder / "densepose-coco" / "densepose.json")


def test_landmarks_are_measured_written_and_used(bodyreg, tmp_path, people):
    path, fit = tmp_path / "landmarks.json", ("--densepose-coco", people, "--iterations", 30)
    result = bodyreg("calibrate", *fit, "--people", 4, "--rounds", 2, "--out", path)
    assert (result.status, result.error) == (0, "")
    assert "round 2: moved by up to " in result.out and "round 3" not in result.out
    assert "4 people; landmarks: " in result.out
    found = read_landmarks(path, Body.default())
    assert set(found) == {f"coco/{joint}" for joint in CONVENTIONS["coco"]}
    assert json.loads(path.read_text())["people"] == 4
    runs = {name: tmp_path / name for name in ("theirs", "mine")}
    for name, more in {"theirs": (), "mine": ("--landmarks", path)}.items():
        assert bodyreg("register", *fit, "--out", runs[name], *more).status == 0
    theirs, mine = (Fits.load(folder / "fits.npz") for folder in runs.values())
    assert not np.array_equal(theirs.pose, mine.pose)
    run = FinishedRun.open(runs["mine"])
    np.testing.assert_allclose(
        run.body.keypoints(["coco/left_hip"]).anchors,
        Body.default().with_landmarks(found).keypoints(["coco/left_hip"]).anchors,
    )
    result = bodyreg("evaluate", "--fits", runs["mine"], *fit[:2], "--landmarks", path)
    assert (result.status, result.error) == (0, "")

    # A run belongs to its landmarks.
    shifted = {name: moved(landmark, (0, 0.01, 0)) for name, landmark in found.items()}
    write_landmarks(path, shifted)
    result = bodyreg("register", *fit, "--out", runs["mine"], "--landmarks", path)
    assert result.status == 2 and "holds another run (other landmarks" in result.error
    result = bodyreg("report", runs["mine"])
    assert result.status == 2 and "has changed since the run; register again" in result.error


def test_the_built_in_landmarks_in_a_file_change_nothing(bodyreg, tmp_path, people):
    path = tmp_path / "landmarks.json"
    write_landmarks(path, {f"coco/{name}": item for name, item in CONVENTIONS["coco"].items()})
    fit = ("register", "--densepose-coco", people, "--iterations", 20)
    assert bodyreg(*fit, "--out", tmp_path / "a").status == 0
    assert bodyreg(*fit, "--out", tmp_path / "b", "--landmarks", path).status == 0
    one, other = (Fits.load(tmp_path / name / "fits.npz") for name in "ab")
    np.testing.assert_array_equal(one.pose, other.pose)
    np.testing.assert_array_equal(one.loss, other.loss)


def test_bad_options_are_refused(bodyreg, tmp_path, people):
    out = ("--out", tmp_path / "a.json")
    result = bodyreg("calibrate", "--densepose-coco", people, "--people", 0, *out)
    assert (result.status, result.error.count("\n")) == (2, 1)
    assert "--people 0: must be 1 to 100,000" in result.error
    (tmp_path / "b.json").write_text('{"format": "bodyreg-landmarks-1", "landmarks": {"a": 1}}')
    result = bodyreg(
        "register", "--densepose-coco", people, "--landmarks", tmp_path / "b.json", "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert result.status == 2 and "landmark 'a': is not a list of objects" in result.error
    assert not (tmp_path / "out" / "fits.npz").exists() and not (tmp_path / "a.json").exists()
    result = bodyreg("calibrate", "--densepose-coco", people, "--out", tmp_path)
    assert result.status == 2 and "is a folder; --out must be a file" in result.error
    both = ("calibrate", "--iuv", tmp_path / "maps", "--keypoints", people, "--out", people)
    assert f"{people}: is read, so it cannot be written" in bodyreg(*both).refusal


def test_people_without_dense_points_get_a_warning(bodyreg, tmp_path, people):
    """Whose landmarks are exact: keypoints alone would move them."""
    seen, _ = read_densepose_coco(people, Body.default())
    seen.keypoints_alone().save(tmp_path / "alone.npz")
    few = ("--people", 2, "--rounds", 1, "--iterations", 5, "--out", tmp_path / "landmarks.json")
    result = bodyreg("calibrate", "--observations", tmp_path / "alone.npz", *few)
    assert result.status == 0 and "warning: these people have no dense points" in result.error
