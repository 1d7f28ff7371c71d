"""Made people: repeatable, anatomical, and what the file says of them is true."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask
from pycocotools.coco import COCO
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS, PARENTS
from bodyreg.data import Truth, read_densepose_coco
from bodyreg.data.densepose_coco import KEYPOINTS, decode_part_masks, load_coco
from bodyreg.data.frames import frame_from_image
from bodyreg.metrics.pose import facing
from bodyreg.reference import kinematics
from bodyreg.synthetic.actions import ACTIONS, sample_motion
from bodyreg.synthetic.dataset import make_dataset, make_one
from bodyreg.synthetic.densepose_coco import write_densepose_coco
from bodyreg.synthetic.observe import Noise, _share
from bodyreg.synthetic.people import sample_shape
from bodyreg.synthetic.performance import balance
from bodyreg.synthetic.poses import Arm, Leg, Posture, as_row, to_axis_angle

SEED = 4
EXACT = Noise(points=80, pixels=0, depth=0)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


@pytest.fixture(scope="module")
def exact(body, tmp_path_factory):
    """Seven people without noise, their file and what the reader makes of it."""
    pictures, truth = make_dataset(body, 7, SEED, EXACT)
    path = tmp_path_factory.mktemp("exact") / "people.json"
    write_densepose_coco(path, pictures, body.charts.name)
    return pictures, truth, path, read_densepose_coco(path, body)[0]


def pose_joints(posture: Posture) -> dict[str, np.ndarray]:
    """Joints of a posture by the plain reference, on a rig with straight limbs of length 1."""
    rest = dict.fromkeys(JOINT_NAMES, (0.0, 0.0, 0.0))
    rest |= {"left_knee": (0, -1, 0), "left_ankle": (0, -2, 0), "left_foot": (0, -2, 1)}
    rest |= {"left_shoulder": (1, 2, 0), "left_elbow": (2, 2, 0), "left_wrist": (3, 2, 0)}
    rest |= {"neck": (0, 2, 0), "head": (0, 3, 0)}
    for name in list(rest):
        if name.startswith("left_"):
            rest["right_" + name[5:]] = tuple(np.array(rest[name]) * [-1, 1, 1])
    joints = torch.tensor([rest[name] for name in JOINT_NAMES], dtype=torch.float64)
    rotations = torch.tensor(
        Rotation.from_rotvec(to_axis_angle(as_row(posture)[None])[0]).as_matrix()
    )[None]
    _, placed = kinematics(rotations, torch.ones(1, 24, dtype=torch.float64), joints, PARENTS)
    return dict(zip(JOINT_NAMES, placed[0].numpy(), strict=True))


STILL = {"bend": 0, "nod": 0}


@pytest.mark.parametrize(
    ("changes", "bone", "expected"),
    [
        ({"left_arm": Arm(0, 0, 0, 0)}, ("left_shoulder", "left_elbow"), (0, -1, 0)),
        ({"left_arm": Arm(25, 0, 0, 0)}, ("left_shoulder", "left_elbow"), (0.42, -0.91, 0)),
        ({"left_arm": Arm(90, 90, 0, 0)}, ("left_shoulder", "left_elbow"), (0, 0, 1)),
        ({"right_arm": Arm(90, 90, 0, 0)}, ("right_shoulder", "right_elbow"), (0, 0, 1)),
        ({"right_arm": Arm(90, 0, 0, 0)}, ("right_shoulder", "right_elbow"), (-1, 0, 0)),
        ({"left_arm": Arm(0, 0, 0, 90)}, ("left_elbow", "left_wrist"), (0, 0, 1)),
        ({"left_arm": Arm(0, 0, 90, 90)}, ("left_elbow", "left_wrist"), (-1, 0, 0)),
        ({"right_arm": Arm(0, 0, 90, 90)}, ("right_elbow", "right_wrist"), (1, 0, 0)),
        ({"left_leg": Leg(90, 0, 0, 0)}, ("left_hip", "left_knee"), (0, 0, 1)),
        ({"left_leg": Leg(0, 30, 0, 0)}, ("left_hip", "left_knee"), (0.5, -0.87, 0)),
        ({"left_leg": Leg(0, 0, 0, 90)}, ("left_knee", "left_ankle"), (0, 0, -1)),
        ({"right_leg": Leg(0, 0, 0, 0, 30)}, ("right_ankle", "right_foot"), (0, 0.5, 0.87)),
        ({"right_leg": Leg(0, 0, 90, 0)}, ("right_ankle", "right_foot"), (-1, 0, 0)),
        ({"bend": 90}, ("neck", "head"), (0, 0, 1)),
        ({"lean": 90}, ("neck", "head"), (1, 0, 0)),
    ],
)
def test_clinical_angles_move_bones_where_they_should(changes, bone, expected):
    joints = pose_joints(Posture(**{**STILL, **changes}))
    direction = joints[bone[1]] - joints[bone[0]]
    np.testing.assert_allclose(direction / np.linalg.norm(direction), expected, atol=0.01)


def test_motions_leave_the_root_alone_and_vary():
    random = np.random.default_rng(2)
    poses = np.concatenate([sample_motion(action, random, 20) for action in ACTIONS for _ in "123"])
    assert poses.dtype == np.float32
    assert (poses[:, 0] == 0).all()
    assert (poses.std(0)[[1, 2, 4, 5, 16, 17, 18, 19]].max(1) > 0.3).all()


def test_standing_bodies_are_balanced(body):
    """A body bowing or leaning back as a whole is set upright."""
    straight = Rotation.from_matrix(balance(body.joints, JOINT_NAMES))
    assert straight.magnitude() < np.radians(6)
    for angle in (-40, 25, 70):
        tilt = Rotation.from_euler("x", angle, degrees=True)
        turn = Rotation.from_matrix(balance(tilt.apply(body.joints), JOINT_NAMES)) * tilt
        np.testing.assert_allclose(turn.apply([0, 1, 0]), straight.apply([0, 1, 0]), atol=1e-3)


def test_shapes_go_by_their_names():
    names = ("child", "old", "sex", "weight", "sex_weight", "leg_length", "else")
    drawn = np.array([sample_shape(np.random.default_rng(i), names) for i in range(2000)])
    assert np.abs(drawn).max() <= 1
    assert set(drawn[:, 2]) == {-1.0, 1.0}
    np.testing.assert_array_equal(drawn[:, 4], drawn[:, 2] * drawn[:, 3])
    assert (drawn[:, 0] > 0).mean() == pytest.approx(0.12, abs=0.03)
    assert (drawn[:, :2] >= 0).all()
    assert not ((drawn[:, 0] > 0) & (drawn[:, 1] > 0)).any()


def test_a_person_does_not_depend_on_the_others(body):
    alone = make_one(body, SEED, 3)
    _, truth = make_dataset(body, 5, SEED)
    np.testing.assert_array_equal(truth.vertices[3], alone.vertices)
    np.testing.assert_array_equal(truth.segment_scale[3], truth.segment_scale[3][[*MIRROR_JOINTS]])


def test_half_are_seen_from_anywhere_and_half_from_the_front(body):
    _, truth = make_dataset(body, 40, SEED, Noise(points=1))
    front = facing(truth.joints, body.joint_names)[:, 2]
    assert (front[0::2] < -0.3).sum() >= 4
    assert (front[1::2] > 0).all()


def test_the_same_seed_writes_the_same_bytes(body, tmp_path):
    for name in ("a", "b"):
        pictures, truth = make_dataset(body, 4, SEED)
        write_densepose_coco(tmp_path / f"{name}.json", pictures, body.charts.name)
        truth.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    _, other = make_dataset(body, 4, SEED + 1)
    assert not np.array_equal(other.pose, truth.pose)


def test_what_is_read_back_is_the_truth_to_rounding(body, exact):
    """Without noise, every point of the file lies where the true surface puts it."""
    _, truth, _, people = exact
    np.testing.assert_array_equal(people.id, truth.id)
    np.testing.assert_allclose(people.frame, truth.frame, atol=1e-3)
    person = people.point_person
    corners = truth.vertices[person[:, None], people.point_vertex]
    placed = np.einsum("pk,pkc->pc", people.point_barycentric, corners)
    xy = truth.scale[person, None] * placed[:, :2] + truth.translation[person]
    observed = frame_from_image(people.point_xy, people.frame[person])
    off = np.linalg.norm(xy - observed, axis=1) * 128
    # Six decimals of a chart's place may fall into the triangle beside a very thin one.
    assert (off < 0.05).mean() > 0.99
    assert off.max() < 1
    assert people.keypoint_name == KEYPOINTS
    joints = [JOINT_NAMES.index(name) for name in KEYPOINTS[5:]]
    shown = frame_from_image(people.keypoint_xy, people.frame[:, None])[:, 5:]
    np.testing.assert_allclose(shown, truth.in_frame(truth.joints[:, joints]), atol=1e-4)
    depth = truth.scale[:, None] * (truth.joints[:, joints, 2] - truth.joints[:, :1, 2])
    np.testing.assert_allclose(people.keypoint_depth[:, 5:], depth, atol=2e-5)


def test_points_lie_on_what_can_be_seen(exact):
    _, truth, _, people = exact
    seen = truth.visible[people.point_person[:, None], people.point_vertex].any(1)
    assert seen.mean() > 0.99
    counts = np.diff(people.point_start)
    assert (counts == EXACT.points).all()


def test_masks_agree_with_points_boxes_and_silhouettes(exact):
    pictures, _, path, _ = exact
    coco = load_coco(path)
    sizes = {picture.id: (picture.height, picture.width) for picture in pictures}
    for annotation in coco.anns.values():
        parts = decode_part_masks(annotation)
        column, row = np.array([annotation["dp_x"], annotation["dp_y"]]).round().astype(int)
        on = parts[row.clip(0, 255), column.clip(0, 255)] > 0
        assert on.mean() > 0.95
        silhouette = mask.decode(annotation["segmentation"])
        assert silhouette.shape == sizes[annotation["image_id"]]
        assert annotation["area"] == silhouette.sum()
        x, y, width, height = annotation["bbox"]
        assert silhouette.sum() == pytest.approx((parts > 0).mean() * width * height, rel=0.02)
        rows, columns = np.nonzero(silhouette)
        edges = [columns.min() - x, rows.min() - y, columns.max() - x - width]
        assert np.abs([*edges, rows.max() - y - height]).max() < 3


def test_the_file_is_plain_coco_to_others(exact, capsys):
    _, _, path, _ = exact
    coco = COCO(path)
    assert sum(len(coco.getAnnIds(imgIds=[image])) for image in coco.getImgIds()) == 7
    assert all(coco.annToMask(annotation).any() for annotation in coco.loadAnns(coco.getAnnIds()))
    content = json.loads(path.read_text())
    assert content["info"]["charts"] == "makehuman-24"
    for annotation in content["annotations"]:
        assert len(annotation["keypoints"]) == 51
        assert annotation["num_keypoints"] == 17
        assert len(annotation["dp_masks"]) == 14
        assert len({len(annotation[f"dp_{key}"]) for key in "xyIUV"}) == 1
        assert set(annotation["keypoints"][2::3]) <= {1, 2}


def test_noise_has_the_size_it_says(body):
    """Standard deviations of what noise adds, over the same people with and without it."""
    noisy, truth = make_dataset(body, 30, SEED, Noise(points=80))
    clean, _ = make_dataset(body, 30, SEED, EXACT)

    def gather(pictures, name):
        return np.array([getattr(a, name) for picture in pictures for a in picture.annotations])

    pixels = 128 / truth.frame[:, 2]
    keypoints = (gather(noisy, "keypoints") - gather(clean, "keypoints"))[..., :2]
    assert (keypoints * pixels[:, None, None]).std() == pytest.approx(2, rel=0.1)
    assert (gather(noisy, "depths") - gather(clean, "depths")).std() == pytest.approx(0.08, rel=0.1)


def test_truth_is_saved_and_loaded(exact, tmp_path):
    _, truth, _, _ = exact
    truth.save(tmp_path / "truth.npz")
    again = Truth.load(tmp_path / "truth.npz")
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


@pytest.mark.parametrize(
    ("count", "room", "expected"),
    [
        (10, [9, 9, 9], [4, 3, 3]),
        (10, [1, 9, 2], [1, 7, 2]),
        (50, [3, 0, 2], [3, 0, 2]),
        (0, [5], [0]),
    ],
)
def test_counts_are_shared_evenly(count, room, expected):
    np.testing.assert_array_equal(_share(count, np.array(room)), expected)
