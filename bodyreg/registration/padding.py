"""Evidence as the composed solver reads it: contracted to rig points, padded to a grid.

The fused solver (`bodyreg.ops.fit`) reads ragged evidence. Operations on whole tensors need a grid
of people by points. Its length must follow from each person alone, because a sum depends on the
padded length and a fit must not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import RigPoints
from bodyreg.ops.fit import Evidence, Rig
from bodyreg.registration.losses import POINT_GRAIN


@dataclass(frozen=True)
class Padded:
    """Evidence of B people with P padded points each. Weights carry their division by counts.

    Attributes:
        person (B,) int64: positions of the people in the evidence that was padded.
        point_ids (B,P,k) int32, point_anchors (B,P,k,4): rig points of the matches.
        point_xy (B,P,2) frame units, point_weight (B,P).
        point_normal (B,P,1,4), point_segment (B,P,1) int32: rest normal and the segment that turns
            it, as a rig point of no position (its fourth number is 0).
        segment_weight (B,24): sum of point weights over each segment.
        point_ray (B,P,3), segment_ray (B,24,3): unit vectors toward the camera, in its axes: from
            the middle of the points of each segment, and the same at each of these points.
        keypoint_xy (B,K,2), keypoint_weight (B,K); keypoint_depth (B,K), depth_weight (B,K).
        perspective (B,3): inverse focal length and principal point; zeros for parallel rays.
    """

    person: Tensor
    point_ids: Tensor
    point_anchors: Tensor
    point_xy: Tensor
    point_weight: Tensor
    point_normal: Tensor
    point_segment: Tensor
    segment_weight: Tensor
    point_ray: Tensor
    segment_ray: Tensor
    keypoint_xy: Tensor
    keypoint_weight: Tensor
    keypoint_depth: Tensor
    depth_weight: Tensor
    perspective: Tensor

    def __len__(self) -> int:
        return len(self.point_xy)

    @property
    def has_points(self) -> bool:
        """Whether any of these people has dense points."""
        return self.point_xy.shape[1] > 0

    @property
    def has_keypoints(self) -> bool:
        """Whether the observations name any keypoint."""
        return self.keypoint_xy.shape[1] > 0

    def select(self, people: Tensor) -> Padded:
        """The people at these positions (int64), in this order."""
        return Padded(*(getattr(self, f.name)[people] for f in fields(self)))

    def repeat(self, times: int) -> Padded:
        """Every person `times` times in a row."""
        if times == 1:
            return self
        return replace(
            self,
            **{f.name: getattr(self, f.name).repeat_interleave(times, 0) for f in fields(self)},
        )


def padded_counts(point_start: np.ndarray) -> np.ndarray:
    """(B,) points per person, rounded up to a multiple of `POINT_GRAIN`."""
    return -(-np.diff(point_start) // POINT_GRAIN) * POINT_GRAIN


def pad(rig: Rig, evidence: Evidence) -> Padded:
    """The same evidence on a grid. People padded together should have the same padded count."""
    device, start = evidence.point_xy.device, evidence.point_start.cpu().numpy()
    width = int(padded_counts(start).max(initial=0))
    present = np.arange(width) < np.diff(start)[:, None]

    vertices = RigPoints(rig.vertex_ids, rig.vertex_anchors, rig.vertex_normals).to("cpu")
    points = vertices.mix(
        evidence.point_vertex.cpu().numpy(), evidence.point_barycentric.cpu().numpy()
    )
    assert points.normals is not None
    strongest = points.anchors[..., 3].argmax(1, keepdim=True)  # the first of equals
    segment = points.joint_ids.gather(1, strongest)
    weight = grid(evidence.point_weight, present)
    owner = np.repeat(np.arange(len(present)), np.diff(start))
    place = 24 * owner + segment[:, 0].numpy()
    segment_weight = np.bincount(
        place, evidence.point_weight.cpu().numpy(), 24 * len(present)
    ).reshape(-1, 24)
    segment_ray = torch.from_numpy(rays(evidence, place, segment_weight)).to(weight)
    return Padded(
        person=torch.arange(len(present), device=device),
        point_ids=grid(points.joint_ids, present).to(device),
        point_anchors=grid(points.anchors, present).to(device),
        point_xy=grid(evidence.point_xy, present),
        point_weight=weight,
        point_normal=grid(torch.nn.functional.pad(points.normals, (0, 1))[:, None], present).to(
            device
        ),
        point_segment=grid(segment, present).to(device),
        segment_weight=torch.from_numpy(segment_weight).to(weight),
        point_ray=grid(segment_ray.flatten(0, 1)[torch.from_numpy(place).to(device)], present),
        segment_ray=segment_ray,
        keypoint_xy=evidence.keypoint_xy,
        keypoint_weight=evidence.keypoint_weight,
        keypoint_depth=evidence.keypoint_depth,
        depth_weight=evidence.depth_weight,
        perspective=evidence.perspective,
    )


def rays(evidence: Evidence, place: np.ndarray, segment_weight: np.ndarray) -> np.ndarray:
    """Directions toward the camera, from the middle of the points of each segment.

    The camera is at (c, 1 / φ) in the frame, and a point that is seen at x̂ is on the line from
    there through (x̂, 0). So its ray is along (φ (c - x̂), 1), whatever its depth. A segment has one
    ray, because it changes little from point to point.

    Args:
        evidence: B people with P points.
        place: (P,) of each point: its segment's place in the rows of (B,24).
        segment_weight: (B,24) sum of the points' weights.

    Returns:
        (B,24,3) float64 unit vectors, in the camera's axes; 0, 0, 1 for parallel rays, and where
        a segment has no point.
    """
    perspective = evidence.perspective.double().cpu().numpy()
    weight, xy = evidence.point_weight.cpu().numpy(), evidence.point_xy.cpu().numpy()
    weighted = np.where(weight > 0, weight * xy.T, 0)
    sums = np.stack([np.bincount(place, w, segment_weight.size) for w in weighted], 1)
    total = segment_weight[..., None]
    away = (perspective[:, None, 1:] * total - sums.reshape(-1, 24, 2)) * perspective[:, None, :1]
    away = np.divide(away, total, out=np.zeros_like(away), where=total > 0)
    ray = np.concatenate([away, np.ones_like(total)], 2)
    return ray / np.linalg.norm(ray, axis=2, keepdims=True)


def grid(values: Tensor, present: np.ndarray) -> Tensor:
    """(P,...) values of all people in a row -> (B,width,...), zero where nothing is present."""
    out = values.new_zeros(*present.shape, *values.shape[1:])
    out[torch.from_numpy(present).to(values.device)] = values
    return out
