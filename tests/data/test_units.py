"""Numbers that cannot be pixels of a person: shares of the picture, and all joints in one place."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodyreg.data import (
    Observations,
    read_deepfashion,
    read_densepose_coco,
    read_mpii,
    read_openpose,
    read_spin,
    read_videopose3d,
)
from bodyreg.data.densepose_coco import NO_EVIDENCE
from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.errors import UserError

from .conftest import square_body
from .test_densepose_coco import annotation, coco_file
from .test_observations import arrays, make

Result = tuple[Observations, Counter]


def openpose(folder: Path, xy: np.ndarray) -> Result:
    people = [{"pose_keypoints_2d": np.insert(p, 2, 0.9, 1).reshape(-1).tolist()} for p in xy]
    (folder / "a_keypoints.json").write_text(json.dumps({"people": people}))
    return read_openpose(folder)


def openpose_18(folder: Path, xy: np.ndarray) -> Result:
    return openpose(folder, xy)


def mpii_json(folder: Path, xy: np.ndarray) -> Result:
    crop = {"joints_vis": [1] * 16, "center": [90.0, 80.0], "scale": 1.0}
    (folder / "a.json").write_text(json.dumps([crop | {"joints": p.tolist()} for p in xy]))
    return read_mpii(folder / "a.json")


def mpii_array(folder: Path, xy: np.ndarray) -> Result:
    np.save(folder / "a.npy", xy.reshape(len(xy), -1))
    return read_mpii(folder / "a.npy")


def spin(name: str, folder: Path, xy: np.ndarray) -> Result:
    np.savez(
        folder / "a.npz", imgname=np.array([f"{n}.jpg" for n in range(len(xy))]),
        center=np.full((len(xy), 2), 90.0), scale=np.ones(len(xy)),
        **{name: np.concatenate([xy, np.ones((*xy.shape[:2], 1))], 2)},
    )  # fmt: skip
    people, skipped = read_spin(folder / "a.npz")
    return people.observations, skipped


def spin_part(folder: Path, xy: np.ndarray) -> Result:
    return spin("part", folder, xy)


def spin_openpose(folder: Path, xy: np.ndarray) -> Result:
    return spin("openpose", folder, xy)


def videopose3d(folder: Path, xy: np.ndarray) -> Result:
    np.savez(folder / "a.npz", positions_2d={"S1": {"Eating": [xy]}})
    people, skipped = read_videopose3d(folder / "a.npz")
    return people.observations, skipped


def deepfashion(folder: Path, xy: np.ndarray) -> Result:
    (folder / "Label").mkdir(exist_ok=True)
    labels = {str(number): person.tolist() for number, person in enumerate(xy)}
    (folder / "Label/pose_label.pkl").write_bytes(pickle.dumps(labels, 2))
    (folder / "Label/pair_split.json").write_text("{}")
    return read_deepfashion(folder).observations()


def coco(folder: Path, xy: np.ndarray) -> Result:
    people = []
    for number, person in enumerate(xy):
        low, size = person.min(0), np.ptp(person, axis=0) + 1e-3
        people.append(
            annotation(number)
            | {f"dp_{key}": [] for key in "xyIUV"}
            | {"bbox": [*low, *size], "keypoints": np.insert(person, 2, 2, 1).reshape(-1).tolist()}
        )
    return read_densepose_coco(coco_file(folder / "a.json", *people), square_body())


def observations(folder: Path, xy: np.ndarray) -> Result:
    names = [f"name_{n}" for n in range(xy.shape[1])]
    people = Observations.of_keypoints(
        names, xy, np.ones(xy.shape[:2]), frame=np.tile([90, 80, 100], (len(xy), 1))
    )
    people.save(folder / "a.npz")
    found = Observations.load(folder / "a.npz")
    kept = found.has_evidence
    return found.select(kept), Counter({NO_EVIDENCE: int((~kept).sum())})


READERS: dict[Callable[[Path, np.ndarray], Result], int] = {
    openpose: 25, openpose_18: 18, mpii_json: 16, mpii_array: 17, spin_part: 24, spin_openpose: 25,
    videopose3d: 17, deepfashion: 18, coco: 17, observations: 6,
}  # fmt: skip
"""Reader -> how many joints it wants."""

EVERY_READER = pytest.mark.parametrize(
    ("read", "joints"), READERS.items(), ids=[read.__name__ for read in READERS]
)


def people_of(joints: int, low: float, high: float) -> np.ndarray:
    """(3, joints, 2)."""
    return np.random.default_rng(joints).uniform(low, high, (3, joints, 2))


@EVERY_READER
def test_pixels_are_read(tmp_path, read, joints):
    """Also those of the smallest pictures of people, 8 pixels high."""
    for high in (2000, 8):
        found, skipped = read(tmp_path, people_of(joints, 3, high))
        assert (len(found), skipped.total()) == (3, 0)


@EVERY_READER
@pytest.mark.parametrize(("low", "high"), [(0.05, 0.95), (-0.9, 0.9), (0, 1)])
def test_shares_of_the_picture_are_refused(tmp_path, read, joints, low, high):
    """OpenPose's --keypoint_scale 3 and 4, normalize_screen_coordinates, YOLO's and others."""
    people = people_of(joints, low, high)
    with pytest.raises(UserError, match=r"shares of the picture") as caught:
        read(tmp_path, people)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    people[:2] = 900 * people[:2] + 50  # one person alone is enough
    with pytest.raises(UserError, match="person 2 lies within 2 pixels"):
        read(tmp_path, people)


def test_dense_points_in_shares_are_refused(tmp_path):
    people = make(3, seed=2)
    values = arrays(people) | {"keypoint_weight": np.zeros_like(people.keypoint_weight)}
    assert (np.diff(people.point_start) >= 3).any()
    Observations(**values).check()
    values["point_xy"] = values["point_xy"] / 300
    with pytest.raises(UserError, match="shares of the picture"):
        Observations(**values).check()


@pytest.mark.parametrize("name", ["keypoint_xy", "point_xy"])
def test_shares_beside_pixels_are_refused(name):
    """Keypoints of one tool beside dense points of another."""
    random = np.random.default_rng(4)
    people = Observations(
        id=[5, 6], frame=np.full((2, 3), 90), point_start=[0, 8, 16],
        point_xy=random.uniform(3, 200, (16, 2)), point_vertex=np.zeros((16, 3), int),
        point_barycentric=np.tile([1.0, 0, 0], (16, 1)), point_weight=np.ones(16),
        keypoint_name=("a", "b", "c", "d"), keypoint_xy=random.uniform(3, 200, (2, 4, 2)),
        keypoint_weight=np.ones((2, 4)),
    )  # fmt: skip
    people.check()
    getattr(people, name)[-8 if name == "point_xy" else -1 :] /= 200
    with pytest.raises(UserError, match="person 6 lies within 2 pixels"):
        people.check()


def test_one_or_two_points_in_a_corner_are_no_proof():
    xy = np.array([[[0.5, 0.5], [1.5, 1]], [[30, 40], [50, 60]]])
    people = Observations.of_keypoints(["a", "b"], xy, np.ones((2, 2)))
    people.check()
    assert people.has_evidence.all()


@EVERY_READER
@pytest.mark.parametrize("place", [(60.0, 70.0), (0.0, 0.0)])
def test_all_joints_in_one_place_are_skipped_and_counted(tmp_path, read, joints, place):
    people = people_of(joints, 3, 300)
    people[1] = place
    found, skipped = read(tmp_path, people)
    assert len(found) == 2
    assert list((+skipped).values()) == [1]
    assert set(+skipped) <= {NOT_SPREAD_OUT, NO_EVIDENCE, "no labelled joint of the body"}
    assert found.has_evidence.all()


def test_dense_points_in_one_place_are_no_evidence():
    people = make(4, seed=2)
    people.keypoint_weight[:] = 0
    counts = np.diff(people.point_start)
    person = int(counts.argmax())
    assert counts[person] > 1
    assert people.has_evidence[person]
    people.point_xy[people.point_person == person] = (60, 70)
    assert not people.has_evidence[person]
    people.keypoint_weight[person, 0] = 1  # elsewhere
    assert people.has_evidence[person]


def test_one_joint_with_a_crop_is_kept(tmp_path):
    person = {
        "joints": [[60.0, 70.0], *[[-1, -1]] * 15], "joints_vis": [1, *[0] * 15],
        "center": [90.0, 80.0], "scale": 1.0,
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps([person]))
    found, skipped = read_mpii(tmp_path / "a.json")
    assert len(found) == 1 and not skipped
    assert found.has_evidence.all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(16, "num_joints is 16"), ("x", "num_joints is x"), (32, "17 joints, expected 32")],
)
def test_the_number_of_joints_that_a_file_tells_is_that_of_its_poses(tmp_path, count, expected):
    np.savez(
        tmp_path / "a.npz",
        positions_2d={"S1": {"Eating": [people_of(17, 3, 300)]}},
        metadata={"layout_name": "h36m", "num_joints": count},
    )
    with pytest.raises(UserError, match=expected):
        read_videopose3d(tmp_path / "a.npz")
