"""Skeletons: the joints of the data sets, and their order.

What a data set means by a joint is in `bodyreg.body.conventions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bodyreg.body.conventions import CONVENTIONS
from bodyreg.body.joints import JOINT_NAMES, PARENTS, mirror_name


@dataclass(frozen=True)
class Skeleton:
    """The joints of a data set, in its order.

    Attributes:
        name: The data set's name for it.
        convention: What the joints mean, a key of `CONVENTIONS`; "" = the body's own joints.
        joints: Different names. Those of the two sides begin with left_ and right_.
        parents: Parent of each joint, -1 for the root; empty if the format has no tree.
    """

    name: str
    convention: str
    joints: tuple[str, ...]
    parents: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """The joint on the other side, for each joint; a permutation that is its own inverse."""
        return tuple(self.joints.index(mirror_name(name)) for name in self.joints)

    @cached_property
    def keypoints(self) -> tuple[str, ...]:
        """The joints as names of keypoints: "left_hip" of COCO is "coco/left_hip"."""
        return tuple(
            f"{self.convention}/{name}" if self.convention else name for name in self.joints
        )

    @cached_property
    def evidence(self) -> tuple[int, ...]:
        """The joints that a body is fitted to: all but those that always lie at an earlier one."""
        landmarks = CONVENTIONS.get(self.convention, {})
        places = [landmarks.get(name, name) for name in self.joints]
        return tuple(i for i, place in enumerate(places) if place not in places[:i])

    @cached_property
    def evidence_keypoints(self) -> tuple[str, ...]:
        """The keypoints of `evidence`."""
        return tuple(self.keypoints[joint] for joint in self.evidence)


SMPL_24 = Skeleton("SMPL-24", "", JOINT_NAMES, PARENTS)

COCO_17 = Skeleton(
    "COCO-17",
    "coco",
    (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

COCO_18 = Skeleton(
    "COCO-18",
    "openpose",
    (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ),
)  # fmt: skip

BODY_25 = Skeleton(
    "BODY_25",
    "openpose",
    (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist", "pelvis", "right_hip", "right_knee",
        "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear",
        "left_ear", "left_toe", "left_small_toe", "left_heel", "right_toe", "right_small_toe",
        "right_heel",
    ),
)  # fmt: skip

# Halpe's, of AlphaPose: https://github.com/Fang-Haoshu/Halpe-FullBody lists the order.
HALPE_26 = Skeleton(
    "Halpe-26",
    "halpe",
    (
        *COCO_17.joints, "head_top", "neck", "pelvis", "left_toe", "right_toe",
        "left_small_toe", "right_small_toe", "left_heel", "right_heel",
    ),
)  # fmt: skip

# The first joints of COCO-WholeBody, before its points of the face and of the hands.
WHOLE_BODY_23 = Skeleton(
    "COCO-WholeBody-23",
    "openpose",
    (
        *COCO_17.joints, "left_toe", "left_small_toe", "left_heel",
        "right_toe", "right_small_toe", "right_heel",
    ),
)  # fmt: skip

MPII_16 = Skeleton(
    "MPII-16",
    "mpii",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis",
        "thorax", "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist",
    ),
    (1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14),
)  # fmt: skip

# Joints that most data sets have, over which meshes are usually compared.
LSP_14 = Skeleton(
    "LSP-14",
    "lsp",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "neck", "head_top",
    ),
)  # fmt: skip

H36M_32 = Skeleton(
    "H36M-32",
    "h36m",
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
    "h36m",
    tuple(H36M_32.joints[joint] for joint in H36M_17_OF_32),
    (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

# The order of SPIN's and HMR's files: the fourteen joints of LSP, then those that Human3.6M, MPII
# and COCO add. The joint in the neck's place depends on the person's data set.
SPIN_24 = Skeleton(
    "SPIN-24",
    "spin",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "lsp_neck", "head_top", "pelvis", "thorax", "mid_spine", "neck_nose", "h36m_head",
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    ),
)  # fmt: skip

H36M_17_OF_SPIN: tuple[int, ...] = (14, 2, 1, 0, 3, 4, 5, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6)
"""The places of H36M-17's joints in SPIN-24, for people of Human3.6M."""

# https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker lists the order.
BLAZEPOSE_33 = Skeleton(
    "BlazePose-33",
    "blazepose",
    (
        "nose", "left_eye_inner", "left_eye", "left_eye_outer",
        "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear",
        "left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
        "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee",
        "left_ankle", "right_ankle", "left_heel", "right_heel",
        "left_foot_index", "right_foot_index",
    ),
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        SMPL_24, COCO_17, COCO_18, BODY_25, HALPE_26, WHOLE_BODY_23, MPII_16, LSP_14, SPIN_24,
        H36M_17, H36M_32, BLAZEPOSE_33,
    )
}  # fmt: skip
