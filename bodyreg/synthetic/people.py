"""People made from the body: shapes, proportions, poses and views, each drawn at random.

Person i of a seed is always the same one, however many are made and in whatever order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.synthetic.poses import sample_pose

# Standard deviation of a segment's scale about 1. A left and a right segment are alike.
SEGMENT_SCALE_SD = 0.06
# Standard deviation of a shape coefficient, which is drawn within [-1, 1].
SHAPE_SD = 0.5
# Half of the people are seen from anywhere, the others from the front.
FRONT_YAW = 60.0
# Standard deviations of the camera's pitch and roll, degrees.
PITCH_SD, ROLL_SD = 7.0, 4.0


@dataclass(eq=False)
class Person:
    """One person as the camera sees it: metres, x right, y up, z toward the viewer, pelvis at 0."""

    pose: np.ndarray  # (24, 3)
    segment_scale: np.ndarray  # (24,)
    shape: np.ndarray  # (S,)
    rotation: np.ndarray  # (3, 3)
    activity: str
    vertices: np.ndarray  # (V, 3)
    joints: np.ndarray  # (24, 3)
    keypoints: np.ndarray  # (K, 3)


def sample_person(body: Body, keypoint_names: tuple[str, ...], seed: int, index: int) -> Person:
    """Draw person `index` of a seed.

    Args:
        body: The template; its shape directions vary the person, if it has any.
        keypoint_names: Joints and landmarks to place too.
        seed: The data set's seed.
        index: The person's number; even ones are seen from anywhere, odd ones from the front.
    """
    random = np.random.default_rng([seed, index, 0])
    pose, activity = sample_pose(random)
    segment_scale = 1 + SEGMENT_SCALE_SD * random.normal(size=len(body.parents))
    segment_scale = segment_scale[np.minimum(np.arange(len(body.parents)), body.mirror_joints)]
    rotation = _view(random, full_circle=index % 2 == 0)
    shape = _clipped_normal(random, len(body.shape_names), SHAPE_SD)

    shaped = body.with_shape(shape) if body.shape_directions is not None else body
    transforms, joints = shaped.pose(_batch(pose), _batch(segment_scale))

    def in_view(points: torch.Tensor) -> np.ndarray:
        moved = points[0].double().numpy() - joints[0, 0].double().numpy()
        return (moved @ rotation.T).astype(np.float32)

    placed = [
        in_view(ops.lbs(transforms, points.joint_ids, points.anchors))
        for points in (shaped.vertex_points(), shaped.keypoints(keypoint_names))
    ]
    return Person(
        pose=pose.astype(np.float32),
        segment_scale=segment_scale.astype(np.float32),
        shape=shape.astype(np.float32),
        rotation=rotation.astype(np.float32),
        activity=activity,
        vertices=placed[0],
        joints=in_view(joints),
        keypoints=placed[1],
    )


def _view(random: np.random.Generator, *, full_circle: bool) -> np.ndarray:
    """(3, 3), model axes to camera axes: yaw, then the camera's pitch and roll."""
    yaw = random.uniform(-180, 180) if full_circle else random.uniform(-FRONT_YAW, FRONT_YAW)
    pitch, roll = random.normal(0, [PITCH_SD, ROLL_SD])
    return Rotation.from_euler("ZXY", [roll, pitch, yaw], degrees=True).as_matrix()


def _clipped_normal(random: np.random.Generator, count: int, sd: float) -> np.ndarray:
    return np.clip(sd * random.normal(size=count), -1, 1)


def _batch(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).float()[None]
