"""SPIN's and HMR's arrays: crops, confidences, what may be missing."""

import numpy as np
import pytest

from bodyreg.data.human36m import LEFT_OUT
from bodyreg.data.skeletons import BODY_25, COCO_17, H36M_17, SPIN_24
from bodyreg.data.spin import read_spin
from bodyreg.errors import UserError

NAMES = [
    "images/S9_Directions_1.54138969_000001.jpg",
    "images/S11_Directions.54138969_000006.jpg",
    "images/S11_Walking_1.60457274_000011.jpg",
    "train2014/COCO_train2014_000000000009.jpg",
]


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    people = len(NAMES)
    part = random.uniform(100, 200, (people, 24, 3))
    part[..., 2] = random.integers(0, 2, (people, 24))
    part[:, 9, 2] = 1
    S = random.normal(0, 1, (people, 24, 4))
    S[..., 3] = 1
    S[3, :, 3] = 0
    return {
        "imgname": np.array(NAMES), "center": random.uniform(100, 200, (people, 2)),
        "scale": random.uniform(1, 2, people), "part": part, "S": S,
        "openpose": random.uniform(0.1, 200, (people, 25, 3)), "pose": np.zeros((people, 72)),
    }  # fmt: skip


def save(path, **changes) -> str:
    content = {k: v for k, v in (arrays() | changes).items() if v is not None}
    np.savez(path, **content)
    return str(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "h36m_train.npz"


def test_crops_keypoints_and_joints(path):
    people, skipped = read_spin(save(path), broken=True)
    content, seen = arrays(), people.observations
    assert not skipped
    np.testing.assert_array_equal(seen.id, np.arange(4))
    np.testing.assert_allclose(seen.frame[:, :2], content["center"], rtol=1e-6)
    np.testing.assert_allclose(seen.frame[:, 2], 100 * content["scale"], rtol=1e-6)
    assert seen.picture.tolist() == NAMES
    for name in ("left_shoulder", "nose", "right_ankle", "pelvis"):
        slot, column = SPIN_24.joints.index(name), seen.keypoint_name.index(f"spin/{name}")
        there = content["part"][:, slot, 2] > 0
        np.testing.assert_array_equal(seen.keypoint_weight[:, column] > 0, there)
        np.testing.assert_allclose(
            seen.keypoint_xy[there, column], content["part"][there, slot, :2], rtol=1e-6
        )
    assert seen.keypoint_name == SPIN_24.keypoints
    right_wrist, head = content["S"][0, 6, :3], content["S"][0, 18, :3]
    np.testing.assert_allclose(people.joints[0, 16], right_wrist * [1, -1, -1], rtol=1e-6)
    np.testing.assert_allclose(people.joints[0, 10], head * [1, -1, -1], rtol=1e-6)
    assert np.isnan(people.joints[3]).all()


def test_pictures_of_human36m_name_subject_and_frame(path):
    people, skipped = read_spin(save(path))
    assert skipped == {LEFT_OUT: 1}
    assert people.subject.tolist() == ["S9", "S11", ""]
    assert people.action.tolist() == ["Directions 1", "Walking 1", ""]
    assert people.camera.tolist() == ["54138969", "60457274", ""]
    np.testing.assert_array_equal(people.frame, [0, 10, -1])
    np.testing.assert_array_equal(people.observations.id, [0, 2, 3])
    # So the studio's lenses are known: the mean of its cameras' focal lengths of x and y.
    focal = people.observations.focal
    np.testing.assert_allclose(focal, [1144.415, 1145.143, np.nan], atol=0.01)
    assert people.observations.picture_size.tolist() == [[1000, 1002], [1000, 1002], [0, 0]]


def test_numbers_of_too_many_digits_are_no_frames(path):
    names = [f"S9_Walking.54138969_{'9' * digits}.jpg" for digits in (18, 19, 30, 5000)]
    people, _ = read_spin(save(path, imgname=np.array(names)))
    np.testing.assert_array_equal(people.frame, [10**18 - 2, -1, -1, -1])


def test_openpose_stands_in_for_part(path):
    empty = np.zeros((len(NAMES), 24, 3))
    for part in (None, empty):
        seen = read_spin(save(path, part=part), broken=True)[0].observations
        assert seen.keypoint_name == BODY_25.keypoints
        column = BODY_25.joints.index("left_heel")
        found = arrays()["openpose"][:, BODY_25.joints.index("left_heel")]
        np.testing.assert_allclose(seen.keypoint_xy[:, column], found[:, :2], rtol=1e-6)
        np.testing.assert_allclose(seen.keypoint_weight[:, column], found[:, 2], rtol=1e-6)


def test_a_test_set_has_joints_and_no_keypoints(path):
    people, _ = read_spin(save(path, part=None, openpose=None))
    assert len(people) == 3
    assert not people.observations.has_evidence.any()
    assert np.isfinite(people.joints[0]).all()
    people, _ = read_spin(save(path, S=None))
    assert np.isnan(people.joints).all()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"center": None}, "array 'center' is missing"),
        ({"imgname": None}, "array 'imgname' is missing"),
        ({"imgname": np.arange(4)}, "imgname has dtype"),
        ({"imgname": np.array("a.jpg")}, "imgname has shape"),
        ({"scale": np.ones((4, 1))}, r"scale has shape \(4, 1\)"),
        ({"scale": np.zeros(4)}, "has no area"),
        ({"center": np.full((4, 2), np.nan)}, "frame of person 0 is not finite"),
        ({"part": np.zeros((4, 24, 2))}, "part has shape"),
        ({"part": np.full((4, 24, 3), [np.inf, 1, 1])}, "keypoint_xy of person 0 is not finite"),
        ({"part": np.full((4, 24, 3), 1e300)}, "keypoint_weight of person 0 is not finite"),
        ({"S": np.full((4, 24, 4), 1e4)}, "positions are too large; they must be metres"),
        ({"S": np.full((4, 24, 4), 1e300)}, "positions are too large; they must be metres"),
        ({"S": np.zeros((3, 24, 4))}, "S has shape"),
        ({"S": np.zeros((4, 24, 4), np.complex64)}, "S has dtype"),
        ({"imgname": np.array([{}] * 4, object)}, "pickled"),
    ],
)
def test_bad_arrays_are_refused(path, changes, expected):
    with pytest.raises(UserError, match=expected) as caught:
        read_spin(save(path, **changes))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def seventeen(**changes) -> dict[str, np.ndarray]:
    content = arrays()
    return {"part": content["part"][:, :17], "S": content["S"][:, :17]} | changes


