"""The 24 joints every body has: SMPL's names, order and tree (Loper et al. 2015)."""

from __future__ import annotations

from torch import Tensor

JOINT_NAMES: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2",
    "left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar",
    "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip

PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip


def mirror_name(name: str) -> str:
    """The name on the other side: left_knee -> right_knee, coco/left_hip -> coco/right_hip."""
    convention, slash, joint = name.rpartition("/")
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if joint.startswith(side):
            return convention + slash + other + joint.removeprefix(side)
    return name


MIRROR_JOINTS: tuple[int, ...] = tuple(JOINT_NAMES.index(mirror_name(n)) for n in JOINT_NAMES)


def mirror_pose(pose: Tensor) -> Tensor:
    """The pose seen in a mirror: joints swap sides, rotations about y and z change sign.

    Args:
        pose: (..., 24, 3) axis-angle, or (..., 24, 4) quaternions w, x, y, z.

    Returns:
        The same shape. Applied twice, it gives back `pose`.
    """
    signs = pose.new_tensor([1.0, 1.0, -1.0, -1.0])[-pose.shape[-1] :]
    return pose[..., list(MIRROR_JOINTS), :] * signs
