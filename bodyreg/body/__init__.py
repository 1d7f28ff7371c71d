"""The body: template mesh, 24-joint rig, charts, landmarks, and the files they come from."""

from bodyreg.body.body import Body
from bodyreg.body.charts import Charts
from bodyreg.body.conventions import CONVENTIONS
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS, PARENTS, mirror_pose
from bodyreg.body.landmarks import LANDMARK_NAMES, Landmark, Place
from bodyreg.body.parameters import AXIS_ANGLE, QUATERNION, SIX_NUMBERS, Layout, Parameters
from bodyreg.body.rig import RigPoints
from bodyreg.body.rotations import (
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
    rotation_matrices,
)
from bodyreg.body.smpl import CarriedCharts, SmplVertices

__all__ = [
    "AXIS_ANGLE",
    "CONVENTIONS",
    "JOINT_NAMES",
    "LANDMARK_NAMES",
    "MIRROR_JOINTS",
    "PARENTS",
    "QUATERNION",
    "SIX_NUMBERS",
    "Body",
    "CarriedCharts",
    "Charts",
    "Landmark",
    "Layout",
    "Parameters",
    "Place",
    "RigPoints",
    "SmplVertices",
    "axis_angle_to_quaternion",
    "matrix_to_quaternion",
    "mirror_pose",
    "quaternion_to_axis_angle",
    "rotation_matrices",
]  # fmt: skip