@pytest.mark.parametrize(
    ("joints", "skeleton"), [("h36m", H36M_17), ("coco", COCO_17), (None, H36M_17)]
)
def test_seventeen_joints(path, joints, skeleton):
    names = np.array([NAMES[0]] * 4) if joints is None else np.array(NAMES)
    content = seventeen(imgname=names)
    people, _ = read_spin(save(path, **content), broken=True, joints=joints)
    seen, there = people.observations, content["part"][..., 2] > 0
    assert seen.keypoint_name == skeleton.keypoints
    np.testing.assert_array_equal(seen.keypoint_weight > 0, there)
    np.testing.assert_allclose(seen.keypoint_xy[there], content["part"][there, :2], rtol=1e-6)
    if skeleton is COCO_17:
        assert np.isnan(people.joints).all()
    else:
        np.testing.assert_allclose(
            people.joints[:3], content["S"][:3, :, :3] * [1, -1, -1], rtol=1e-6
        )


def test_seventeen_joints_of_whom(path):
    with pytest.raises(UserError, match="say whose joints they are"):
        read_spin(save(path, **seventeen()))
    with pytest.raises(UserError, match="different numbers of joints"):
        read_spin(save(path, part=arrays()["part"][:, :17]), joints="coco")
    with pytest.raises(UserError, match="part has shape"):
        read_spin(save(path, part=arrays()["part"][:, :16], S=None), joints="coco")
