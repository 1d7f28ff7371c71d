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
from bodyreg.synthetic.poses import UPRIGHT, sample_pose

# Standard deviation of a segment's scale about 1. A left and a right segment are alike.
SEGMENT_SCALE_SD = 0.06
# Shape coefficients run from -1 to 1 between the extremes a modeller may choose. Everyday variety
# is narrower: these standard deviations give men a stature of 1.77 m and women one of 1.63 m, each
# with sd 0.08, and limbs that differ by a few per cent. Others vary by OTHER_SHAPE_SD.
SHAPE_SD = {
    "height": 0.3,
    "hips": 0.25,
    "shoulders": 0.25,
    "torso_length": 0.15,
    "leg_length": 0.12,
    "arm_length": 0.15,
}
OTHER_SHAPE_SD = 0.35
# Shares of children and of old people, and the range of each one's coefficient.
AGES = {"child": (0.12, 0.2, 0.9), "old": (0.2, 0.2, 1.0)}
# Half of the people are seen from anywhere, the others from the front.
FRONT_YAW = 60.0
# Standard deviations of the camera's pitch and roll, degrees.
PITCH_SD, ROLL_SD = 7.0, 4.0

# Share of a body's mass between two joints (Dempster, "Space requirements of the seated operator",
# 1955); of a limb, each side's.
MASSES = {
    ("pelvis", "spine1"): 0.14,
    ("spine1", "spine3"): 0.14,
    ("spine3", "neck"): 0.22,
    ("neck", "head"): 0.08,
    ("hip", "knee"): 0.10,
    ("knee", "ankle"): 0.046,
    ("ankle", "foot"): 0.014,
    ("shoulder", "elbow"): 0.028,
    ("elbow", "wrist"): 0.016,
    ("wrist", "hand"): 0.006,
}
# A foot this much higher than the other, in metres, carries a third of what the other does.
LIFTED = 0.1


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
    view = _view(random, full_circle=index % 2 == 0)
    shape = sample_shape(random, body.shape_names)

    shaped = body.with_shape(shape) if body.shape_directions is not None else body
    transforms, joints = shaped.pose(_batch(pose), _batch(segment_scale))
    rotation = view
    if activity not in UPRIGHT:
        rotation = view @ balance(joints[0].numpy(), body.joint_names)

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


def balance(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The turn (3, 3) that brings a standing body's centre of mass above its feet.

    Args:
        joints: (24, 3) metres, y up.
        names: Their names.
    """
    at = dict(zip(names, joints.astype(np.float64), strict=True))
    sides = ("left_", "right_")
    centre = np.zeros(3)
    for (first, second), share in MASSES.items():
        for side in ("",) if first in at else sides:
            centre += share * (at[side + first] + at[side + second]) / 2
    feet = np.array([(at[f"{side}ankle"] + at[f"{side}foot"]) / 2 for side in sides])
    load = 3.0 ** -((feet[:, 1] - feet[:, 1].min()) / LIFTED)
    upward = centre - load @ feet / load.sum()
    return Rotation.align_vectors([[0, 1, 0]], [upward])[0].as_matrix()


def sample_shape(random: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    """Draw coefficients (S,) in [-1, 1] of shape directions by their names.

    "sex" is either; ages are mostly those of adults; "first_second" of two other names is what they
    change together, so its coefficient is their product.
    """
    values: dict[str, float] = {}
    for name in names:
        draw, number = random.random(2)
        if name == "sex":
            values[name] = 1.0 if draw < 0.5 else -1.0
        elif name in AGES:
            share, low, high = AGES[name]
            values[name] = low + (high - low) * number if draw < share else 0.0
        else:
            sd = SHAPE_SD.get(name, OTHER_SHAPE_SD)
            values[name] = float(np.clip(sd * random.normal(), -1, 1))
    if values.get("child"):
        values |= {"old": 0.0}
    for name in names:
        first, _, second = name.partition("_")
        if first in values and second in values:
            values[name] = values[first] * values[second]
    return np.array([values[name] for name in names])


def _view(random: np.random.Generator, *, full_circle: bool) -> np.ndarray:
    """(3, 3), model axes to camera axes: yaw, then the camera's pitch and roll."""
    yaw = random.uniform(-180, 180) if full_circle else random.uniform(-FRONT_YAW, FRONT_YAW)
    pitch, roll = random.normal(0, [PITCH_SD, ROLL_SD])
    return Rotation.from_euler("ZXY", [roll, pitch, yaw], degrees=True).as_matrix()


def _batch(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).float()[None]
