"""Files of landmarks: written, read, and refused."""

import json

import numpy as np
import pytest

from bodyreg.body import CONVENTIONS, Body, Landmark, Place
from bodyreg.data import read_landmarks, write_landmarks
from bodyreg.errors import UserError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "landmarks.json"


def write(path, **landmarks) -> str:
    path.write_text(json.dumps({"format": "bodyreg-landmarks-1", "landmarks": landmarks}))
    return path


def points_of(body: Body, names) -> tuple[np.ndarray, np.ndarray]:
    points = body.keypoints(list(names))
    return points.joint_ids.numpy(), points.anchors.numpy()


def test_what_is_written_is_read(path):
    body = Body.default()
    mine = {f"mine/{name}": landmark for name, landmark in CONVENTIONS["blazepose"].items()}
    mine["surface"] = Landmark(np.array([3, 17]), np.float32([0.25, 0.75]))
    write_landmarks(path, mine, people=3)
    assert json.loads(path.read_text())["people"] == 3
    found = read_landmarks(path, body)
    assert list(found) == list(mine)
    for one, other in zip(
        points_of(body.with_landmarks(found), mine),
        points_of(body.with_landmarks(mine), mine),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_body_file_keeps_its_landmarks(tmp_path):
    places = (Place("left_hip", (0.1, -0.2, 0.3), "pelvis", 0.5), Place("nose", share=0.5))
    body = Body.default().with_landmarks({"coco/left_hip": Landmark(places=places)})
    body.save(tmp_path / "body.npz")
    again = Body.load(tmp_path / "body.npz")
    assert list(again.landmarks) == list(body.landmarks)
    assert again.landmarks["nose"].places == ()
    for one, other in zip(
        *(points_of(b, ("coco/left_hip", "nose")) for b in (again, body)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_what_may_be_left_out(path):
    body = Body.default()
    found = read_landmarks(write(path, knee=[{"point": "left_knee"}], spot=[{"vertex": 5}]), body)
    body = body.with_landmarks(found)
    (knee, spot) = body.keypoints(["knee", "spot"]).anchors.sum(1)[:, :3].numpy()
    np.testing.assert_array_equal(knee, body.joints[4])
    np.testing.assert_allclose(spot, body.vertices[5], atol=1e-6)


HIP = {"point": "left_hip"}
BAD = [
    ({}, "'landmarks' is not an object with a landmark or more"),
    ({"a": 3}, "landmark 'a': is not a list of objects"),
    ({"a": []}, "landmark 'a': is not a list of objects"),
    ({"a": [HIP | {"offsets": [1, 2, 3]}]}, "landmark 'a': has 'offsets'; a term has moves_with"),
    ({"a": [HIP | {"offset": [1, 2]}]}, "offset has 2 numbers, expected 3"),
    ({"a": [HIP | {"offset": [0, 0, 13]}]}, "offset is more than 2 metres; check the units"),
    ({"a": [HIP | {"share": 0.4}, HIP | {"share": 0.4}]}, "shares sum to 0.8 instead of 1"),
    ({"a": [HIP | {"share": s} for s in (1e6, -999999)]}, "a share is not from -10 to 10"),
    ({"a": [{"vertex": 1, "share": s} for s in (1e39, -1e39, 1)]}, "a share is not from -10 to"),
    ({"a": [HIP | {"share": "all"}]}, "share is missing or not a list of numbers"),
    ({"a": [HIP | {"moves_with": 4}]}, "point and moves_with are names"),
    ({"a": [HIP | {"moves_with": "tail"}]}, "moves_with 'tail' is no joint of the rig"),
    ({"a": [{"point": "tail"}]}, "landmark 'a': body 'makehuman' has no 'tail'"),
    ({"a": [{"share": 1}]}, "point and moves_with are names"),
    ({"a": [{"vertex": 7000}]}, "a vertex is out of range; body 'makehuman' has 6999"),
    ({"a": [{"vertex": 1, "offset": [0, 0, 0]}]}, "mixes vertices with places"),
    ({"a": [{"vertex": 1, "share": 0.5}, HIP | {"share": 0.5}]}, "mixes vertices with places"),
    ({"left_hip": [HIP]}, "'left_hip': joints of the rig cannot be moved"),
]  # fmt: skip


@pytest.mark.parametrize(("landmarks", "expected"), BAD)
def test_bad_landmarks_are_refused(path, landmarks, expected):
    with pytest.raises(UserError, match=expected) as caught:
        read_landmarks(write(path, **landmarks), Body.default())
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "bodyreg-landmarks-2"}', '{"a": 1}'])
def test_other_files_are_refused(path, content):
    path.write_text(content)
    with pytest.raises(UserError, match="expected an object with 'format': 'bodyreg-landmarks-1'"):
        read_landmarks(path, Body.default())
    path.write_text("{")
    with pytest.raises(UserError, match="not readable JSON"):
        read_landmarks(path, Body.default())
