"""MPII: arrays, HRNet's files and the original one, with the quirks of each."""

import json

import numpy as np
import pytest
import scipy.io

from bodyreg.data.frames import frame_from_image
from bodyreg.data.mpii import read_mpii
from bodyreg.data.skeletons import MPII_16
from bodyreg.errors import UserError


@pytest.fixture
def poses() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 700, (11, 34)).astype(np.float32)


def test_slots_become_named_keypoints(tmp_path, poses):
    np.save(tmp_path / "poses.npy", poses)
    people, skipped = read_mpii(tmp_path / "poses.npy")
    assert not skipped
    assert len(people) == 11
    assert len(people.point_xy) == 0
    slots = {"pelvis": 0, "right_ankle": 3, "left_hip": 4, "thorax": 7, "head_top": 10}
    for name, slot in slots.items():
        xy = people.keypoint_xy[:, people.keypoint_name.index(f"mpii/{name}")]
        np.testing.assert_array_equal(xy, poses.reshape(-1, 17, 2)[:, slot])
    assert people.keypoint_depth is None
    assert (people.keypoint_weight == 1).all()
    inside = frame_from_image(people.keypoint_xy, people.frame[:, None])
    assert np.abs(inside).max() <= 1 / 1.2 + 1e-6


def test_both_shapes_are_one(tmp_path, poses):
    np.save(tmp_path / "flat.npy", poses)
    np.save(tmp_path / "deep.npy", poses.reshape(-1, 17, 2).astype(np.float64))
    flat, _ = read_mpii(tmp_path / "flat.npy")
    deep, _ = read_mpii(tmp_path / "deep.npy")
    np.testing.assert_array_equal(flat.keypoint_xy, deep.keypoint_xy)


def bad_arrays():
    good = np.random.default_rng(0).uniform(0, 9, (3, 34))
    not_finite = good.copy()
    not_finite[1, 5] = np.nan
    return {
        "shape": good[:, :32],
        "scalar": np.array(3.0),
        "not finite": not_finite,
        "text": good.astype(str),
        "objects": good.astype(object),
    }


@pytest.mark.parametrize("array", bad_arrays().values(), ids=bad_arrays().keys())
def test_bad_arrays_are_refused(tmp_path, array):
    path = tmp_path / "poses.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(UserError, match=r"poses\.npy"):
        read_mpii(path)


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_bad_files_are_refused(tmp_path, content):
    path = tmp_path / "poses.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"poses\.npy"):
        read_mpii(path)


def test_a_truncated_file_is_refused(tmp_path, poses):
    path = tmp_path / "poses.npy"
    np.save(path, poses)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a readable"):
        read_mpii(path)


def person(**changes) -> dict:
    """One of HRNet's people, counting pixels from 1."""
    joints = np.random.default_rng(4).uniform(100, 300, (16, 2))
    return {
        "image": "015601864.jpg",
        "joints": joints.tolist(),
        "joints_vis": [1] * 16,
        "center": [200.0, 210.0],
        "scale": 1.6,
        **changes,
    }


def json_file(path, *people) -> str:
    path.write_text(json.dumps(people))
    return str(path)


def test_pixels_are_counted_from_one(tmp_path):
    """The centre of MATLAB's first pixel is (1, 1); here it is (0.5, 0.5)."""
    item = person()
    item["joints"][0] = [1, 1]
    people, skipped = read_mpii(json_file(tmp_path / "train.json", item))
    assert not skipped
    ankle, head = (MPII_16.joints.index(name) for name in ("right_ankle", "head_top"))
    np.testing.assert_array_equal(people.keypoint_xy[0, ankle], [0.5, 0.5])
    np.testing.assert_allclose(
        people.keypoint_xy[0, head], np.array(item["joints"][9]) - 0.5, rtol=1e-6
    )
    assert people.keypoint_name == MPII_16.keypoints
    assert people.picture.tolist() == ["015601864.jpg"]


def test_the_crop_is_lower_and_larger_than_annotated(tmp_path):
    path = json_file(tmp_path / "train.json", person())
    hrnet, _ = read_mpii(path)
    np.testing.assert_allclose(hrnet.frame, [[199.5, 209.5 + 15 * 1.6, 125 * 1.6]], rtol=1e-6)
    annotated, _ = read_mpii(path, crop="annotated")
    np.testing.assert_allclose(annotated.frame, [[199.5, 209.5, 100 * 1.6]], rtol=1e-6)


def test_missing_joints_people_and_places(tmp_path):
    """Absent joints lie at (-1, -1) or (0, 0); without a centre, the joints give the box."""
    first = person()
    first["joints"][2], first["joints_vis"][2] = [-1, -1], 0
    first["joints"][3], first["joints_vis"][3] = [0, 0], 0
    first["joints"][4] = [-1.0, -1.0]  # said to be visible nevertheless
    no_joints = person(joints=[[-1, -1]] * 16, joints_vis=[0] * 16)
    test_set = {k: v for k, v in person().items() if not k.startswith("joints")}
    no_place = person(center=[-1, -1], scale=-1)
    alone = person(joints_vis=[0, 1, *[0] * 14], center=[-1, -1], scale=0)
    people, skipped = read_mpii(
        json_file(tmp_path / "train.json", first, no_joints, test_set, no_place, alone)
    )
    np.testing.assert_array_equal(people.id, [0, 3])
    assert skipped == {
        "no labelled joint of the body": 2,
        "neither a centre and scale nor joints apart": 1,
    }
    absent = [MPII_16.joints.index(n) for n in ("right_hip", "left_hip", "left_knee")]
    assert (people.keypoint_weight[0, absent] == 0).all()
    assert people.keypoint_weight[0].sum() == len(people.keypoint_name) - 3
    inside = frame_from_image(people.keypoint_xy[1], people.frame[1])
    assert np.abs(inside).max() <= 1 / 1.2 + 1e-6


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{}", "expected a list of people"),
        ("[", "not readable JSON"),
        ("[3]", "person 0 is not an object"),
        (json.dumps([person(), person(joints=[[1, 2]])]), "person 1: joints is not a list of 16"),
        (json.dumps([person(joints=[[1, "x"]] * 16)]), "person 0: joint 0: joints is"),
        (json.dumps([person(joints_vis=[1] * 3)]), "person 0: joints_vis has 3"),
        (json.dumps([person(center=[1])]), "person 0: center has 1"),
        (json.dumps([person(scale="big")]), "person 0: scale is"),
        (json.dumps([person(scale=float("inf"))]), "person 0: scale is not finite"),
    ],
)
def test_bad_json_is_refused(tmp_path, content, expected):
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(UserError, match=expected) as caught:
        read_mpii(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"image,x,y", b"\x89PNG", b'"text"'])
