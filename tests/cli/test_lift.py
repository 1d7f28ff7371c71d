"""`bodyreg lift` and train/lift.py, end to end on people made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Observations
from bodyreg.cli.flags import require_output
from bodyreg.data.skeletons import MPII_16
from bodyreg.lifting import Lifter
from bodyreg.lifting.network import Generator
from bodyreg.npz import load_npz
from bodyreg.training.loops import seeded
from tests.lifting.people import people
from train.lift import main as train


@pytest.fixture
def lifter_file(tmp_path):
    path = tmp_path / "lifter.safetensors"
    with seeded(0):
        Lifter(Generator(16)).save(path)
    return path


@pytest.fixture
def people_file(tmp_path):
    path = tmp_path / "people.npz"
    seen, _ = people(5, 0)
    replace(seen, picture=np.array(["a.jpg"] * 5)).save(path)
    return path


def test_from_2d_poses_to_fits_with_lifted_depths(bodyreg, tmp_path):
    """Train on an array of poses, lift other people, register them: in seconds."""
    poses, _ = people(60, 1)
    np.save(tmp_path / "poses.npy", poses.keypoint_xy.reshape(60, -1))
    out = tmp_path / "run"
    few = ["width=16", "steps=12", "batch=16", "rounds=1"]
    status = train(["--poses", str(tmp_path / "poses.npy"), "--out", str(out), "--set", *few])
    assert status == 0
    facts = Lifter.load(out / "lifter.safetensors").facts
    assert facts["people"] == 60 and facts["command"].startswith("python -m train.lift --poses")

    seen, _ = people(4, 2)
    seen.save(tmp_path / "new.npz")
    lifted = tmp_path / "lifted.npz"
    result = bodyreg(
        "lift", "--observations", tmp_path / "new.npz", "--lifter", out / "lifter.safetensors",
        "--out", lifted,
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    assert "depths of 52 keypoints of 4 of 4 people; median spread: 0." in result.out
    found = Observations.load(lifted)
    assert (found.keypoint_depth_spread[:, 5:] > 0).all()
    assert np.isnan(found.keypoint_depth[:, 1]).all()
    assert load_npz(lifted, kind="observations")["command"].item().startswith("bodyreg lift")
    result = bodyreg(
        "register", "--observations", lifted, "--iterations", 8, "--out", tmp_path / "fits"
    )
    assert result.status == 0 and "depths of keypoints: used for 4 of 4 people" in result.out
    result = bodyreg(
        "lift", "--observations", lifted, "--lifter", out / "lifter.safetensors",
        "--out", tmp_path / "again.npz",
    )  # fmt: skip
    assert "4 people had depths, which these replace" in result.out


@pytest.mark.parametrize("preset", ["robust", "paper"])
def test_training_against_a_judge_goes_on(tmp_path, preset, capsys):
    seen, _ = people(30, 3, skeleton=MPII_16)
    np.save(tmp_path / "poses.npy", seen.keypoint_xy)
    few = ["width=16", "batch=8", "views=random", "decay=true"]
    arguments = [
        "--poses", str(tmp_path / "poses.npy"), "--skeleton", "MPII-16", "--preset", preset,
        "--seed", "2", "--out", str(tmp_path / "run"), "--set", *few,
    ]  # fmt: skip
    assert train([*arguments, "steps=4"]) == 0
    first = (tmp_path / "run" / "lifter.safetensors").read_bytes()
    assert "step 4: adversarial" in capsys.readouterr().out
    assert train([*arguments, "steps=4"]) == 0
    assert (tmp_path / "run" / "lifter.safetensors").read_bytes() == first
    assert train([*arguments, "steps=5"]) == 2
    assert "of a run with other config; give the same" in capsys.readouterr().err


def test_everything_else_of_the_people_stays(bodyreg, people_file, lifter_file, tmp_path):
    out = tmp_path / "lifted.npz"
    assert bodyreg(
        "lift", "--observations", people_file, "--lifter", lifter_file, "--out", out, "--quiet"
    ) == type(bodyreg("--version"))(0, "", "")
    before, after = Observations.load(people_file), Observations.load(out)
    assert np.isfinite(after.keypoint_depth).any()
    for name, value in vars(before).items():
        if not name.startswith("keypoint_depth"):
            np.testing.assert_array_equal(value, getattr(after, name), err_msg=name)
    first = out.read_bytes()
    bodyreg("lift", "--observations", people_file, "--lifter", lifter_file, "--out", out, "--quiet")
    assert out.read_bytes() == first


def test_refusals_leave_nothing(bodyreg, people_file, lifter_file, tmp_path):
    out = tmp_path / "lifted.npz"

    def refused(*arguments) -> str:
        line = bodyreg("lift", "--out", out, *arguments).refusal
        assert not out.exists()
        return line

    assert "one of --observations" in refused("--lifter", lifter_file)
    missing = tmp_path / "none"
    assert "no such checkpoint file" in refused("--observations", people_file, "--lifter", missing)
    assert "no such" in refused("--observations", missing, "--lifter", lifter_file)
    assert "not a checkpoint" in refused("--observations", people_file, "--lifter", people_file)
    seen = Observations.of_keypoints(
        ("nose", "left_eye"), np.ones((1, 2, 2)) * [[9], [3]], np.ones((1, 2))
    )
    replace(seen, keypoint_name=("head_top", "left_eye")).save(tmp_path / "eyes.npz")
    line = refused("--observations", tmp_path / "eyes.npz", "--lifter", lifter_file)
    assert "no keypoint can be lifted" in line
    line = refused("--observations", tmp_path, "--lifter", lifter_file)
    assert f"{out}: lies in a folder whose files are read" in line
    (tmp_path / "openpose").mkdir()
    require_output(tmp_path / "openpose" / "a.npz", "a.npz", [tmp_path / "openpose"])
    line = refused("--observations", people_file, "--lifter", lifter_file, "--images", people_file)
    assert "people.npz: is a file; --images is the folder of the pictures" in line


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "must name the people"),
        (("--poses", "POSES", "--skeleton", "COCO"), "--skeleton COCO: choose one of SMPL-24"),
        (("--poses", "POSES", "--skeleton", "MPII-16"), "expected floats (N, 16, 2), pixels"),
        (("--poses", "POSES", "--set", "size=3"), "--set size=3: no field; choose one of width"),
        (("--poses", "POSES", "--set", "width=x"), "--set width=x: not a value"),
        (("--poses", "none.npy"), "none.npy: no such poses file"),
        (("--poses", "POSES", "--seed", str(2**64)), "--seed 18446744073709551616: must be 0 to"),
        (("--poses", "POSES", "--seed", "-1"), "--seed -1: must be 0 to 4,294,967,295"),
        (("--poses", "INF"), "poses.npy: a coordinate is infinite (NaN = absent)"),
        (("--poses", "NAN"), "no person to learn from"),
        (("--poses", "NAN", "--preset", "robust"), "no person to learn from has both hips"),
    ],
)
def test_wrong_options_of_the_training(tmp_path, capsys, arguments, what):
    path = tmp_path / "poses.npy"
    xy = people(3, 4)[0].keypoint_xy
    xy *= np.inf if "INF" in arguments else np.nan if "NAN" in arguments else 1
    np.save(path, xy)
    words = [str(path) if word in ("POSES", "INF", "NAN") else word for word in arguments]
    assert train([*words, "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert what in printed and printed.count("\n") == 1
    assert not (tmp_path / "run").exists()
