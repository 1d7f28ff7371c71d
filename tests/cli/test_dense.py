"""Dense maps on the command line: from made maps to fits, and options that do not fit."""

import json
import shutil

import numpy as np
import pytest

from bodyreg.data import Fits, Truth
from bodyreg.data.dense_maps import POINTS

from ..true_keypoints import true_pixels


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    from bodyreg.cli import main

    folder = tmp_path_factory.mktemp("made")
    command = ("synthesize", "--people", 5, "--seed", 4, "--formats", "iuv", "--quiet")
    assert main([str(word) for word in (*command, "--out", folder)]) == 0
    return folder / "iuv"


def test_maps_are_registered(bodyreg, made, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "maps"
    shutil.copytree(made / "maps", folder)
    result = bodyreg(
        "register", "--iuv", folder, "--images", made / "images", "--points", 200,
        "--iterations", 60, "--overlays", 2, "--out", out,
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    assert "dense points" in result.out
    np.testing.assert_array_equal(Fits.load(out / "fits.npz").id, Truth.load(made / "truth.npz").id)
    source = json.loads((out / "run.json").read_text())["source"]
    assert (source["format"], source["points"]) == ("iuv", 200)
    assert bodyreg("report", out).status == 0
    maps = sorted(folder.glob("*_INDS.png"))
    maps[0].write_bytes(maps[1].read_bytes())
    assert "maps: has changed since the run" in bodyreg("report", out).error


def openpose_files(made, folder) -> int:
    """The made people's keypoints as OpenPose writes them, of all but the first person."""
    from bodyreg.data.skeletons import BODY_25

    truth = Truth.load(made / "truth.npz")
    with np.load(made / "truth.npz") as arrays:
        pictures = arrays["picture"].tolist()
    keypoints = true_pixels(truth, BODY_25.keypoints)
    people = {}
    for row, name in enumerate(pictures):
        person = np.column_stack([keypoints[row], np.ones(25)])
        people.setdefault(name, []).append({"pose_keypoints_2d": person.reshape(-1).tolist()})
    people[pictures[0]].pop(0)
    folder.mkdir()
    for name, found in people.items():
        stem = name.removeprefix("images/").removesuffix(".jpg")
        (folder / f"{stem}_keypoints.json").write_text(json.dumps({"people": found}))
    return len(truth)


def test_keypoints_of_another_detector(bodyreg, made, tmp_path):
    people = openpose_files(made, tmp_path / "keypoints")
    out, images = tmp_path / "out", ("--images", made / "images")
    sources = ("--iuv", made / "maps", "--openpose", tmp_path / "keypoints")
    result = bodyreg("register", *sources, *images, "--iterations", 60, "--out", out)
    assert (result.status, result.error) == (0, "")
    assert f"keypoints: found for {people - 1} of {people} people" in result.out
    assert "median distance of keypoints" in result.out
    source = json.loads((out / "run.json").read_text())["source"]
    assert source["keypoints"]["format"] == "openpose"
    assert bodyreg("report", out).status == 0
    alone = tmp_path / "alone"
    command = ("register", "--iuv", made / "maps", *images, "--iterations", 60, "--out", alone)
    assert bodyreg(*command).status == 0
    fits, points = Fits.load(out / "fits.npz"), Fits.load(alone / "fits.npz")
    changed = (fits.pose != points.pose).any((1, 2))
    assert changed.tolist() == [row > 0 for row in range(people)]
    path = next((tmp_path / "keypoints").iterdir())
    path.write_text(path.read_text() + " ")
    assert "maps: has changed since the run" in bodyreg("report", out).error
    result = bodyreg("register", *sources, "--out", tmp_path / "no")
    assert "give the folder of the pictures (--images)" in result.refusal


def test_options_that_do_not_fit(bodyreg, made, tmp_path):
    for arguments, words in (
        (("--mpii", "a.mat", "--points", 9), "--points belongs to --iuv"),
        (("--iuv", made / "maps", "--points", 0), "--points 0: must be"),
        (
            ("--iuv", made / "maps", "--part-in-red", "--part-in-blue"),
            "give one of --part-in-blue and --part-in-red",
        ),
        (("--iuv", made / "maps", "--part-in-red"), "its red channel is no part"),
        (
            ("--iuv", made / "maps", "--densepose-results", "a.pkl"),
            "give only one of --iuv and --densepose-results",
        ),
        (("--mpii", "a.mat", "--part-in-red"), "--part-in-red belongs to --iuv"),
    ):
        result = bodyreg("register", *arguments, "--out", tmp_path / "no")
        assert result.status == 2 and words in result.error, words
        assert result.error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_the_help_tells_the_number_of_points(capsys):
    from bodyreg.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["register", "--help"])
    assert f"(default: {POINTS})" in capsys.readouterr().out
