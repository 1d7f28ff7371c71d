"""Clinical angles: they move bones in the named directions, and mirror."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from bodyreg.body.joints import JOINT_NAMES, PARENTS, mirror_pose
from bodyreg.reference import kinematics
from bodyreg.synthetic.motions.poses import (
    HIGH,
    LOW,
    Arm,
    Leg,
    Posture,
    as_row,
    mirrored,
    to_axis_angle,
    to_rotations,
)


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
    rotations = torch.from_numpy(to_rotations(as_row(posture)[None]))
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


def test_rotations_are_rotations_and_the_root_stays():
    rows = np.random.default_rng(0).uniform(LOW, HIGH, (200, len(LOW)))
    turns = to_rotations(rows)
    np.testing.assert_allclose(turns @ turns.swapaxes(-1, -2), np.eye(3) + 0 * turns, atol=1e-12)
    poses = to_axis_angle(turns)
    assert (poses[:, 0] == 0).all()
    again = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(turns.shape)
    np.testing.assert_allclose(again, turns, atol=1e-12)


def test_mirrored_rows_are_mirrored_poses():
    rows = np.random.default_rng(1).uniform(LOW, HIGH, (50, len(LOW)))
    np.testing.assert_array_equal(mirrored(mirrored(rows)), rows)
    there = to_rotations(mirrored(rows))
    expected = mirror_pose(torch.from_numpy(to_axis_angle(to_rotations(rows)))).numpy()
    expected = Rotation.from_rotvec(expected.reshape(-1, 3)).as_matrix().reshape(there.shape)
    np.testing.assert_allclose(there, expected, atol=1e-12)
