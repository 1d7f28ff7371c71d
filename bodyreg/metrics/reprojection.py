"""How far fits project from the evidence they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.frames import frame_from_image

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Observations
    from bodyreg.registration import Fits

# People whose vertices are posed at a time.
CHUNK = 64


def reprojection_error(
    fits: Fits, observations: Observations, body: Body, side: int = 256
) -> dict[str, np.ndarray]:
    """Mean distance between what was observed and where the fit puts it.

    Args:
        fits: N fits.
        observations: The same N people, in the same order and frames.
        body: The fitted body.
        side: The frame's side in pixels.

    Returns:
        `dense points` and `keypoints`, each (N,) pixels of such a frame; NaN for a person without.
    """
    keypoints = fits.keypoints(body, observations.keypoint_name)[..., :2]
    observed = frame_from_image(observations.keypoint_xy, observations.frame[:, None])
    present = observations.keypoint_weight > 0
    distance = np.linalg.norm(keypoints - observed, axis=2)
    return {
        "dense points": _mean(_dense(fits, observations, body), observations) * side / 2,
        "keypoints": _ratio((distance * present).sum(1), present.sum(1)) * side / 2,
    }


def _dense(fits: Fits, observations: Observations, body: Body) -> np.ndarray:
    """(P,) distances in frame units."""
    distance = np.zeros(len(observations.point_xy))
    person = observations.point_person
    observed = frame_from_image(observations.point_xy, observations.frame[person])
    for start in range(0, len(fits) if len(distance) else 0, CHUNK):
        some = slice(start, start + CHUNK)
        vertices = fits.select(some).vertices(body)[..., :2]
        first, last = observations.point_start[[start, min(start + CHUNK, len(fits))]]
        own = slice(first, last)
        corners = vertices[person[own, None] - start, observations.point_vertex[own]]
        placed = np.einsum("pk,pkc->pc", observations.point_barycentric[own], corners)
        distance[own] = np.linalg.norm(placed - observed[own], axis=1)
    return distance


def _mean(distance: np.ndarray, observations: Observations) -> np.ndarray:
    counted = observations.point_weight > 0
    person = observations.point_person[counted]
    total = np.bincount(person, distance[counted], minlength=len(observations))
    return _ratio(total, np.bincount(person, minlength=len(observations)))


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
