"""Skeletons: the joints of the data sets, their order, and their places on the body.

A data set's joint that is also a joint or landmark of the body has the body's name. Other joints
have names of their own, and `MIXES` approximates them by points of the body. The approximations are
good enough to write annotations of made people, and too rough to fit a body to measured joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bodyreg.body.joints import JOINT_NAMES, mirror_name
from bodyreg.body.landmarks import LANDMARK_NAMES


@dataclass(frozen=True)
class Skeleton:
    """The joints of a data set, in its order.

    Attributes:
        name: The data set's name for it.
        joints: Different names: the body's, or else names of their own. Those of the two sides
            begin with left_ and right_.
        parents: Parent of each joint, -1 for the root; empty if the format has no tree.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """The joint on the other side, for each joint; a permutation that is its own inverse."""
        return tuple(self.joints.index(mirror_name(name)) for name in self.joints)

    @cached_property
    def on_body(self) -> tuple[int, ...]:
        """The joints that are joints or landmarks of the body."""
        known = {*JOINT_NAMES, *LANDMARK_NAMES}
        return tuple(i for i, name in enumerate(self.joints) if name in known)


MIXES: dict[str, tuple[str, ...]] = {
    "shoulder_centre": ("left_shoulder", "right_shoulder"),
    "upper_neck": ("head",),
    "mid_spine": ("pelvis", "neck"),
    "neck_nose": ("head", "nose"),
    "lsp_neck": ("neck",),
    "h36m_head": ("head_top",),
    "left_small_toe": ("left_toe",),
    "right_small_toe": ("right_toe",),
    "spine_root": ("pelvis",),
    "left_shoulder_root": ("neck",),
    "right_shoulder_root": ("neck",),
    "left_thumb": ("left_wrist", "left_hand"),
    "right_thumb": ("right_wrist", "right_hand"),
    "left_thumb_tip": ("left_hand",),
    "right_thumb_tip": ("right_hand",),
    "left_wrist_end": ("left_wrist",),
    "right_wrist_end": ("right_wrist",),
    "left_hand_tip": ("left_hand",),
    "right_hand_tip": ("right_hand",),
}
"""A joint that the body does not have -> points of the body whose mean is near it."""

COCO_17 = Skeleton(
    "COCO-17",
    (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

# OpenPose's neck is the middle of the shoulders: its training data define it so.
COCO_18 = Skeleton(
    "COCO-18",
    (
        "nose", "shoulder_centre", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ),
)  # fmt: skip

BODY_25 = Skeleton(
    "BODY_25",
    (
        "nose", "shoulder_centre", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "pelvis", "right_hip", "right_knee",
        "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear",
        "left_ear", "left_toe", "left_small_toe", "left_heel", "right_toe", "right_small_toe",
        "right_heel",
    ),
)  # fmt: skip

# MPII's thorax lies within a pixel of the middle of the shoulders; the upper neck is where the
# skull begins.
MPII_16 = Skeleton(
    "MPII-16",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis",
        "shoulder_centre", "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist",
    ),
    (1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14),
)  # fmt: skip

# Joints that most data sets have, over which meshes are usually compared.
LSP_14 = Skeleton(
    "LSP-14",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "neck", "head_top",
    ),
)  # fmt: skip

# Human3.6M's "thorax" is the base of the neck, its "foot" the ankle, its "toe base" the ball.
H36M_32 = Skeleton(
    "H36M-32",
    (
        "pelvis", "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
        "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
        "spine_root", "mid_spine", "neck", "neck_nose", "head_top",
        "left_shoulder_root", "left_shoulder", "left_elbow", "left_wrist",
        "left_thumb", "left_thumb_tip", "left_wrist_end", "left_hand_tip",
        "right_shoulder_root", "right_shoulder", "right_elbow", "right_wrist",
        "right_thumb", "right_thumb_tip", "right_wrist_end", "right_hand_tip",
    ),
    (
        -1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14,
        12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26, 27, 28, 27, 30,
    ),
)  # fmt: skip

H36M_17_OF_32: tuple[int, ...] = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The joints of H36M-32 that H36M-17 has, in its order."""

H36M_17 = Skeleton(
    "H36M-17",
    tuple(H36M_32.joints[joint] for joint in H36M_17_OF_32),
    (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

# The order of SPIN's and HMR's files: the fourteen joints of LSP, then those that Human3.6M, MPII
# and COCO add. The joint in the neck's place depends on the person's data set.
SPIN_24 = Skeleton(
    "SPIN-24",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "lsp_neck", "head_top", "pelvis", "shoulder_centre", "mid_spine", "neck_nose", "h36m_head",
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    ),
)  # fmt: skip

H36M_17_OF_SPIN: tuple[int, ...] = (14, 2, 1, 0, 3, 4, 5, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6)
"""The places of H36M-17's joints in SPIN-24, for people of Human3.6M."""

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (COCO_17, COCO_18, BODY_25, MPII_16, LSP_14, SPIN_24, H36M_17, H36M_32)
}
