"""What the solver reads: the body's constants and the people's evidence, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import Body
from bodyreg.data.frames import frame_from_image
from bodyreg.data.observations import Observations
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.losses import POINT_GRAIN
from bodyreg.registration.prior import pose_prior

SURFACE_SAMPLES = 16
"""Rest normals per segment that stand for its surface in the visibility term."""


@dataclass(frozen=True)
class Rig:
    """Constants of a body and of the wanted keypoints, on one device in one dtype.

    Attributes:
        joints (24,3), parents: the skeleton.
        keypoint_ids (K+1,k), keypoint_anchors (K+1,k,4): the pelvis first, then the keypoints.
        children, bone_parents (23,): ends of the bones. left, right (L,): paired segments.
        prior_mean, prior_inverse_spread, limit_low, limit_high: (24,3) radians.
        surface_normals (3,24,M), surface_area (24,M): sample of each segment's rest surface.
    """

    joints: Tensor
    parents: tuple[int, ...]
    keypoint_ids: Tensor
    keypoint_anchors: Tensor
    children: Tensor
    bone_parents: Tensor
    left: Tensor
    right: Tensor
    prior_mean: Tensor
    prior_inverse_spread: Tensor
    limit_low: Tensor
    limit_high: Tensor
    surface_normals: Tensor
    surface_area: Tensor


@dataclass(frozen=True)
class Evidence:
    """Evidence of B people with P padded points each. Weights carry their division by counts.

    Attributes:
        point_ids (B,P,k) int32, point_anchors (B,P,k,4): rig points of the matches.
        point_xy (B,P,2) frame units, point_weight (B,P).
        point_normal (B,P,1,4), point_segment (B,P,1) int32: rest normal and the segment that turns
            it, as a rig point of no position (its fourth number is 0).
        segment_weight (B,24): sum of point weights over each segment.
        keypoint_xy (B,K,2), keypoint_weight (B,K); keypoint_depth (B,K), depth_weight (B,K).
    """

    point_ids: Tensor
    point_anchors: Tensor
    point_xy: Tensor
    point_weight: Tensor
    point_normal: Tensor
    point_segment: Tensor
    segment_weight: Tensor
    keypoint_xy: Tensor
    keypoint_weight: Tensor
    keypoint_depth: Tensor
    depth_weight: Tensor

    def __len__(self) -> int:
        return len(self.point_xy)

    @property
    def has_points(self) -> bool:
        """Whether anybody here has dense points."""
        return self.point_xy.shape[1] > 0

    @property
    def has_keypoints(self) -> bool:
        """Whether the observations name any keypoint."""
        return self.keypoint_xy.shape[1] > 0

    def repeat(self, times: int) -> Evidence:
        """Every person `times` times in a row."""
        if times == 1:
            return self
        return replace(
            self,
            **{f.name: getattr(self, f.name).repeat_interleave(times, 0) for f in fields(self)},
        )


def make_rig(
    body: Body, keypoint_names: tuple[str, ...], device: torch.device, dtype: torch.dtype
) -> Rig:
    """Gather what the objective needs of a body."""
    prior = pose_prior()
    keypoints = body.keypoints((body.joint_names[0], *keypoint_names))
    normals, area = body.surface_samples(SURFACE_SAMPLES)
    inverse_spread = 1 / prior.spread
    inverse_spread[0] = 0
    pairs = [(k, m) for k, m in enumerate(body.mirror_joints) if k < m]

    def real(array) -> Tensor:
        return torch.as_tensor(np.asarray(array), dtype=dtype, device=device)

    def index(array) -> Tensor:
        return torch.as_tensor(np.asarray(array), dtype=torch.int64, device=device)

    return Rig(
        joints=real(body.joints),
        parents=tuple(body.parents),
        keypoint_ids=torch.as_tensor(keypoints.joint_ids, device=device),
        keypoint_anchors=real(keypoints.anchors),
        children=index(range(1, 24)),
        bone_parents=index(body.parents[1:]),
        left=index([k for k, _ in pairs]),
        right=index([m for _, m in pairs]),
        prior_mean=real(prior.mean),
        prior_inverse_spread=real(inverse_spread),
        limit_low=real(prior.low),
        limit_high=real(prior.high),
        surface_normals=real(normals).permute(2, 0, 1).contiguous(),
        surface_area=real(area),
    )


def padded_counts(observations: Observations) -> np.ndarray:
    """(N,) points per person, rounded up to a multiple of `POINT_GRAIN`."""
    return -(-np.diff(observations.point_start) // POINT_GRAIN) * POINT_GRAIN


def pack(
    body: Body,
    observations: Observations,
    people: np.ndarray,
    config: RegistrationConfig,
    device: torch.device,
    dtype: torch.dtype,
) -> Evidence:
    """Evidence of the chosen people as padded tensors.

    Args:
        body: Body whose vertices `observations.point_vertex` names.
        observations: Checked observations.
        people: (B,) indices; all of the same padded count.
        config: Says how sums are divided.
    """
    start = observations.point_start[people]
    count = observations.point_start[people + 1] - start
    padded = int(padded_counts(observations)[people].max(initial=0))
    present = np.arange(padded) < count[:, None]
    source = (start[:, None] + np.arange(padded))[present]

    points = body.surface_points(
        observations.point_vertex[source], observations.point_barycentric[source]
    )
    ids, anchors, normals = (
        np.asarray(a) for a in (points.joint_ids, points.anchors, points.normals)
    )
    segment = np.take_along_axis(ids, anchors[..., 3].argmax(1)[:, None], 1)[:, 0]
    frames = observations.frame[people]
    point_frame = np.repeat(frames, count, axis=0)
    weight = _per_count(
        observations.point_weight[source], present, config.evidence, config.dense_count
    )

    keypoint_weight = observations.keypoint_weight[people].astype(np.float64)
    used = keypoint_weight > 0
    keypoint_weight /= (
        config.keypoint_count
        if config.evidence == "sum"
        else np.maximum(used.sum(1, keepdims=True), 1)
    )
    keypoint_xy = frame_from_image(observations.keypoint_xy[people], frames[:, None])
    depth = (
        observations.keypoint_depth[people]
        if observations.keypoint_depth is not None
        else np.full(used.shape, np.nan)
    )
    has_depth = used & ~np.isnan(depth)

    def padded_grid(values: np.ndarray) -> np.ndarray:
        grid = np.zeros((*present.shape, *values.shape[1:]), values.dtype)
        grid[present] = values
        return grid

    def real(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device)

    segments = padded_grid(segment)
    segment_weight = np.zeros((len(people), 24))
    np.add.at(segment_weight, (np.arange(len(people))[:, None], segments), weight)
    return Evidence(
        point_ids=torch.as_tensor(padded_grid(ids), dtype=torch.int32, device=device),
        point_anchors=real(padded_grid(anchors)),
        point_xy=real(padded_grid(frame_from_image(observations.point_xy[source], point_frame))),
        point_weight=real(weight),
        point_normal=real(np.pad(padded_grid(normals), ((0, 0), (0, 0), (0, 1)))[:, :, None]),
        point_segment=torch.as_tensor(segments[..., None], dtype=torch.int32, device=device),
        segment_weight=real(segment_weight),
        keypoint_xy=real(np.where(used[..., None], keypoint_xy, 0)),
        keypoint_weight=real(keypoint_weight),
        keypoint_depth=real(np.where(has_depth, depth, 0)),
        depth_weight=real(np.where(has_depth, keypoint_weight, 0)),
    )


def _per_count(weights: np.ndarray, present: np.ndarray, evidence: str, count: float) -> np.ndarray:
    """Weights on the padded grid, divided by the fixed count or by the person's own."""
    grid = np.zeros(present.shape)
    grid[present] = weights
    if evidence == "sum":
        return grid / count
    return grid / np.maximum((grid > 0).sum(1, keepdims=True), 1)
