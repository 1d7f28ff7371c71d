"""Made people: anatomical, and of everyday shapes and postures."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES, PARENTS
from bodyreg.reference import kinematics
from bodyreg.synthetic.actions import ACTIONS, sample_motion
from bodyreg.synthetic.people import sample_shape
from bodyreg.synthetic.performance import balance
from bodyreg.synthetic.poses import Arm, Leg, Posture, as_row, to_axis_angle


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


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