def test_other_kinds_of_files_are_refused(tmp_path, content):
    (tmp_path / "train.json").write_bytes(content)
    with pytest.raises(UserError, match=r"train\.json: .*JSON, \.mat or \.npy"):
        read_mpii(tmp_path / "train.json")


@pytest.mark.parametrize("name", ["a", "a.JSON", "a.MAT", "a.npy", "a.NPY"])
def test_the_first_bytes_tell_the_format(tmp_path, name):
    path = tmp_path / name
    path.write_text("\n " + json.dumps([person()]))
    assert len(read_mpii(path)[0]) == 1
    mat_file(path)
    assert len(read_mpii(path)[0]) > 1
    with path.open("wb") as stream:
        np.save(stream, np.random.default_rng(0).uniform(0, 99, (5, 34)))
    assert len(read_mpii(path)[0]) == 5


def point(joint, x, y, visible) -> dict:
    return {"id": joint, "x": x, "y": y, "is_visible": visible}


def structs(*items: dict) -> np.ndarray:
    """An array of structs; as in MATLAB, a field that one of them lacks is empty there."""
    names = sorted({name for item in items for name in item})
    array = np.empty((1, len(items)), [(name, object) for name in names])
    for place, item in enumerate(items):
        for name in names:
            array[0, place][name] = item.get(name, np.zeros((0, 0)))
    return array


def mat_file(path, **options) -> str:
    """The original file's tree: empty arrays for structs, fields that some have and some not."""
    none = np.zeros((0, 0))
    points = [point(9, 101.0, 51.0, ""), point(8, 100.0, 70.0, none), point(0, 90, 201, "1")]
    people = [
        {"scale": 1.5, "objpos": {"x": 120, "y": 130}, "annopoints": {"point": structs(*points)}},
        {"scale": none, "objpos": none, "annopoints": none},
        {"scale": 2.0, "objpos": {"x": 50, "y": 60}, "annopoints": {"point": point(6, 55, 66, 0)}},
        {"scale": none, "objpos": none, "annopoints": {"point": structs(*points)}},
    ]
    pictures = [
        {"image": {"name": "a.jpg"}, "annorect": structs(*people[:3])},
        {"image": {"name": "b.jpg"}, "annorect": none},
        {"image": {"name": "c.jpg"}, "annorect": people[3]},
        {"image": {"name": "d.jpg"}, "annorect": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}},
    ]
    release = {"annolist": structs(*pictures), "img_train": [1, 0, 1, 0]}
    scipy.io.savemat(path, {"other": 3, "RELEASE": release}, **options)
    return str(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_the_original_file_with_its_quirks(tmp_path, compressed):
    people, skipped = read_mpii(mat_file(tmp_path / "mpii.mat", do_compression=compressed))
    np.testing.assert_array_equal(people.id, [0, 2, 3])
    assert people.picture.tolist() == ["a.jpg", "a.jpg", "c.jpg"]
    assert skipped == {"no labelled joint of the body": 2}
    np.testing.assert_allclose(
        people.frame[:2], [[119.5, 129.5 + 15 * 1.5, 187.5], [49.5, 89.5, 250]]
    )
    head, ankle, pelvis = (
        MPII_16.joints.index(name) for name in ("head_top", "right_ankle", "pelvis")
    )
    np.testing.assert_array_equal(people.keypoint_xy[0, head], [100.5, 50.5])
    np.testing.assert_array_equal(people.keypoint_xy[0, ankle], [89.5, 200.5])
    np.testing.assert_array_equal(people.keypoint_xy[1, pelvis], [54.5, 65.5])
    np.testing.assert_array_equal(people.keypoint_weight.sum(1), [3, 1, 3])


def test_bad_mat_files_are_refused(tmp_path):
    path = tmp_path / "mpii.mat"
    with pytest.raises(UserError, match="no such MPII file"):
        read_mpii(path)
    path.write_bytes(b"MATLAB but not a struct")
    with pytest.raises(UserError, match="not a readable"):
        read_mpii(path)
    for content in ({"other": 3}, {"RELEASE": 3}, {"RELEASE": {"annolist": []}}):
        scipy.io.savemat(path, content)
        with pytest.raises(UserError, match=r"no RELEASE\.annolist"):
            read_mpii(path)
    people = {"annopoints": {"point": point(16, 1, 2, 1)}}
    scipy.io.savemat(path, {"RELEASE": {"annolist": {"annorect": people}}})
    with pytest.raises(UserError, match=r"annolist\(1\), person 0: joint 16 is not in 0\.\.15"):
        read_mpii(path)
