"""Files of `bodyreg synthesize` in the real formats, read back: the truth, to rounding."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from bodyreg.body import Body
from bodyreg.cli import main
from bodyreg.data import (
    Observations,
    Truth,
    read_deepfashion,
    read_densepose_coco,
    read_market1501,
    read_mpii,
    read_pose_pairs,
    read_spin,
    read_videopose3d,
)
from bodyreg.data.flip import flip_observations, flip_truth
from bodyreg.data.formats import read_human36m
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import H36M_17

from ..true_keypoints import true_keypoints, true_pixels

PEOPLE = 6
# Files round to a thousandth of a pixel, dense points to a thousandth of 1/256 of their box.
ROUNDING = 3e-3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every format, without pictures and without noise."""
    folder = tmp_path_factory.mktemp("made")
    arguments = (
        "synthesize", "--out", folder, "--people", PEOPLE, "--no-pictures", "--workers", 1,
        "--noise-pixels", 0, "--noise-depth", 0, "--quiet", "--formats", "densepose-coco", "mpii",
        "human36m", "deepfashion", "market1501",
    )  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def truth_of(folder, people: Observations) -> Truth:
    """The truth of these people, in their order."""
    truth = Truth.load(folder / "truth.npz")
    place = {number: row for row, number in enumerate(truth.id.tolist())}
    return truth.select(np.array([place[number] for number in people.id.tolist()]))


def assert_keypoints_are_true(people: Observations, truth: Truth) -> None:
    """The keypoints lie where the truth has them."""
    expected = true_pixels(truth, people.keypoint_name)
    there = people.keypoint_weight > 0
    assert there.sum() > 5 * len(people)
    np.testing.assert_allclose(people.keypoint_xy[there], expected[there], atol=ROUNDING)


def assert_points_are_true(people: Observations, truth: Truth) -> None:
    """The surface points that the dense points name lie where these are."""
    person = people.point_person
    corners = truth.vertices[person[:, None], people.point_vertex]
    places = np.einsum("pk,pkc->pc", people.point_barycentric, corners)
    xy = truth.scale[person, None] * places[:, :2] + truth.translation[person]
    expected = image_from_frame(xy, truth.frame[person])
    assert len(person) > 50 * len(people)
    np.testing.assert_allclose(people.point_xy, expected, atol=ROUNDING)


def test_densepose_coco(made, body):
    folder = made / "densepose-coco"
    people, skipped = read_densepose_coco(folder / "densepose.json", body)
    assert not skipped
    truth = truth_of(folder, people)
    assert_keypoints_are_true(people, truth)
    assert_points_are_true(people, truth)
    np.testing.assert_array_equal(people.frame, truth.frame)
    coco = COCO(folder / "densepose.json")
    names = [coco.imgs[coco.anns[number]["image_id"]]["file_name"] for number in people.id]
    assert people.picture.tolist() == names


def test_flipped_people_have_the_flipped_truth(made, body):
    folder = made / "densepose-coco"
    people, _ = read_densepose_coco(folder / "densepose.json", body)
    truth = flip_truth(truth_of(folder, people), body, 256)
    flipped = flip_observations(people, body, 256)
    assert_keypoints_are_true(flipped, truth)
    assert_points_are_true(flipped, truth)


def test_mpii(made):
    people, skipped = read_mpii(made / "mpii" / "annot.json")
    assert sum(skipped.values()) + len(people) == len(Truth.load(made / "mpii" / "truth.npz"))
    assert_keypoints_are_true(people, truth_of(made / "mpii", people))
    inside = np.abs(people.keypoint_xy - people.frame[:, None, :2]) <= people.frame[:, None, 2:]
    assert inside[people.keypoint_weight > 0].mean() > 0.95


@pytest.fixture(scope="module")
def poses(made):
    folder = made / "human36m"
    files = (folder / name for name in ("data_2d_h36m_gt.npz", "data_3d_h36m.npz", "cameras.json"))
    people, skipped = read_videopose3d(*files, broken=True)
    assert not skipped
    return people


def test_videopose3d(made, poses):
    truth = truth_of(made / "human36m", poses.observations)
    for name in ("subject", "camera"):
        np.testing.assert_array_equal(getattr(poses, name), getattr(truth, name))
    expected = true_keypoints(truth, H36M_17.keypoints)
    np.testing.assert_allclose(
        poses.joints - poses.joints[:, :1], expected - expected[:, :1], atol=1e-5
    )


def test_videopose3d_joints_are_seen_where_the_keypoints_are(made, poses):
    """Through the cameras' focal lengths and centres, which the reader does not need."""
    cameras = json.loads((made / "human36m" / "cameras.json").read_text())
    seen = poses.observations
    columns = [H36M_17.keypoints.index(name) for name in seen.keypoint_name]
    for number in range(len(poses)):
        row = {camera["id"]: camera for camera in cameras[poses.subject[number]]}
        camera = row[poses.camera[number]]
        place = poses.joints[number, columns]
        xy = place[:, :2] * [1, -1] / -place[:, 2:] * camera["focal_length"] + camera["center"]
        np.testing.assert_allclose(seen.keypoint_xy[number], xy, atol=ROUNDING)


def test_spin_says_what_videopose3d_says(made, poses):
    keys = list(zip(poses.subject, poses.action, poses.camera, poses.frame, strict=True))
    count = 0
    for name in ("h36m_train", "h36m_valid_protocol1"):
        people, skipped = read_spin(made / "human36m" / f"{name}.npz", broken=True)
        assert not skipped
        rows = [
            keys.index(key)
            for key in zip(people.subject, people.action, people.camera, people.frame, strict=True)
        ]
        expected = poses.joints[rows] - poses.joints[rows, :1]
        np.testing.assert_allclose(people.joints, expected, atol=1e-5)
        seen, others = people.observations, poses.observations
        for column, joint in enumerate(seen.keypoint_name):
            there = seen.keypoint_weight[:, column] > 0
            if there.any():
                np.testing.assert_allclose(
                    seen.keypoint_xy[there, column],
                    others.keypoint_xy[rows][there, others.keypoint_name.index(joint)],
                    atol=ROUNDING,
                )
        truth = truth_of(made / "human36m", others)
        np.testing.assert_allclose(seen.frame, truth.frame[rows], rtol=1e-6)
        count += len(people)
    assert count == len(poses)
    assert len(read_human36m(made / "human36m" / "h36m_train.npz")[0]) <= count
    assert len(read_human36m(made / "human36m" / "data_2d_h36m_gt.npz")[0]) <= count


@pytest.mark.parametrize(
    ("name", "read"), [("deepfashion", read_deepfashion), ("market1501", read_market1501)]
)
def test_pose_pairs(made, name, read):
    people = read(made / name)
    assert read_pose_pairs(made / name).pictures == people.pictures
    seen, _ = people.observations()
    truth = truth_of(made / name, seen)
    assert_keypoints_are_true(seen, truth)
    assert all(people.parts(number).is_file() for number in range(len(people)))
    subject = dict(zip(truth.id.tolist(), truth.subject.tolist(), strict=True))
    pairs = np.concatenate(list(people.pairs.values()))
    assert len(pairs)
    for source, target in pairs.tolist():
        assert source != target
        if source in subject and target in subject:
            assert subject[source] == subject[target]


def test_joints_of_fitted_bodies(made):
    adapted = read_deepfashion(made / "deepfashion", adapted=True)
    found = read_deepfashion(made / "deepfashion")
    assert adapted.ids == found.ids
    # Without noise, OpenPose's joints are the body's.
    np.testing.assert_allclose(adapted.joints, found.joints, atol=ROUNDING)
