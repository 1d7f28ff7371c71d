"""--learn-proportions and --proportions of bodyreg register."""

import json

import numpy as np
import pytest

from bodyreg.data import Fits, Observations
from bodyreg.runs.finished import FinishedRun


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> str:
    """A few made people in DensePose-COCO's file."""
    from bodyreg.cli import main

    folder = tmp_path_factory.mktemp("made")
    made = ("--people", "12", "--no-pictures", "--workers", "1", "--quiet")
    assert main(["synthesize", "--out", str(folder), "--formats", "densepose-coco", *made]) == 0
    return str(folder / "densepose-coco" / "densepose.json")


@pytest.fixture
def fit(people) -> tuple:
    return ("register", "--densepose-coco", people, "--iterations", 30, "--quiet")


def test_proportions_are_learned_written_and_used(bodyreg, tmp_path, fit):
    learned, given, plain = (tmp_path / name for name in ("learned", "given", "plain"))
    result = bodyreg(*fit[:-1], "--out", learned, "--learn-proportions")
    assert result.status == 0
    assert "learning proportions from 12 people" in result.out
    path = learned / "proportions.json"
    limbs = json.loads(path.read_text())["limbs"]
    differ = {name: f"{scale:.3f}" for name, scale in limbs.items() if f"{scale:.3f}" != "1.000"}
    told = ", ".join(f"{name} x {scale}" for name, scale in differ.items())
    assert f"proportions: {told or 'as the body has them'} ({path})" in result.out
    content = json.loads(path.read_text())
    assert content["people"]["trunk"] == 12 and set(content["limbs"]) == set(content["people"])
    assert bodyreg(*fit, "--out", given, "--proportions", path).status == 0
    assert bodyreg(*fit, "--out", plain).status == 0
    one, other, without = (Fits.load(f / "fits.npz") for f in (learned, given, plain))
    for name in ("pose", "segment_scale", "rotation", "loss"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert not np.array_equal(one.pose, without.pose)

    run = FinishedRun.open(learned)
    scale = content["segment_scale"]
    expected = [scale[name] for name in run.body.joint_names]
    np.testing.assert_array_equal(run.body.proportions, np.float32(expected))
    record = json.loads((learned / "run.json").read_text())
    assert record["body"]["files"]["proportions"] == "proportions.json"
    assert bodyreg("report", learned).status == 0

    # The same run is finished, a moved one opens, and another one is refused.
    result = bodyreg(*fit[:-1], "--out", learned, "--learn-proportions")
    assert result.status == 0 and "the same run is finished here" in result.out
    result = bodyreg(*fit, "--out", learned, "--learn-proportions", "--starts", 1)
    assert "holds another run (other configuration)" in result.refusal
    result = bodyreg(*fit, "--out", learned)
    assert "holds another run (other proportions)" in result.refusal
    result = bodyreg(*fit, "--out", plain, "--learn-proportions")
    assert "holds another run" in result.refusal and not (plain / "proportions.json").exists()
    moved = tmp_path / "moved"
    learned.rename(moved)
    np.testing.assert_array_equal(FinishedRun.open(moved).body.proportions, run.body.proportions)

    # A run belongs to its proportions.
    (moved / "proportions.json").write_text(path_of_other(content))
    result = bodyreg("report", moved)
    assert "has changed since the run; register again" in result.refusal


def path_of_other(content: dict) -> str:
    """The file with another length of shanks."""
    scale = content["segment_scale"] | {"left_knee": 0.9, "right_knee": 0.9}
    return json.dumps(content | {"segment_scale": scale})


def test_bad_options_are_refused(bodyreg, tmp_path, fit):
    path, out = tmp_path / "proportions.json", ("--out", tmp_path / "out")
    path.write_text('{"format": "bodyreg-proportions-1", "body": {"name": "mine"}}')
    both = bodyreg(*fit, *out, "--proportions", path, "--learn-proportions")
    assert "give one of --proportions and --learn-proportions" in both.refusal
    other = bodyreg(*fit, *out, "--proportions", path)
    assert "has the proportions of body 'mine', not of this body 'makehuman'" in other.refusal
    missing = bodyreg(*fit, *out, "--proportions", tmp_path / "none.json")
    assert "none.json" in missing.refusal
    assert not (tmp_path / "out").exists()


def test_people_that_teach_nothing(bodyreg, tmp_path):
    names = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow")
    xy = np.random.default_rng().uniform(20, 200, (3, len(names), 2))
    people = Observations.of_keypoints(names, xy, np.ones((3, len(names))))
    people.save(tmp_path / "people.npz")
    result = bodyreg(
        "register", "--observations", tmp_path / "people.npz", "--out", tmp_path / "out",
        "--learn-proportions", "--quiet",
    )  # fmt: skip
    assert "no proportions can be learned: they need dense points" in result.refusal
    assert not (tmp_path / "out").exists()
