"""VideoPose3D's files of Human3.6M, made by hand: nested dictionaries, cameras, odd lengths."""

import json
import os

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.data.human36m import (
    CAMERAS,
    LEFT_OUT,
    NO_POSE_3D,
    action_family,
    read_videopose3d,
)
from bodyreg.data.skeletons import COCO_17, H36M_17, H36M_17_OF_32
from bodyreg.errors import UserError

FRAMES = 7
SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]


def poses_2d(seed=0, joints=17, cameras=4, frames=FRAMES) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.uniform(0, 1000, (frames, joints, 2)).astype("f4") for _ in range(cameras)]


def write_2d(path, tree, **metadata) -> str:
    facts = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": SYMMETRY} | metadata
    np.savez_compressed(path, positions_2d=tree, metadata=facts)
    return str(path)


def write_3d(path, tree) -> str:
    np.savez_compressed(path, positions_3d=tree)
    return str(path)


def poses_3d(seed=9, joints=32, frames=FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (frames, joints, 3)).astype(np.float32)


def write_cameras(path, *subjects) -> str:
    random = np.random.default_rng(2)
    tables = {}
    for subject in subjects:
        turns = Rotation.random(4, random_state=random).as_quat()[:, [3, 0, 1, 2]]
        tables[subject] = [
            {
                "id": name, "orientation": turn.tolist(), "translation": [1841.5, 4955.2, 1563.4],
                "focal_length": [1145.0, 1143.8], "center": [512.5, 515.5], "res_w": 1000,
            }
            for name, turn in zip(CAMERAS, turns, strict=True)
        ]  # fmt: skip
    path.write_text(json.dumps(tables))
    return str(path)


