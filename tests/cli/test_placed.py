"""`bodyreg register --initial` from what another tool has placed in space: SAM 3D Body's files.

Reference: the bodies whose keypoints the files hold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodyreg import Body
from bodyreg.data import Fits, Observations, read_keypoints
from bodyreg.data.sam3d import OF_70
from bodyreg.data.skeletons import COCO_17, WHOLE_BODY_23
from bodyreg.pictures import write_picture
from bodyreg.registration import register
from tests.exchange.people import random_fits

PEOPLE, SIDE, METRE = 5, 640, 150.0
"""Two people in each picture, the last one alone; pixels of a picture and of a metre."""


@pytest.fixture(scope="module")
def truth() -> Fits:
    """People who stand in the left and right halves of pictures, seen from afar."""
    random = np.random.default_rng(5)
    fits = Fits.concatenate([random_fits(random, 1) for _ in range(PEOPLE)])
    half = np.float32(160)
    frame = [[160 + 320 * (n % 2), 320, half] for n in range(PEOPLE)]
    return replace(
        fits,
        id=np.arange(PEOPLE) + 20,
        frame=np.array(frame, np.float32),
        pose=0.4 * fits.pose,
        segment_scale=np.ones_like(fits.segment_scale),
        rotation=np.tile(np.eye(3, dtype=np.float32), (PEOPLE, 1, 1)),
        translation=np.zeros((PEOPLE, 2), np.float32),
        scale=np.full(PEOPLE, METRE / half, np.float32),
        focal=None, principal_point=None, joint_deviation=None, loss=None,
    )  # fmt: skip


def name_of(person: int) -> str:
    return f"picture {person // 2}"


@pytest.fixture
def files(tmp_path, truth) -> Path:
    """A folder of pictures, of keypoints in COCO's order, and of SAM 3D Body's files."""
    body, sam = Body.default(), defaultdict(list)
    places = truth.keypoints(body, WHOLE_BODY_23.keypoints)
    seen = truth.frame[:, None, :2] + places[..., :2] * [1, -1] * truth.frame[:, None, 2:]
    for person in range(PEOPLE - 1):  # the last one it has not found
        flat, space = np.zeros((70, 2)), np.zeros((70, 3))
        flat[OF_70] = seen[person]
        space[OF_70] = places[person] / truth.scale[person] * [1, -1, -1] + [0.3, 0.1, 4]
        one = {"pred_keypoints_2d": flat, "pred_keypoints_3d": space}
        sam[name_of(person)].insert(0, one)  # in another order
    for folder in ("images", "sam"):
        (tmp_path / folder).mkdir()
    for picture in {name_of(person) for person in range(PEOPLE)}:
        write_picture(tmp_path / "images" / f"{picture}.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    for picture, people in sam.items():
        np.savez(tmp_path / "sam" / f"{picture}.npz", data=np.array(people, object))
    of_coco = [WHOLE_BODY_23.joints.index(joint) for joint in COCO_17.joints]
    Observations.of_keypoints(
        COCO_17.keypoints,
        seen[:, of_coco],
        np.ones((PEOPLE, 17)),
        id=truth.id,
        frame=truth.frame,
        picture=np.array([f"{name_of(person)}.png" for person in range(PEOPLE)]),
        picture_size=np.full((PEOPLE, 2), SIDE),
    ).save(tmp_path / "people.npz")
    return tmp_path


def words(files: Path, initial: Path, out: Path) -> tuple:
    people = ("--observations", files / "people.npz", "--images", files / "images")
    return ("register", *people, "--initial", initial, "--out", out)


def error(fits: Fits, truth: Fits) -> float:
    """Metres: the mean distance of joints from the true ones, about the pelvis."""
    rows = [truth.id.tolist().index(person) for person in fits.id.tolist()]
    places = [
        some.joints(Body.default()) / some.scale[:, None, None]
        for some in (fits, truth.select(rows))
    ]
    found, expected = (joints - joints[:, :1] for joints in places)
    return float(np.linalg.norm(found - expected, axis=-1).mean())


def test_bodies_start_where_another_tool_has_seen_them(bodyreg, files, truth):
    out = files / "run"
    result = bodyreg(*words(files, files / "sam", out))
    assert (result.status, result.error) == (0, "")
    assert "warm" in result.out and "skipped 1 (1 without a start)" in result.out
    start, fits = Fits.load(out / "initial.npz"), Fits.load(out / "fits.npz")
    assert sorted(start.id.tolist()) == fits.id.tolist() == truth.id[:-1].tolist()
    cold = files / "cold"
    bodyreg("register", *words(files, Path(), out)[1:5], "--out", cold)
    errors = [error(found, truth) for found in (start, fits, Fits.load(cold / "fits.npz"))]
    assert errors[0] < errors[1] < errors[2]
    # The start is the registration of what the files hold, in another order.
    seen, _ = read_keypoints(files / "sam", files / "images")
    alone = register(Body.default(), seen).select([1, 0, 3, 2])
    np.testing.assert_array_equal(start.pose, alone.pose)
    np.testing.assert_array_equal(start.segment_scale, alone.segment_scale)
    expected = alone.frame[:, :2] + alone.translation * [1, -1] * alone.frame[:, 2:]
    found = start.frame[:, :2] + start.translation * [1, -1] * start.frame[:, 2:]
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert bodyreg("report", out).status == 0
    assert bodyreg("evaluate", out, "--truth", out / "none.npz").status == 2
    record = json.loads((out / "run.json").read_text())
    assert record["initial_fits"]["path"] == "initial.npz"
    # The same command is finished; another start is another run.
    before = (out / "initial.npz").read_bytes()
    assert "the same run is finished" in bodyreg(*words(files, files / "sam", out)).out
    line = bodyreg(*words(files, files / "sam" / "picture 0.npz", out)).refusal
    assert "holds another run, or one with another start" in line
    assert (out / "initial.npz").read_bytes() == before


def test_one_file_is_the_start_of_its_people(bodyreg, files, truth):
    result = bodyreg(*words(files, files / "sam" / "picture 1.npz", files / "run"))
    assert "skipped 3 (3 without a start)" in result.out
    assert Fits.load(files / "run" / "fits.npz").id.tolist() == truth.id[2:4].tolist()


def test_a_run_is_the_start_of_its_people(bodyreg, tmp_path, observations_file, body_file):
    """By its folder, which is no folder of SAM 3D Body's files."""
    people = ("--observations", observations_file, "--body", body_file, "--iterations", 2)
    first, out = tmp_path / "first", tmp_path / "out"
    assert bodyreg("register", *people, "--out", first).status == 0
    result = bodyreg("register", *people, "--initial", first, "--out", out)
    assert (result.status, result.error) == (0, "")
    record = json.loads((out / "run.json").read_text())
    assert record["initial_fits"]["path"] == str(first / "fits.npz")
    again = bodyreg("register", *people, "--initial", first / "fits.npz", "--out", out)
    assert "the same run is finished here" in again.out


def test_starts_that_cannot_be(bodyreg, files):
    (files / "empty").mkdir()
    np.savez(files / "other.npz", a=np.zeros(3))
    np.savez(files / "sam" / "picture 0.npz", data=np.array([{}], object))
    alone = files / "alone"
    alone.mkdir()
    elsewhere = {"pred_keypoints_2d": np.random.default_rng(0).uniform(0, 9, (70, 2))}
    elsewhere["pred_keypoints_3d"] = np.c_[elsewhere["pred_keypoints_2d"], np.zeros(70)] / METRE
    np.savez(alone / "picture 2.npz", **elsewhere)
    for path, expected in (
        (files / "none", "no such"),
        (files / "empty", "no .json file of keypoints, nor .npz"),
        (files / "other.npz", "bodyreg-fits-1"),
        (files / "sam", "pred_keypoints_2d is missing"),
        (alone, "none of its people is one of"),
    ):
        assert expected in bodyreg(*words(files, path, files / "run")).refusal
        assert not (files / "run" / "initial.npz").exists()
