"""What the op `fit` reads: a body, people's evidence, and a plan of iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Rig(NamedTuple):
    """Constants of a body and of the wanted keypoints.

    Attributes:
        joints (24,3), parents: the skeleton; parents[0] = -1, parents[k] < k.
        vertex_ids (V,n) int32, vertex_anchors (V,n,4): the body's vertices as rig points.
        vertex_normals (V,3): unit, in the rest pose.
        keypoint_ids (K+1,m) int32, keypoint_anchors (K+1,m,4): the pelvis, then the keypoints.
        pose_terms (4,24,3): prior mean, prior inverse spread, limit low, limit high; radians.
        mirror: the joint on the other side, for each joint.
        surface_normals (24,M,3), surface_area (24,M): samples of each segment's rest surface.
    """

    joints: Tensor
    parents: Sequence[int]
    vertex_ids: Tensor
    vertex_anchors: Tensor
    vertex_normals: Tensor
    keypoint_ids: Tensor
    keypoint_anchors: Tensor
    pose_terms: Tensor
    mirror: Sequence[int]
    surface_normals: Tensor
    surface_area: Tensor


class Evidence(NamedTuple):
    """What pictures show of B people, P points in all. Weights are divided by counts already.

    Attributes:
        point_start (B+1,) int64: person b owns points point_start[b] to point_start[b + 1].
        point_vertex (P,3) int32, point_barycentric (P,3): where on the body.
        point_xy (P,2) frame units, point_weight (P,).
        keypoint_xy (B,K,2) frame units, keypoint_weight (B,K).
        keypoint_depth (B,K) frame units relative to the pelvis, depth_weight (B,K) 0 = absent.
    """

    point_start: Tensor
    point_vertex: Tensor
    point_barycentric: Tensor
    point_xy: Tensor
    point_weight: Tensor
    keypoint_xy: Tensor
    keypoint_weight: Tensor
    keypoint_depth: Tensor
    depth_weight: Tensor


class Plan(NamedTuple):
    """How to solve, iteration by iteration.

    Attributes:
        settings: (I+1,18) float64, a row per iteration of all phases and the one that judges:
            weights in the order of `registration.schedule.TERMS`, dense_width, learning_rate.
        phases: per phase solver (0 Adam, 1 Levenberg-Marquardt), iterations, kept candidates.
        facing_margin, visibility_sharpness, scale_low, scale_high: as in `RegistrationConfig`.
        six_numbers: whether the rotation is made of its first two columns alone.
        refresh: iterations of a phase from one refresh to the next.
    """

    settings: Tensor
    phases: Sequence[int]
    facing_margin: float
    visibility_sharpness: float
    scale_low: float
    scale_high: float
    six_numbers: bool
    refresh: int