def lens(**entries) -> dict:
    """A file of one camera with these entries."""
    place = {"orientation": [1, 0, 0, 0], "translation": [0, 0, 0]}
    return {"S1": [{"id": "a", **place, **entries}]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data_2d_h36m_gt.npz"


def test_people_come_by_subject_action_camera_and_frame(path):
    tree = {"S1": {"Walking 1": poses_2d(1), "Sitting": poses_2d(2)}, "S9": {"Eating": poses_2d(3)}}
    people, skipped = read_videopose3d(write_2d(path, tree))
    assert not skipped
    assert len(people) == 3 * 4 * FRAMES
    assert np.isnan(people.joints).all()
    at = (people.subject == "S1") & (people.action == "Sitting") & (people.camera == CAMERAS[2])
    np.testing.assert_array_equal(people.frame[at], np.arange(FRAMES))
    seen = people.observations.select(at)
    for name in ("pelvis", "left_wrist", "right_ankle"):
        expected = tree["S1"]["Sitting"][2][:, H36M_17.joints.index(name)]
        np.testing.assert_array_equal(
            seen.keypoint_xy[:, seen.keypoint_name.index(f"h36m/{name}")], expected
        )
    assert seen.keypoint_name == H36M_17.keypoints
    assert len(set(people.observations.id.tolist())) == len(people)


def test_the_studios_lenses_are_known(path):
    tree = {"S9": {"Eating": poses_2d(3)}, "skating": {"custom": poses_2d(4)}}
    people = read_videopose3d(write_2d(path, tree))[0]
    seen, studio = people.observations, people.subject == "S9"
    number = np.array([CAMERAS.index(camera) for camera in people.camera])[studio]
    focal = np.array([1144.415, 1148.634, 1148.970, 1145.143])[number]  # means of x and y
    np.testing.assert_allclose(seen.focal[studio], focal, atol=0.01)
    middle = np.array([[512.54, 515.45], [508.85, 508.06], [519.82, 501.40], [514.97, 501.88]])
    np.testing.assert_allclose(seen.principal_point[studio], middle[number], atol=0.01)
    height = np.array([1002, 1000, 1000, 1002])[number]
    np.testing.assert_array_equal(seen.picture_size[studio, 1], height)
    assert np.isnan(seen.focal[~studio]).all() and not seen.picture_size[~studio].any()


def test_lenses_of_the_file_of_cameras(path, tmp_path):
    tree = {"S1": {"Eating": poses_2d(3)}, "a": {"Eating": poses_2d(4)}}
    cameras = write_cameras(tmp_path / "cameras.json", "S1", "a")
    seen = read_videopose3d(write_2d(path, tree), cameras=cameras)[0].observations
    np.testing.assert_allclose(seen.focal, 1144.4, rtol=1e-6)
    np.testing.assert_allclose(seen.principal_point, [[512.5, 515.5]] * len(seen))
    assert seen.picture_size is None  # res_h is missing


def test_some_subjects_cameras_and_frames(path):
    tree = {subject: {"Photo": poses_2d(int(subject[1:]))} for subject in ("S1", "S5", "S9")}
    people, _ = read_videopose3d(
        write_2d(path, tree), subjects=("S9", "S1"), camera_ids=(CAMERAS[3],), every=3
    )
    assert people.subject.tolist() == ["S1"] * 3 + ["S9"] * 3
    assert set(people.camera) == {"60457274"}
    np.testing.assert_array_equal(people.frame, [0, 3, 6] * 2)
    wrist = people.observations.keypoint_name.index("h36m/right_wrist")
    np.testing.assert_array_equal(
        people.observations.keypoint_xy[3:, wrist], tree["S9"]["Photo"][3][::3, 16]
    )


def test_ids_count_the_frames_of_the_file_whatever_is_read(path, tmp_path):
    tree = {subject: {"Photo": poses_2d(1), "Directions": poses_2d(2)} for subject in ("S1", "S11")}
    every, _ = read_videopose3d(write_2d(path, tree), broken=True)
    np.testing.assert_array_equal(every.observations.id, np.arange(2 * 2 * 4 * FRAMES))
    shorter = poses_3d(frames=FRAMES - 2)
    space = {subject: {"Photo": shorter, "Directions": shorter} for subject in tree}
    some, _ = read_videopose3d(
        path, write_3d(tmp_path / "3d.npz", space), subjects=("S11",), every=2
    )
    row = {person: number for number, person in enumerate(every.observations.id.tolist())}
    rows = np.array([row[person] for person in some.observations.id.tolist()])
    for name in ("subject", "action", "camera", "frame"):
        np.testing.assert_array_equal(getattr(some, name), getattr(every, name)[rows])
    np.testing.assert_array_equal(
        some.observations.keypoint_xy, every.observations.keypoint_xy[rows]
    )


def test_joints_in_camera_axes_have_y_up_and_z_toward_the_viewer(path, tmp_path):
    world = poses_3d()
    people, _ = read_videopose3d(
        write_2d(path, {"S5": {"Greeting": poses_2d()}}),
        write_3d(tmp_path / "3d.npz", {"S5": {"Greeting": world}}),
        write_cameras(tmp_path / "cameras.json", "S5"),
    )
    table = json.loads((tmp_path / "cameras.json").read_text())["S5"]
    for number, name in enumerate(CAMERAS):
        w, x, y, z = table[number]["orientation"]
        to_world = Rotation.from_quat([x, y, z, w])
        place = np.array(table[number]["translation"]) / 1000
        seen = to_world.inv().apply((world - place)[:, list(H36M_17_OF_32)].reshape(-1, 3))
        expected = seen.reshape(FRAMES, 17, 3) * [1, -1, -1]
        found = people.joints[people.camera == name]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_cameras_joints_stay_in_the_world(path, tmp_path):
    world = poses_3d(joints=17)
    people, _ = read_videopose3d(
        write_2d(path, {"S5": {"Greeting": poses_2d()}}),
        write_3d(tmp_path / "3d.npz", {"S5": {"Greeting": world}}),
    )
    np.testing.assert_array_equal(people.joints[people.camera == CAMERAS[1]], world)


@pytest.mark.parametrize("difference", [-2, 1])
def test_lengths_that_differ_by_a_frame_or_so(path, tmp_path, difference):
    people, skipped = read_videopose3d(
        write_2d(path, {"S1": {"Eating": poses_2d()}}),
        write_3d(tmp_path / "3d.npz", {"S1": {"Eating": poses_3d(frames=FRAMES + difference)}}),
    )
    both = FRAMES + min(difference, 0)
    assert len(people) == 4 * both
    assert skipped == ({NO_POSE_3D: 8} if difference < 0 else {})
    np.testing.assert_array_equal(people.frame[:both], np.arange(both))
    assert np.isfinite(people.joints).all()


def test_a_sequence_without_3d_poses_is_counted(path, tmp_path):
    """VideoPose3D's 3-D file has no Directions of S11, files of detections have."""
    people, skipped = read_videopose3d(
        write_2d(path, {"S11": {"Directions": poses_2d(), "Directions 1": poses_2d(1)}}),
        write_3d(tmp_path / "3d.npz", {"S11": {"Directions 1": poses_3d()}}),
    )
    assert set(people.action) == {"Directions 1"}
    assert skipped == {LEFT_OUT: FRAMES, NO_POSE_3D: 3 * FRAMES}


def test_the_broken_sequence_is_dropped_unless_wanted(path):
    tree = {"S11": {"Directions": poses_2d()}, "S9": {"Directions": poses_2d(1)}}
    people, skipped = read_videopose3d(write_2d(path, tree))
    assert skipped == {LEFT_OUT: FRAMES}
    assert set(people.camera[people.subject == "S11"]) == set(CAMERAS[1:])
    assert set(people.camera[people.subject == "S9"]) == set(CAMERAS)
    people, skipped = read_videopose3d(path, broken=True)
    assert not skipped
    assert len(people) == 8 * FRAMES


def test_thirty_two_joints_and_cocos(path):
    many = poses_2d(joints=32)
    tree = {"S1": {"Waiting": many}}
    people, _ = read_videopose3d(write_2d(path, tree, num_joints=32, keypoints_symmetry=None))
    seen = people.observations
    wrist, toe = (seen.keypoint_name.index(name) for name in ("h36m/right_wrist", "h36m/left_toe"))
    np.testing.assert_array_equal(seen.keypoint_xy[:FRAMES, wrist], many[0][:, 27])
    np.testing.assert_array_equal(seen.keypoint_xy[:FRAMES, toe], many[0][:, 10])

    sides = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
    tree = {"S1": {"Waiting": poses_2d()}}
    people, _ = read_videopose3d(write_2d(path, tree, layout_name="coco", keypoints_symmetry=sides))
    assert people.observations.keypoint_name == COCO_17.keypoints


def test_frames_without_joints_are_counted(path):
    poses = poses_2d()
    poses[0][2] = np.nan
    poses[0][3, 5:] = np.nan
    people, skipped = read_videopose3d(write_2d(path, {"S1": {"Posing": poses}}))
    assert skipped == {NOT_SPREAD_OUT: 1}
    np.testing.assert_array_equal(people.frame[: FRAMES - 1], [0, 1, 3, 4, 5, 6])
    assert people.observations.keypoint_weight[2].sum() == 5


def test_names_of_actions():
    assert action_family("Walking 1") == "Walking"
    assert action_family("WalkTogether") == "WalkTogether"
    assert action_family("TakingPhoto 1") == "Photo"


def test_a_file_that_would_run_code(path, tmp_path):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    np.savez(path, positions_2d={"S1": {"Eating": [Runs()]}})
    with pytest.raises(UserError, match=r"data_2d_h36m_gt\.npz: the pickle names"):
        read_videopose3d(path)
    assert not (tmp_path / "sprung").exists()


def whole(value) -> dict:
    return {"S1": {"Eating": value}}


@pytest.mark.parametrize(
    ("tree", "metadata", "expected"),
    [
        ([1, 2], {}, "expected 'positions_2d' of subjects"),
        ({"S1": [1]}, {}, "expected 'positions_2d' of subjects"),
        ({("S1", 1): {}}, {}, "whose name is no text"),
        ({"S1": {None: poses_2d()}}, {}, "whose name is no text"),
        (whole({"a": 1}), {}, "S1, Eating: expected a list of cameras"),
        (whole([1, 2]), {}, "S1, Eating, camera 54138969: expected an array"),
        (whole([np.zeros((3, 17))]), {}, r"camera 54138969: expected an array.*\(3, 17\)"),
        (whole([np.zeros((3, 18, 2))]), {}, "camera 54138969: 18 joints, expected 17"),
        (whole([np.ones((3, 17, 2)), np.ones((3, 32, 2))]), {}, "55011271: 32 joints, expected 17"),
        (whole(poses_2d(cameras=5)), {}, "poses of 5 cameras"),
        (whole(poses_2d()), {"layout_name": "lsp"}, "layout_name 'lsp'"),
        (whole(poses_2d()), {"keypoints_symmetry": SYMMETRY[::-1]}, "keypoints_symmetry"),
        (whole(poses_2d()), {"keypoints_symmetry": [[4], [2]]}, "keypoints_symmetry"),
        (whole(poses_2d()), {"keypoints_symmetry": [[99], [1]]}, "keypoints_symmetry"),
        (whole(poses_2d()), {"keypoints_symmetry": 3}, "keypoints_symmetry"),
    ],
)
def test_bad_2d_poses_are_refused(path, tree, metadata, expected):
    with pytest.raises(UserError, match=expected) as caught:
        read_videopose3d(write_2d(path, tree, **metadata))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (np.zeros((FRAMES, 31, 3)), r"shape \(7, 31, 3\)"),
        (np.zeros((FRAMES, 32)), "expected an array"),
        ("none", "expected an array"),
        (np.zeros((FRAMES + 6, 32, 3)), "7 frames in 2-D, 13 in 3-D"),
    ],
)
def test_bad_3d_poses_are_refused(path, tmp_path, world, expected):
    source = write_3d(tmp_path / "3d.npz", whole(world))
    with pytest.raises(UserError, match=expected) as caught:
        read_videopose3d(write_2d(path, whole(poses_2d())), source)
    assert "S1, Eating" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "expected an object of subjects"),
        ({"S1": 3}, "expected an object of subjects"),
        ({"S1": [{}]}, "S1, camera 0 is not an object with an 'id'"),
        ({"S1": [{"id": "a", "orientation": [1, 0, 0]}]}, "S1, camera 0: orientation has 3"),
        ({"S1": [{"id": "a", "orientation": [0, 0, 0, 0]}]}, "not a unit quaternion"),
        ({"S1": [{"id": "a", "orientation": [1, 0, 0, 0]}]}, "translation is missing"),
        (lens(focal_length=[1145, -3]), "focal_length is not one or two positive numbers"),
        (lens(focal_length=[]), "focal_length is not one or two positive numbers"),
        (lens(focal_length="1145"), "focal_length is missing or not a list of numbers"),
        (lens(center=[512]), "center has 1 numbers, expected 2"),
        (lens(res_w=1000, res_h=0), "res_w or res_h is out of range"),
        (lens(res_w=1000, res_h="x"), "res_h is missing or not an integer"),
        ({"S5": []}, "no such camera of S1"),
    ],
)
def test_bad_cameras_are_refused(path, tmp_path, content, expected):
    cameras = tmp_path / "cameras.json"
    cameras.write_text(json.dumps(content))
    three = write_3d(tmp_path / "3d.npz", whole(poses_3d()))
    with pytest.raises(UserError, match=expected):
        read_videopose3d(write_2d(path, whole(poses_2d())), three, cameras)


def test_missing_and_truncated_files(path):
    with pytest.raises(UserError, match="no such 2-D pose file"):
        read_videopose3d(path)
    write_2d(path, whole(poses_2d()))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="not a readable 2-D pose file"):
        read_videopose3d(path)
