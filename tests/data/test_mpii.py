"""MPII poses: slots land on the body's names, and other arrays are refused."""

import numpy as np
import pytest

from bodyreg.data.frames import frame_from_image
from bodyreg.data.mpii import read_mpii_poses
from bodyreg.errors import UserError


@pytest.fixture
def poses() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 700, (11, 34)).astype(np.float32)


def test_slots_become_named_keypoints(tmp_path, poses):
    np.save(tmp_path / "poses.npy", poses)
    people, skipped = read_mpii_poses(tmp_path / "poses.npy")
    assert not skipped
    assert len(people) == 11
    assert len(people.point_xy) == 0
    slots = {"pelvis": 0, "right_ankle": 3, "left_hip": 4, "head_top": 10, "left_wrist": 13}
    for name, slot in slots.items():
        xy = people.keypoint_xy[:, people.keypoint_name.index(name)]
        np.testing.assert_array_equal(xy, poses.reshape(-1, 17, 2)[:, slot])
    assert people.keypoint_depth is None
    assert (people.keypoint_weight == 1).all()
    inside = frame_from_image(people.keypoint_xy, people.frame[:, None])
    assert np.abs(inside).max() <= 1 / 1.2 + 1e-6


def test_both_shapes_are_one(tmp_path, poses):
    np.save(tmp_path / "flat.npy", poses)
    np.save(tmp_path / "deep.npy", poses.reshape(-1, 17, 2).astype(np.float64))
    flat, _ = read_mpii_poses(tmp_path / "flat.npy")
    deep, _ = read_mpii_poses(tmp_path / "deep.npy")
    np.testing.assert_array_equal(flat.keypoint_xy, deep.keypoint_xy)


def bad_arrays():
    good = np.random.default_rng(0).uniform(0, 9, (3, 34))
    not_finite = good.copy()
    not_finite[1, 5] = np.nan
    flat = good.copy()
    flat[2] = 4
    return {
        "shape": good[:, :32],
        "scalar": np.array(3.0),
        "not finite": not_finite,
        "one place": flat,
        "text": good.astype(str),
        "objects": good.astype(object),
    }


@pytest.mark.parametrize("array", bad_arrays().values(), ids=bad_arrays().keys())
def test_bad_arrays_are_refused(tmp_path, array):
    path = tmp_path / "poses.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(UserError, match=r"poses\.npy"):
        read_mpii_poses(path)


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_bad_files_are_refused(tmp_path, content):
    path = tmp_path / "poses.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"poses\.npy"):
        read_mpii_poses(path)


def test_a_truncated_file_is_refused(tmp_path, poses):
    path = tmp_path / "poses.npy"
    np.save(path, poses)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a readable"):
        read_mpii_poses(path)
