"""What costs nothing to read is read: null for what is absent, true for 1, the order of a file."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from bodyreg.data import (
    read_deepfashion,
    read_densepose_coco,
    read_mpii,
    read_openpose,
    read_spin,
    read_videopose3d,
)
from bodyreg.data.densepose_coco import CROWD, KEYPOINTS
from bodyreg.data.flip_coco import flip_annotation
from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.data.skeletons import COCO_17, MPII_16
from bodyreg.errors import UserError

from .test_densepose_coco import annotation, coco_file
from .test_human36m import poses_2d, poses_3d, write_cameras
from .test_mpii import person as mpii_person
from .test_spin import arrays as spin_arrays

NOTHING = (None, float("nan"), float("inf"), -7.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.json"


def read_coco(path, body, *people, **changes):
    coco_file(path, *people)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return read_densepose_coco(path, body)


@pytest.mark.parametrize("nothing", NOTHING)
def test_absent_keypoints_of_coco(path, body, nothing):
    person = annotation()
    person["keypoints"][: 3 * 8] = [nothing, nothing, 0] * 8
    people, _ = read_coco(path, body, person)
    assert people.keypoint_weight[0].tolist() == [0] * 8 + [1] * 9
    assert (people.keypoint_xy[0, :8] == 0).all() and (people.keypoint_xy[0, 8:] > 0).all()
    person["keypoints"][:3] = [50.0, None, 2]
    with pytest.raises(UserError, match="annotation 7: keypoints is not finite"):
        read_coco(path, body, person)


@pytest.mark.parametrize("nothing", NOTHING)
def test_absent_joints_of_openpose(tmp_path, nothing):
    rows = np.random.default_rng(0).uniform(5, 90, (25, 3)).tolist()
    rows[3] = [nothing, nothing, 0]
    rows[4] = [12.0, 13.0, None]
    person = {"pose_keypoints_2d": [number for row in rows for number in row]}
    faces = [{"pose_keypoints_2d": []}, {"pose_keypoints_2d": None, "face_keypoints_2d": [1, 2, 3]}]
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"people": [faces[0], person, faces[1]]}))
    people, skipped = read_openpose(tmp_path)
    assert people.id.tolist() == [1] and skipped == {NOT_SPREAD_OUT: 2}
    weight = dict(zip(people.keypoint_name, people.keypoint_weight[0], strict=True))
    absent = [name.split("/")[1] for name, there in weight.items() if not there]
    assert absent == ["right_elbow", "right_wrist"]
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"people": faces}))
    people, skipped = read_openpose(tmp_path)
    assert len(people) == 0 and skipped == {NOT_SPREAD_OUT: 2}


@pytest.mark.parametrize("nothing", NOTHING[:3])
def test_absent_joints_of_the_others(tmp_path, path, nothing):
    person = mpii_person()
    person["joints"][15] = [nothing, nothing]
    person["joints_vis"][15] = 0
    path.write_text(json.dumps([person]))
    people, _ = read_mpii(path)
    assert people.keypoint_weight.sum() == len(MPII_16) - 1
    person["joints_vis"][15] = 1
    path.write_text(json.dumps([person]))
    with pytest.raises(UserError, match="person 0: joint 15: joints is not finite"):
        read_mpii(path)

    content = spin_arrays()
    content["part"][0, 0] = [*[np.nan if nothing is None else nothing] * 2, np.nan]
    np.savez(tmp_path / "a.npz", **content)
    people, _ = read_spin(tmp_path / "a.npz")
    assert people.observations.keypoint_weight[0, 0] == 0

    (tmp_path / "Label").mkdir()
    joints = [[3.0 * n, 4.0] for n in range(18)]
    joints[2] = [None, None]
    (tmp_path / "Label" / "pose_label.pkl").write_bytes(pickle.dumps({"a": joints}, 2))
    (tmp_path / "Label" / "pair_split.json").write_text("{}")
    assert np.isnan(read_deepfashion(tmp_path).joints[0]).any(1).sum() == 1


@pytest.mark.parametrize("info", [None, [], "made by a tool", {}])
def test_info_that_says_nothing(path, body, info):
    people, _ = read_coco(path, body, annotation(), info=info)
    assert len(people) == 1


@pytest.mark.parametrize("categories", [None, [], [{"id": 1, "keypoints": None}], [{"id": 1.0}]])
def test_categories_that_say_nothing(path, body, categories):
    expected, _ = read_coco(path, body, annotation())
    people, _ = read_coco(path, body, annotation(), categories=categories)
    np.testing.assert_array_equal(people.keypoint_xy, expected.keypoint_xy)


@pytest.mark.parametrize(
    ("crowd", "kept"),
    [(0, 1), ("0", 1), (False, 1), (None, 1), ("false", 1), (1, 0), ("1", 0), (True, 0), (1.0, 0)],
)
def test_a_crowd_in_every_spelling(path, body, crowd, kept):
    people, skipped = read_coco(path, body, annotation() | {"iscrowd": crowd}, annotation(8))
    assert len(people) == 1 + kept and skipped == ({} if kept else {CROWD: 1})
    with pytest.raises(UserError, match="annotation 7: iscrowd is neither 0 nor 1"):
        read_coco(path, body, annotation() | {"iscrowd": "maybe"})


def test_true_and_false_for_one_and_zero(path, body):
    person = annotation()
    person["keypoints"][2::3] = [False, *[True] * 16]
    people, _ = read_coco(path, body, person)
    assert people.keypoint_weight[0].tolist() == [0, *[1] * 16]
    visible = [True] * 15 + [False]
    path.write_text(json.dumps([mpii_person(joints_vis=visible)]))
    found, _ = read_mpii(path)
    path.write_text(json.dumps([mpii_person(joints_vis=[int(v) for v in visible])]))
    expected, _ = read_mpii(path)
    np.testing.assert_array_equal(found.keypoint_weight, expected.keypoint_weight)
    assert found.keypoint_weight.sum() == len(MPII_16) - 1


@pytest.mark.parametrize("nothing", [None, np.zeros((0,)), [], np.zeros((0, 17, 2))])
def test_a_camera_that_saw_nothing(tmp_path, nothing):
    views = poses_2d()
    views[1] = nothing
    np.savez(tmp_path / "2d.npz", positions_2d={"S1": {"Eating": views}})
    np.savez(tmp_path / "3d.npz", positions_3d={"S1": {"Eating": poses_3d()}})
    cameras = write_cameras(tmp_path / "cameras.json", "S1")
    poses, _ = read_videopose3d(tmp_path / "2d.npz", tmp_path / "3d.npz", cameras)
    assert set(poses.camera) == {"54138969", "58860488", "60457274"}
    assert len(poses) == sum(len(view) for view in poses_2d()) - len(poses_2d()[1])
    assert poses.observations.id.tolist() == list(range(len(poses)))


def test_cameras_whose_names_are_numbers(tmp_path):
    np.savez(tmp_path / "2d.npz", positions_2d={"S1": {"Eating": poses_2d()}})
    np.savez(tmp_path / "3d.npz", positions_3d={"S1": {"Eating": poses_3d()}})
    cameras = tmp_path / "cameras.json"
    write_cameras(cameras, "S1")
    expected, _ = read_videopose3d(tmp_path / "2d.npz", tmp_path / "3d.npz", cameras)
    content = json.loads(cameras.read_text())
    for row in content["S1"]:
        row["id"] = int(row["id"])
    cameras.write_text(json.dumps(content))
    found, _ = read_videopose3d(tmp_path / "2d.npz", tmp_path / "3d.npz", cameras)
    np.testing.assert_array_equal(found.camera, expected.camera)
    np.testing.assert_array_equal(found.joints, expected.joints)


@pytest.mark.parametrize("root", [False, True])
def test_hourglass_json_of_mpii(path, root):
    """The same person as in HRNet's; hidden joints are labelled, those at (0, 0) are not."""
    person = mpii_person(joints_vis=[1] * 14 + [0, 1])
    path.write_text(json.dumps([person]))
    expected, _ = read_mpii(path)
    rows = [[x, y, 1.0] for x, y in person["joints"]]
    rows[3][2], rows[14] = 0.0, [0, 0, 0]
    other = {
        "dataset": "MPI", "isValidation": 0.0, "img_paths": person["image"],
        "objpos": person["center"],
        "joint_self": rows, "scale_provided": person["scale"], "numOtherPeople": 1.0,
        "joint_others": [], "people_index": 1.0,
    }  # fmt: skip
    path.write_text(json.dumps({"root": [other]} if root else [other]))
    found, skipped = read_mpii(path)
    assert not skipped
    np.testing.assert_array_equal(found.keypoint_xy, expected.keypoint_xy)
    np.testing.assert_array_equal(found.keypoint_weight, expected.keypoint_weight)
    np.testing.assert_array_equal(found.frame, expected.frame)
    assert found.picture.tolist() == [person["image"]]
    path.write_text(json.dumps([other | {"joint_self": rows[:15]}]))
    with pytest.raises(UserError, match="person 0: joint_self is not a list of 16 joints"):
        read_mpii(path)


