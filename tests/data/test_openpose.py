"""OpenPose's folders: two layouts, no people, several people, confidences of zero."""

import json

import numpy as np
import pytest

from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.data.openpose import read_openpose
from bodyreg.data.skeletons import BODY_25
from bodyreg.errors import UserError


def keypoints(joints=25, seed=0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(0, 600, (joints, 2)), random.uniform(0.2, 1, joints)])


def write(folder, name, *people) -> None:
    content = {
        "version": 1.3,
        "people": [
            {"person_id": [-1], "pose_keypoints_2d": p.reshape(-1).tolist()} for p in people
        ],
    }
    (folder / f"{name}_keypoints.json").write_text(json.dumps(content))


def test_people_of_all_pictures(tmp_path):
    first, second, third = (keypoints(seed=seed) for seed in range(3))
    first[22] = 0  # the right big toe was not found
    empty, dot = np.zeros((25, 3)), np.zeros((25, 3))
    dot[4] = 3, 4, 0.9
    write(tmp_path, "b", third)
    write(tmp_path, "a", first, empty, dot, second)
    write(tmp_path, "empty")
    people, skipped = read_openpose(tmp_path)
    assert skipped == {NOT_SPREAD_OUT: 2}
    np.testing.assert_array_equal(people.id, [0, 3, 4])
    slots = {"nose": 0, "pelvis": 8, "left_ankle": 14, "left_ear": 18, "right_heel": 24}
    for name, slot in slots.items():
        column = BODY_25.joints.index(name)
        expected = np.array([person[slot] for person in (first, second, third)])
        np.testing.assert_allclose(people.keypoint_xy[:, column], expected[:, :2], rtol=1e-6)
        np.testing.assert_allclose(people.keypoint_weight[:, column], expected[:, 2], rtol=1e-6)
    assert people.keypoint_weight[0, BODY_25.joints.index("right_toe")] == 0
    assert people.keypoint_name == BODY_25.keypoints
    assert people.picture is None
    there = first[[i for i in range(25) if i != 22], :2]
    centre = (there.min(0) + there.max(0)) / 2
    np.testing.assert_allclose(people.frame[0, :2], centre, rtol=1e-6)


def test_eighteen_joints_are_cocos(tmp_path):
    person = keypoints(18)
    write(tmp_path, "a", person)
    people, _ = read_openpose(tmp_path)
    slots = {"right_wrist": 4, "left_shoulder": 5, "right_hip": 8, "right_eye": 14, "left_ear": 17}
    for name, slot in slots.items():
        found = people.keypoint_xy[0, people.keypoint_name.index(f"openpose/{name}")]
        np.testing.assert_allclose(found, person[slot, :2], rtol=1e-6)


def test_older_versions_had_another_key(tmp_path):
    person = keypoints(18)
    content = {"version": 1.0, "people": [{"pose_keypoints": person.reshape(-1).tolist()}]}
    (tmp_path / "a_keypoints.json").write_text(json.dumps(content))
    people, _ = read_openpose(tmp_path)
    np.testing.assert_allclose(
        people.keypoint_xy[0, people.keypoint_name.index("openpose/nose")], person[0, :2], rtol=1e-6
    )


def test_pictures_are_found_whatever_their_kind(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.PNG", "b.jpg", "b.webp"):
        (tmp_path / "images" / name).write_bytes(b"")
    write(tmp_path, "a", keypoints(), keypoints(seed=1))
    write(tmp_path, "b", keypoints())
    people, _ = read_openpose(tmp_path, tmp_path / "images")
    assert people.picture.tolist() == ["a.PNG", "a.PNG", "b.jpg"]
    write(tmp_path, "c", keypoints())
    with pytest.raises(UserError, match="no picture c "):
        read_openpose(tmp_path, tmp_path / "images")


def test_suffixes_may_be_in_capitals(tmp_path):
    write(tmp_path, "b", keypoints())
    expected, _ = read_openpose(tmp_path)
    (tmp_path / "b_keypoints.json").rename(tmp_path / "B_KEYPOINTS.JSON")
    (tmp_path / "B.JPG").touch()
    found, _ = read_openpose(tmp_path, tmp_path)
    np.testing.assert_array_equal(found.keypoint_xy, expected.keypoint_xy)
    assert found.picture.tolist() == ["B.JPG"]


def test_files_of_any_name(tmp_path):
    """Where no file has OpenPose's ending, all are its; where some have it, only these are."""
    write(tmp_path, "b", keypoints())
    write(tmp_path, "a", keypoints(seed=1))
    expected, _ = read_openpose(tmp_path)
    (tmp_path / "b_keypoints.json").rename(tmp_path / "b.json")
    assert len(read_openpose(tmp_path)[0]) == 1
    (tmp_path / "a_keypoints.json").rename(tmp_path / "a.JSON")
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    found, _ = read_openpose(tmp_path, tmp_path)
    np.testing.assert_array_equal(found.keypoint_xy, expected.keypoint_xy)
    assert found.picture.tolist() == ["a.png", "b.png"]


def test_no_person_in_any_picture(tmp_path):
    write(tmp_path, "a")
    people, skipped = read_openpose(tmp_path)
    assert len(people) == 0
    assert not skipped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not readable JSON"),
        ("[]", "expected an object with a list of 'people'"),
        ('{"people": 3}', "expected an object with a list of 'people'"),
        ('{"people": [3]}', "expected an object with a list of 'people'"),
        ('{"people": [{}]}', "person 0: pose_keypoints_2d is missing"),
        (
            '{"people": [{"pose_keypoints_2d": [1, 2]}]}',
            "has 2 numbers, expected three for each joint",
        ),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "has 3 numbers, expected 75 or 54"),
        (json.dumps({"people": [{"pose_keypoints_2d": [None, 2, 1] * 25}]}), "person 0"),
        (
            json.dumps({"people": [{"pose_keypoints_2d": [0.5] * 54}]}),
            "has 54 numbers, expected 75",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path, text, expected):
    write(tmp_path, "a", keypoints())
    (tmp_path / "b_keypoints.json").write_text(text)
    first = "expected 75 or 54" in expected
    if first:
        (tmp_path / "a_keypoints.json").unlink()
    with pytest.raises(UserError, match=expected) as caught:
        read_openpose(tmp_path)
    assert "b_keypoints.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_them(tmp_path):
    with pytest.raises(UserError, match=r"no file \*_keypoints\.json"):
        read_openpose(tmp_path)
    with pytest.raises(UserError, match="none: cannot be read"):
        read_openpose(tmp_path / "none")
