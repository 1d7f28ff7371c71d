"""What the solvers read: the body's constants and the people's evidence, as tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import Body, RigPoints
from bodyreg.body.proportions import folded_anchors, folded_joints
from bodyreg.data.frames import perspective_in_frame
from bodyreg.data.observations import Observations
from bodyreg.ops.fit import Evidence, Rig
from bodyreg.registration.cameras import focal_lengths
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.prior import pose_prior

SURFACE_SAMPLES = 16
"""Rest normals per segment that stand for its surface in the visibility term."""

NUMPY_DTYPES: dict[torch.dtype, type[np.floating]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


@lru_cache(maxsize=8)
def make_rig(
    body: Body, keypoint_names: tuple[str, ...], device: torch.device, dtype: torch.dtype
) -> Rig:
    """Gather what a fit needs of a body; the pelvis comes before the keypoints.

    The result is kept for the next call: for a few people it takes longer than their fits.
    """
    vertices = body.vertex_points()
    keypoints = body.keypoints((body.joint_names[0], *keypoint_names))
    normals, area = surface_samples(body)
    prior = pose_prior()
    inverse_spread = 1 / prior.spread
    inverse_spread[0] = 0

    def real(array: Tensor | np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device).contiguous()

    joints, anchors_of = _folded(body)
    return Rig(
        joints=real(joints),
        parents=tuple(body.parents),
        vertex_ids=vertices.joint_ids.to(device),
        vertex_anchors=real(anchors_of(vertices)),
        vertex_normals=real(body.vertex_normals),
        keypoint_ids=keypoints.joint_ids.to(device),
        keypoint_anchors=real(anchors_of(keypoints)),
        pose_terms=real(np.stack([prior.mean, inverse_spread, prior.low, prior.high])),
        mode=real(prior.mode),
        mode_weight=real(prior.mode_weight),
        mirror=tuple(body.mirror_joints),
        surface_normals=real(normals),
        surface_area=real(area),
    )


@lru_cache(maxsize=8)
def surface_samples(body: Body) -> tuple[Tensor, Tensor]:
    """Normals (24, M, 3) that stand for each segment's surface, and their shares (24, M) of it."""
    return body.surface_samples(SURFACE_SAMPLES)


def gather(
    observations: Observations,
    config: RegistrationConfig,
    device: torch.device,
    dtype: torch.dtype,
) -> Evidence:
    """The observations' own arrays, in frame units, with weights divided by counts.

    Only operations on whole arrays are done here. `ops.fit` does what concerns single points.

    Args:
        observations: Checked observations of B people.
        config: Says how sums are divided, and what the camera is.
    """
    real = NUMPY_DTYPES[dtype]
    weight = point_weights(observations, config, real)
    # In float32 the three sum to 1 up to rounding; fits in float64 need a better sum.
    barycentric = observations.point_barycentric.astype(real)
    barycentric /= (barycentric[:, 0] + barycentric[:, 1] + barycentric[:, 2])[:, None]

    keypoint_weight = keypoint_weights(observations, config, real)
    used = keypoint_weight > 0
    keypoint_xy = observations.keypoints_in_frame()
    depth = depth_weight = np.zeros_like(keypoint_weight)
    if observations.keypoint_depth is not None:
        has_depth = used & ~np.isnan(observations.keypoint_depth)
        depth = np.where(has_depth, observations.keypoint_depth, 0).astype(real, copy=False)
        depth_weight = np.where(has_depth, keypoint_weight, 0)
        if observations.keypoint_depth_spread is not None and config.depth_spread > 0:
            share = (config.depth_spread / observations.keypoint_depth_spread) ** 2
            depth_weight *= np.where(np.isnan(share), 1, share).astype(real, copy=False)

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    return Evidence(
        point_start=tensor(observations.point_start),
        point_vertex=tensor(observations.point_vertex),
        point_barycentric=tensor(barycentric),
        point_xy=tensor(observations.points_in_frame().astype(real, copy=False)),
        point_weight=tensor(weight),
        keypoint_xy=tensor(np.where(used[..., None], keypoint_xy, 0).astype(real, copy=False)),
        keypoint_weight=tensor(keypoint_weight),
        keypoint_depth=tensor(depth),
        depth_weight=tensor(depth_weight),
        perspective=tensor(_perspective(observations, config).astype(real, copy=False)),
    )


def point_weights(
    observations: Observations, config: RegistrationConfig, real: type[np.floating]
) -> np.ndarray:
    """(P,) weights of dense points, divided by counts."""
    weight = observations.point_weight.astype(real)
    if config.evidence == "sum":
        return weight / real(config.dense_count)
    return weight / _present(weight, observations.point_start, observations.point_count)


def keypoint_weights(
    observations: Observations, config: RegistrationConfig, real: type[np.floating]
) -> np.ndarray:
    """(N, K) weights of keypoints, divided by counts; less for those outside of the picture."""
    weight = observations.keypoint_weight.astype(real)
    by_count = config.evidence == "mean"
    weight /= (
        np.maximum((weight > 0).sum(1, keepdims=True), 1)
        if by_count
        else real(config.keypoint_count)
    )
    if config.outside_share < 1 and observations.picture_size is not None:
        weight[outside(observations)] *= real(config.outside_share)
    return weight


def outside(observations: Observations) -> np.ndarray:
    """(N, K) bool: keypoints beyond the borders of pictures of known size.

    Those that errors push across a border are among them, and lose nothing that is measured; those
    that a detector guesses often lie just behind it.
    """
    if observations.picture_size is None:
        return np.zeros(observations.keypoint_weight.shape, bool)
    size = observations.picture_size[:, None].astype(np.float32)
    beyond = np.maximum(-observations.keypoint_xy, observations.keypoint_xy - size) > 0
    return beyond.any(2) & (size > 0).all(2)


def _perspective(observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """(N, 3) float32 inverse focal lengths and principal points, frame units."""
    if config.camera == "weak":  # for a few people the rest takes a part of the fit's time
        return np.zeros((len(observations), 3), np.float32)
    return perspective_in_frame(
        focal_lengths(observations, config),
        observations.principal_point,
        observations.picture_size,
        observations.frame,
    )


def _folded(body: Body) -> tuple[Tensor, Callable[[RigPoints], Tensor]]:
    """Rest joints in the body's usual proportions, and what gives the anchors of rig points."""
    joints = torch.from_numpy(body.joints)
    if body.proportions is None:
        return joints, lambda points: _whole(points.anchors)
    joints, usual = joints.double(), torch.from_numpy(body.proportions).double()
    folded = folded_joints(joints, usual, body.parents)

    def anchors(points: RigPoints) -> Tensor:
        return folded_anchors(points.joint_ids, _whole(points.anchors), joints, folded, usual)

    return folded, anchors


def _whole(anchors: Tensor) -> Tensor:
    """Anchors in float64 whose weights sum to 1; otherwise a translation would move them less."""
    anchors = anchors.double()
    return anchors / anchors[..., 3].sum(1)[:, None, None]


def _present(weight: np.ndarray, start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(P,) how many points of positive weight each point's person has, in the weights' type.

    1 instead of none.
    """
    positive = weight > 0
    if positive.all():
        return count.astype(weight.dtype).repeat(count)
    before = np.concatenate([[0], np.cumsum(positive)])
    present = np.maximum(before[start[1:]] - before[start[:-1]], 1)
    return present.astype(weight.dtype).repeat(count)