def in_order(person: dict, names: list[str]) -> dict:
    """The same annotation with its keypoints in another order; a name that COCO lacks is a trap."""
    rows = dict(zip(KEYPOINTS, np.reshape(person["keypoints"], (17, 3)).tolist(), strict=True))
    flat = [n for name in names for n in rows.get(name.lower().replace(" ", "_"), [1.0, 999.0, 2])]
    return person | {"keypoints": flat}


SHUFFLED = [KEYPOINTS[place] for place in np.random.default_rng(3).permutation(17)]
ORDERS = {
    "another order": SHUFFLED,
    "fewer": SHUFFLED[:9],
    "more": ["head_bottom", *SHUFFLED[:5], "head_top", "neck", *SHUFFLED[5:]],
    "spelled otherwise": [name.replace("_", " ").title() for name in SHUFFLED],
}


@pytest.mark.parametrize("names", ORDERS.values(), ids=ORDERS)
def test_keypoints_are_known_by_the_names_of_their_category(path, body, names):
    """PoseTrack's files have the base of the head where COCO has an eye."""
    expected, _ = read_coco(path, body, annotation())
    categories = [{"id": 1, "name": "person", "keypoints": names}]
    person = in_order(annotation(), names)
    for change in ({}, {"category_id": None}):
        people, _ = read_coco(path, body, person | change, categories=categories)
        assert people.keypoint_name == COCO_17.keypoints
        known = [name.lower().replace(" ", "_") for name in names]
        there = [name in known for name in KEYPOINTS]
        np.testing.assert_array_equal(people.keypoint_weight[0], there)
        np.testing.assert_array_equal(people.keypoint_xy[0][there], expected.keypoint_xy[0][there])


