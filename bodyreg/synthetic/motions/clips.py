"""Clips: the frames of a BVH file that can be used, as positions of known joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.errors import UserError
from bodyreg.synthetic.motions.bvh import Bvh, read_bvh
from bodyreg.synthetic.motions.joint_names import joints_of
from bodyreg.synthetic.motions.motion import FRAME_RATE

AXES = {
    f"{sign}{axis}": float(f"{sign}1") * np.eye(3)[number]
    for sign in "+-"
    for number, axis in enumerate("xyz")
}
# A file's up axis is the one along which necks are above ankles, if their mean direction is at
# least this close to it (cosine).
UPRIGHT = 0.7
# The waist, where the trunk bends: its share of the way from the hips to the neck in the rig, and
# the shares between which a joint of the file is taken for it.
WAIST, WAISTS = 0.4, (0.2, 0.75)
# A frame is broken if a knee bends forward by more than this sine, or if a limb's length differs
# from its median by more than this share.
BACKWARD, STRETCHED = 0.5, 0.2
# A rest pose stands if thighs and shanks are this close to the trunk's direction (cosine).
STANDS = 0.7
SIDES = ("left", "right")
BONES = [
    (f"{side}_{one}", f"{side}_{two}")
    for side in SIDES
    for one, two in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]


@dataclass(frozen=True, eq=False)
class Clip:
    """The usable frames of a file, in world axes with y up, and in the file's unit.

    Attributes:
        name: The file's name without suffix.
        rest: Whether another frame follows the F frames: the file's rest pose, which stands.
        at: Name of a joint -> positions (F or F + 1, 3); joints of `joint_names.NAMES` that the
            file has, and "waist".
        turns: Name -> rotations (F or F + 1, 3, 3), joint to world axes, of "head", "left_wrist"
            and "right_wrist".
    """

    name: str
    rest: bool
    at: dict[str, np.ndarray]
    turns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.at["neck"]) - self.rest


def read_clip(path: Path, told: Mapping[str, str], up: str | None) -> Clip:
    """Read a file and keep the frames that can be used.

    Args:
        path: The file.
        told: As of `joints_of`.
        up: The file's up axis, a key of `AXES`; None to recognise it.

    Raises:
        UserError: the file is damaged, its joints or its up axis are not recognised, or no frame
            can be used.
    """
    bvh = read_bvh(path, FRAME_RATE)
    joints = joints_of(bvh, told)
    positions, rotations = bvh.place()
    positions = np.concatenate([positions, bvh.rest()[None]])
    rotations = np.concatenate([rotations, np.broadcast_to(np.eye(3), rotations[:1].shape)])
    at = {name: positions[:, number] for name, number in joints.items()}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    at["waist"] = _waist(bvh, joints["neck"], positions, hips, at["neck"])
    axis = up or _up_axis(path, {name: points[:-1] for name, points in at.items()})
    world = shortest_turn(AXES[axis], np.array([[0.0, 1, 0]]))[0]
    at = {name: points @ world.T for name, points in at.items()}
    turns = {
        name: world @ rotations[:, joints[name]]
        for name in ("head", "left_wrist", "right_wrist")
        if name in joints
    }
    usable = ~_broken(at)
    usable[:-1] &= ~bvh.at_rest
    usable[-1] &= _stands({name: points[-1] for name, points in at.items()})
    if not usable[:-1].any():
        raise UserError(
            f"{path}: no frame can be used, because all are at rest or have broken limbs; remove "
            "the file"
        )
    _check_sides(path, {name: points[usable] for name, points in at.items()})
    return Clip(
        path.stem,
        bool(usable[-1]),
        {name: points[usable] for name, points in at.items()},
        {name: turn[usable] for name, turn in turns.items()},
    )


def _waist(
    bvh: Bvh, neck: int, positions: np.ndarray, hips: np.ndarray, top: np.ndarray
) -> np.ndarray:
    """(F, 3) where the trunk bends: a joint below the neck, or a point of a straight trunk."""
    trunk = top - hips
    best, least = hips + WAIST * trunk, np.inf
    joint = bvh.joints[neck].parent
    while joint >= 0:
        along = ((positions[:, joint] - hips) * trunk).sum(1) / np.maximum((trunk**2).sum(1), 1e-30)
        share = float(np.median(along))
        if WAISTS[0] <= share <= WAISTS[1] and abs(share - WAIST) < least:
            best, least = positions[:, joint], abs(share - WAIST)
        joint = bvh.joints[joint].parent
    return best


def _up_axis(path: Path, at: dict[str, np.ndarray]) -> str:
    mean = unit(at["neck"] - (at["left_ankle"] + at["right_ankle"]) / 2).mean(0)
    axis = max(AXES, key=lambda name: float(AXES[name] @ mean))
    if AXES[axis] @ mean < UPRIGHT:
        raise UserError(
            f"{path}: the up axis is not recognised, because people are not upright in most "
            "frames; name it, for example --motion-up +y"
        )
    return axis


def _check_sides(path: Path, at: dict[str, np.ndarray]) -> None:
    """Refuse a file whose toes point backward."""
    across, facing = at["left_hip"] - at["right_hip"], np.zeros(len(at["neck"]))
    for side in SIDES:
        if f"{side}_foot" in at:
            shank = at[f"{side}_knee"] - at[f"{side}_ankle"]
            toes = at[f"{side}_foot"] - at[f"{side}_ankle"]
            facing += (np.cross(unit(shank), unit(toes)) * unit(across)).sum(1)
    if np.median(facing) < 0:
        raise UserError(
            f"{path}: toes point backward, so left and right are exchanged, or the axes are "
            "left-handed; correct the file, or name its joints with --motion-names"
        )


def _stands(at: dict[str, np.ndarray]) -> bool:
    """Whether the legs (3,) of a posture continue its trunk."""
    trunk = unit(at["neck"] - (at["left_hip"] + at["right_hip"]) / 2)
    legs = [unit(at[one] - at[two]) for one, two in BONES if "hip" in one or "knee" in one]
    return min(float(leg @ trunk) for leg in legs) > STANDS


def _broken(at: dict[str, np.ndarray]) -> np.ndarray:
    """(F,) bool: a limb or the trunk has no length or another one, or a knee bends forward."""
    lengths = [np.linalg.norm(at[two] - at[one], axis=1) for one, two in BONES]
    trunk = np.median(np.linalg.norm(at["neck"] - at["left_hip"], axis=1))
    broken = np.zeros(len(at["neck"]), bool)
    for length in lengths:
        broken |= abs(length / max(np.median(length), 1e-30) - 1) > STRETCHED
        broken |= length < 1e-3 * trunk
    for one, two in (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"),
                     ("waist", "neck")):  # fmt: skip
        broken |= np.linalg.norm(at[one] - at[two], axis=1) < 1e-3 * trunk
    across = at["left_hip"] - at["right_hip"]
    for side in SIDES:
        _, plane, sine = hinge(at, side, "hip", "knee", "ankle")
        forward = knee_axis(at, side, across)
        broken |= (sine > BACKWARD) & ((plane * forward).sum(1) < 0)
    return broken


def hinge(
    at: dict[str, np.ndarray], side: str, one: str, two: str, three: str
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """A limb's two directions, the unit axis about which it bends, and the sine of the bend."""
    upper = unit(at[f"{side}_{two}"] - at[f"{side}_{one}"])
    lower = unit(at[f"{side}_{three}"] - at[f"{side}_{two}"])
    axis = np.cross(upper, lower)
    return (upper, lower), unit(axis), np.linalg.norm(axis, axis=1)


def knee_axis(at: dict[str, np.ndarray], side: str, across: np.ndarray) -> np.ndarray:
    """(F, 3) the axis of a straight knee: across the foot, and a little that of the hips."""
    shank = unit(at[f"{side}_knee"] - at[f"{side}_ankle"])
    axis = 0.3 * unit(across)
    if f"{side}_foot" in at:
        axis = axis + np.cross(shank, unit(at[f"{side}_foot"] - at[f"{side}_ankle"]))
    return unit(axis)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)


def shortest_turn(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The shortest rotations (F, 3, 3) from a unit vector (3,) to others (F, 3).

    To the opposite vector there are many; one of them is taken.
    """
    axis = np.cross(one, two)
    angle = np.arctan2(np.linalg.norm(axis, axis=1), two @ one)[:, None]
    aside = unit(np.cross(one, np.eye(3)[abs(one).argmin()]))
    axis = np.where((axis**2).sum(1, keepdims=True) > 1e-24, unit(axis), aside)
    return Rotation.from_rotvec(axis * angle).as_matrix()
