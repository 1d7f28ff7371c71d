"""The joints that are lifted, as they are seen in the keypoints of any data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.body.joints import mirror_name
from bodyreg.data.frames import perspective_in_frame
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError

JOINTS: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "thorax", "head", "nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
"""All joints that can be lifted. Pelvis and thorax are the middles of the hips and shoulders."""

MIRROR: tuple[int, ...] = tuple(JOINTS.index(mirror_name(name)) for name in JOINTS)

# Joints that are the middle of two others: which, in the order of preference. The head is at the
# height of the ears.
MIDDLES = {
    "pelvis": (("left_hip", "right_hip"),),
    "thorax": (("left_shoulder", "right_shoulder"),),
    "head": (
        ("left_ear", "right_ear"), ("upper_neck", "head_top"), ("neck_nose", "head_top"),
        ("lsp_neck", "head_top"), ("neck", "head_top"), ("left_ear", "left_ear"),
        ("right_ear", "right_ear"), ("head", "head"),
    ),
}  # fmt: skip

# Keypoints that are lifted as a joint of another name.
OTHER_NAMES = {"openpose/neck": "thorax", "h36m/neck": "thorax"}

BONES: tuple[tuple[str, str], ...] = (
    ("pelvis", "thorax"), ("thorax", "head"),
    *(
        bone
        for side in ("left", "right")
        for bone in (
            ("pelvis", f"{side}_hip"), (f"{side}_hip", f"{side}_knee"),
            (f"{side}_knee", f"{side}_ankle"), ("thorax", f"{side}_shoulder"),
            (f"{side}_shoulder", f"{side}_elbow"), (f"{side}_elbow", f"{side}_wrist"),
        )
    ),
)  # fmt: skip
"""Bones between joints; the nose is on none."""

BONE_ENDS = torch.tensor([[JOINTS.index(joint) for joint in bone] for bone in BONES]).T
"""(2, bones) the joints at the ends of `BONES`."""

PAIRED_BONES = torch.tensor(
    [
        [BONES.index(bone), BONES.index((mirror_name(bone[0]), mirror_name(bone[1])))]
        for bone in BONES
        if bone[1].startswith("left_")
    ]
).T
"""(2, pairs) the places in `BONES` of the bones of the left side, and of the right side."""

# Bones that tell a person's size: those that a pose can foreshorten, but not bend.
_MEASURED = [i for i, bone in enumerate(BONES) if bone[1] not in ("left_hip", "right_hip")
             and not bone[1].endswith("shoulder")]  # fmt: skip
# Foreshortened bones say little of a size, so long ones count most. A mean of this power is
# within 17 % of the size for people of any stature; the largest is disturbed by noise.
_POWER = 8


@dataclass(frozen=True)
class Poses:
    """N people's joints in pictures, in units of their own size.

    Attributes:
        xy: (N, J, 2) float32, relative to the root, y up; 0 if absent. A unit is about a metre of
            a person as tall as the built-in body.
        present: (N, J) float32, 1 or 0.
        size: (N,) float32, frame units per unit.
        camera: (N, 3) float32, the inverse distance of a near camera, and the principal point from
            the root divided by this distance; zeros for parallel rays, and if nothing is known.
    """

    xy: Tensor
    present: Tensor
    size: Tensor
    camera: Tensor

    def __len__(self) -> int:
        return len(self.xy)

    def select(self, people: Tensor | slice) -> Poses:
        """The people at these positions, or of a mask."""
        return Poses(*(getattr(self, field.name)[people] for field in fields(self)))

    def to(self, kind: torch.dtype | torch.device) -> Poses:
        """The same in another type or on another device."""
        return Poses(*(getattr(self, field.name).to(kind) for field in fields(self)))

    def detached(self) -> Poses:
        """The same without gradients."""
        return Poses(*(getattr(self, field.name).detach() for field in fields(self)))

    def repeated(self, count: int) -> Poses:
        """All people so many times, one set after the other."""
        return self.select(torch.arange(len(self)).repeat(count))

    def where(self, condition: Tensor, other: Poses) -> Poses:
        """These people where a mask (N,) says so, else the others."""
        chosen = condition[:, None]
        return Poses(
            self.xy.where(chosen[..., None], other.xy),
            self.present.where(chosen, other.present),
            self.size.where(condition, other.size),
            self.camera.where(chosen, other.camera),
        )

    def seen_by(self, known: Tensor, perspective: bool) -> Poses:
        """The poses without the joints that are 0 in `known`, and with or without cameras.

        Their sizes are measured again without these joints.

        Args:
            known: (J,) or (N, J).
            perspective: Whether cameras are known.
        """
        present, inverse = self.present * known, self.camera[:, :1] * perspective
        point = self.camera[:, 1:] / inverse.where(inverse > 0, 1)
        found = normalised(
            self.xy * present[..., None], present, torch.cat([inverse, point * (inverse > 0)], 1)
        )
        return replace(found, size=found.size * self.size)

    def mirrored(self) -> Poses:
        """The people seen in a mirror: joints exchange sides."""
        return replace(
            self,
            xy=mirrored(self.xy),
            present=self.present[:, MIRROR],
            camera=self.camera * self.camera.new_tensor([1.0, -1.0, 1.0]),
        )

    @property
    def inputs(self) -> Tensor:
        """(N, `INPUTS`) what networks read."""
        return torch.cat([self.xy.flatten(1), self.present, self.camera], 1)


INPUTS = 3 * len(JOINTS) + 3
"""Numbers of a pose that networks read."""


def mirrored(points: Tensor) -> Tensor:
    """Joints (N, J, 2 or 3) seen in a mirror."""
    signs = points.new_tensor([-1.0, 1.0, 1.0])[: points.shape[-1]]
    return points[:, MIRROR] * signs


def columns(names: Sequence[str]) -> dict[int, int]:
    """Keypoint -> joint, as places in `names` and `JOINTS`, for keypoints that are lifted."""
    found = {}
    for place, name in enumerate(names):
        joint = OTHER_NAMES.get(name, name.rpartition("/")[2])
        if joint in JOINTS and joint != "head":
            found[place] = JOINTS.index(joint)
    return found


def poses_of(observations: Observations) -> Poses:
    """The joints of all people. A person without a bone has no size: then all joints are absent.

    Raises:
        UserError: no keypoint is one of the joints.
    """
    names, xy = observations.keypoint_name, observations.keypoints_in_frame()
    if not columns(names):
        raise UserError(
            "no keypoint can be lifted; joints are recognised by names such as coco/left_hip"
        )
    present = observations.keypoint_weight > 0
    none = np.zeros_like(xy[:, 0]), np.zeros(len(xy), bool)
    at: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for i, name in enumerate(names):
        # People of several data sets have joints of one name in different columns.
        joint = name.rpartition("/")[2]
        before, known = at.get(joint, none)
        at[joint] = np.where(known[:, None], before, xy[:, i]), known | present[:, i]
    placed = np.zeros((len(xy), len(JOINTS), 2), np.float32)
    there = np.zeros((len(xy), len(JOINTS)), bool)
    for j, joint in enumerate(JOINTS):
        for one, two in MIDDLES.get(joint, ((joint, joint),)):
            (a, seen_a), (b, seen_b) = at.get(one, none), at.get(two, none)
            use = seen_a & seen_b & ~there[:, j]
            placed[use, j], there[use, j] = (a[use] + b[use]) / 2, True
    camera = np.zeros((len(xy), 3), np.float32)
    if observations.focal is not None:
        camera = perspective_in_frame(
            observations.focal,
            observations.principal_point,
            observations.picture_size,
            observations.frame,
        )
    return normalised(
        torch.from_numpy(placed), torch.from_numpy(there).float(), torch.from_numpy(camera)
    )


def normalised(xy: Tensor, present: Tensor, perspective: Tensor) -> Poses:
    """Poses of joints in frame units, or in any other unit.

    Args:
        xy: (N, J, 2).
        present: (N, J) 1 or 0.
        perspective: (N, 3) of `ops.projection`, in the same unit.
    """
    ends, usual = BONE_ENDS[:, _MEASURED], usual_lengths()[_MEASURED]
    lengths = (xy[:, ends[0]] - xy[:, ends[1]]).norm(dim=2) / usual
    known = present[:, ends[0]] * present[:, ends[1]]
    powers = (known * lengths**_POWER).sum(1) / known.sum(1).clamp(min=1)
    # A person without bones has size 0, and gradients that are finite.
    size = powers.clamp(min=1e-30) ** (1 / _POWER) * (powers > 0)
    present = present * (size > 0)[:, None]
    middle, unit = root(xy, present), size.clamp(min=1e-6)[:, None]
    inverse = perspective[:, :1] * unit
    return Poses(
        (xy - middle[:, None]) / unit[..., None] * present[..., None],
        present,
        size,
        torch.cat([inverse, inverse * (perspective[:, 1:] - middle) / unit], 1),
    )


def root(xy: Tensor, present: Tensor) -> Tensor:
    """(N, 2) the pelvis; without it, the middle of what is present."""
    middle = (xy * present[..., None]).sum(1) / present.sum(1).clamp(min=1)[:, None]
    return torch.where(present[:, :1] > 0, xy[:, 0], middle)


def some_hidden(count: int, share: float, random: torch.Generator) -> Tensor:
    """(N, J) 1, and 0 for joints that are hidden at random: a mean share of them all.

    The share differs between people. A middle is hidden if an end is.
    """
    shares = 2 * share * torch.rand(count, 1, generator=random)
    known = (torch.rand(count, len(JOINTS), generator=random) >= shares).float()
    for joint, ((one, two), *_) in MIDDLES.items():
        if one in JOINTS:
            known[:, JOINTS.index(joint)] = known[:, [JOINTS.index(one), JOINTS.index(two)]].prod(1)
    return known


def bone_lengths(points: Tensor) -> Tensor:
    """(N, bones) lengths of `BONES`, of joints (N, J, 2 or 3)."""
    a, b = points[:, BONE_ENDS[0]], points[:, BONE_ENDS[1]]
    return ((a - b).square().sum(2) + 1e-12).sqrt()


def bones_present(present: Tensor) -> Tensor:
    """(N, bones) 1 where both ends of a bone are present (N, J), else 0."""
    return present[:, BONE_ENDS[0]] * present[:, BONE_ENDS[1]]


@lru_cache(maxsize=1)
def usual_lengths() -> Tensor:
    """(bones,) lengths of `BONES` of the built-in body, metres."""
    body = Body.default()
    with torch.inference_mode(False):
        transforms, _ = body.pose(torch.zeros(1, 24, 3), torch.ones(1, 24))
        points = body.keypoints(COCO_17.keypoints)
        placed = ops.lbs(transforms, points.joint_ids, points.anchors)
    return bone_lengths(joints_from(COCO_17.joints, placed))[0]


def joints_from(names: Sequence[str], places: Tensor) -> Tensor:
    """Joints (N, J, ...) from the places (N, K, ...) of COCO's keypoints with these names."""
    at = {name: places[:, i] for i, name in enumerate(names)}
    for joint, ((one, two), *_) in MIDDLES.items():
        at[joint] = (at[one] + at[two]) / 2
    return torch.stack([at[name] for name in JOINTS], 1)