def test_each_annotation_has_its_own_category(path, body):
    expected, _ = read_coco(path, body, annotation(1), annotation(2, seed=1))
    other = in_order(annotation(2, seed=1), SHUFFLED) | {"category_id": 5}
    categories = [{"id": 1, "keypoints": list(KEYPOINTS)}, {"id": 5, "keypoints": SHUFFLED}]
    people, _ = read_coco(path, body, annotation(1), other, categories=categories)
    np.testing.assert_array_equal(people.keypoint_xy, expected.keypoint_xy)


def test_depths_stand_in_the_order_of_the_keypoints(path, body):
    depths = np.linspace(-1, 1, 17)
    by_name = dict(zip(KEYPOINTS, depths.tolist(), strict=True))
    person = in_order(annotation(), SHUFFLED)
    person["keypoint_depths"] = [by_name[name] for name in SHUFFLED]
    people, _ = read_coco(path, body, person, categories=[{"id": 1, "keypoints": SHUFFLED}])
    np.testing.assert_allclose(people.keypoint_depth[0], depths, rtol=1e-6)


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ([{"id": 1, "keypoints": ["snout", "tail"]}], "names keypoints 'snout' ..., none"),
        ([{"id": 1, "keypoints": list(KEYPOINTS[:16])}], "keypoints has 51 numbers, expected 48"),
        ([{"id": 1, "keypoints": ["nose", "Nose "]}], "names a keypoint twice"),
        ([{"id": 1, "keypoints": [1, 2]}], r"categories\[0\]: keypoints is not a list of names"),
        ([{"keypoints": []}], r"categories\[0\]: id is missing"),
        ([3], r"categories\[0\] is not an object"),
        ("person", "'categories' is not a list"),
    ],
)
def test_bad_categories_are_refused(path, body, categories, expected):
    person = annotation()
    if "snout" in str(categories):
        person["keypoints"] = [50, 60, 2, 70, 80, 2]
    with pytest.raises(UserError, match=expected):
        read_coco(path, body, person, categories=categories)


def test_flips_know_the_order(body):
    order = COCO_17.__class__("of the file", "", tuple(SHUFFLED))
    person = {"id": 3, "keypoints": annotation()["keypoints"]}
    flipped = flip_annotation(person, body, 640, 480)
    found = flip_annotation(in_order(person, SHUFFLED), body, 640, 480, order=order)
    assert found == in_order(flipped, SHUFFLED)
    lonely = COCO_17.__class__("of the file", "", ("nose", "left_eye"))
    with pytest.raises(UserError, match="the other side"):
        flip_annotation({"id": 3, "keypoints": [1, 2, 2] * 2}, body, 640, 480, order=lonely)
