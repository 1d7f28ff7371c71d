"""Reprojection errors: distances between projected fits and their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import Parameters
from bodyreg.data.reading import as_read

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations

# Number of people that are posed at a time.
CHUNK = 64


def reprojection_error(
    fits: Fits, observations: Observations, body: Body, side: int = 256
) -> dict[str, np.ndarray]:
    """Mean distance between the observed points and their places on the fit.

    Of the evidence as the fits have read it: sides are exchanged, and parts left out.

    Args:
        fits: N fits.
        observations: The same N people, in the same order and frames.
        body: The fitted body.
        side: The frame's side in pixels.

    Returns:
        `dense points` and `keypoints`, each (N,) pixels of such a frame; NaN for a person without
        them.
    """
    observations, parts, start = as_read(observations, fits, body), [], 0
    for some, own in fits.by_body(body):
        end = start + len(some)
        seen = observations if len(some) == len(fits) else observations.select(slice(start, end))
        parts.append(_of_one_body(some, seen, own, side))
        start = end
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_one_body(
    fits: Fits, observations: Observations, body: Body, side: int
) -> dict[str, np.ndarray]:
    """`reprojection_error` of people with the shape of the body, from evidence as fits read it."""
    placed = placed_segments(fits, body)
    points = body.keypoints(observations.keypoint_name)
    keypoints = ops.lbs(placed, points.joint_ids, points.anchors).numpy()
    present = observations.keypoint_weight > 0
    distance = _length(fits.seen(keypoints)[..., :2] - observations.keypoints_in_frame())
    return {
        "dense points": _mean(_dense(fits, placed, observations, body), observations) * side / 2,
        "keypoints": _ratio((distance * present).sum(1), present.sum(1)) * side / 2,
    }


def placed_segments(fits: Fits, body: Body) -> Tensor:
    """(N, 24, 3, 4) segment transforms with which lbs gives the places of `Fits.points`.

    Only for fits without shape.
    """
    assert fits.shape is None
    p = Parameters.of(fits)
    transforms, _ = body.pose(p.pose, p.segment_scale)
    camera = p.scale[:, None, None] * p.rotation
    placed = torch.bmm(camera, transforms.transpose(1, 2).reshape(len(fits), 3, -1))
    placed = placed.view(len(fits), 3, -1, 4).transpose(1, 2).contiguous()
    # A point's weights, the fourth numbers of its anchors, sum to 1.
    placed[..., :2, 3] += p.translation[:, None]
    return placed


def _dense(fits: Fits, placed: Tensor, observations: Observations, body: Body) -> np.ndarray:
    """(P,) distances in frame units."""
    vertices, starts = body.vertex_points(), observations.point_start
    influences = vertices.joint_ids.shape[1]
    seen = np.zeros((len(observations.point_xy), 2), np.float32)
    for start in range(0, len(placed) if len(seen) else 0, CHUNK):
        some = slice(start, start + CHUNK)
        counts = observations.point_count[some]
        # Rows of equal length: rows of people with fewer points run into the next people's points.
        points = starts[:-1][some, None] + np.arange(counts.max())
        np.minimum(points, len(seen) - 1, out=points)
        corners = torch.from_numpy(observations.point_vertex[points].reshape(-1))
        posed = ops.lbs(
            placed[some],
            vertices.joint_ids.index_select(0, corners).view(len(counts), -1, influences),
            vertices.anchors.index_select(0, corners).view(len(counts), -1, influences, 4),
        ).numpy()
        posed = posed.reshape(*points.shape, 3, 3)
        mix = observations.point_barycentric[points][..., None]
        mixed = sum(mix[:, :, corner] * posed[:, :, corner] for corner in range(3))
        own = np.arange(points.shape[1]) < counts[:, None]
        shown = fits.select(some).seen(mixed)[..., :2]
        seen[starts[start] : starts[start + len(counts)]] = shown[own]
    return _length(seen - observations.points_in_frame())


def _length(xy: np.ndarray) -> np.ndarray:
    return np.hypot(xy[..., 0], xy[..., 1])


def _mean(distance: np.ndarray, observations: Observations) -> np.ndarray:
    counted = observations.point_weight > 0
    person = observations.point_person[counted]
    total = np.bincount(person, distance[counted], minlength=len(observations))
    return _ratio(total, np.bincount(person, minlength=len(observations)))


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
