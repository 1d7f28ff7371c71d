"""Errors of fits against annotations of pictures: dense points, keypoints, masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.frames import image_from_frame
from bodyreg.metrics.geodesics import BodyGeodesics, GeodesicDistance
from bodyreg.metrics.gps import gps, gpsm, kappa_of_vertices, mask_iou
from bodyreg.metrics.keypoints import pck
from bodyreg.metrics.reprojection import reprojection_error
from bodyreg.metrics.silhouette import silhouettes
from bodyreg.metrics.table import Metric

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations

PER_CENT = 100.0
SIDE = 256
"""Side of a frame in pixels, for `pixel`, `keypoint` and `gps`."""
BOX_SHARE = 0.05

ANNOTATION_METRICS: dict[str, Metric] = {
    "pixel": Metric("points", "px", f"dense points in a {SIDE}-pixel frame"),
    "keypoint": Metric("keypoints", "px", f"keypoints in a {SIDE}-pixel frame"),
    "pck": Metric("PCK", "%", f"keypoints within {BOX_SHARE:.0%} of the box's longer side", 100),
    "iou": Metric("IoU", "%", "silhouette and mask in the box", 100),
    "gps": Metric("GPS", "%", "geodesic point similarity, dense points", 100),
    "gpsm": Metric("GPSm", "%", "geometric mean of IoU and GPS", 100),
}
"""The metrics of `AnnotationEvaluator`."""


class AnnotationEvaluator:
    """Errors of fits of one body against annotations.

    If the fits were made from the same points, the errors show how well the body explains them.
    They are no predictions, so the numbers do not compare with the GPS of DensePose's networks.

    Args:
        body: The template that was fitted.
        geodesics: Distances along its surface; `BodyGeodesics` by default.
    """

    def __init__(self, body: Body, geodesics: GeodesicDistance | None = None) -> None:
        self.body = body
        self._geodesics = geodesics or BodyGeodesics(body)
        self._kappa = kappa_of_vertices(body)

    def __call__(
        self, fits: Fits, observations: Observations, box: np.ndarray, mask: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Every error of every person.

        Args:
            fits: N fits.
            observations: The annotations of the same N people, in the same order.
            box: (N, 4) x, y, width, height in picture pixels.
            mask: (N, S, S) bool, the annotated mask of each person, over the box stretched to a
                square; all False for a person without a mask.

        Returns:
            Name -> (N,), for the names in `ANNOTATION_METRICS`; NaN for a person without this
            annotation.
        """
        # The annotations count as they are, whatever the fits have read of their evidence.
        fits = replace(fits.in_frames(observations.frame), exchanged=None, rejected=None)
        vertices = fits.seen(fits.vertices(self.body))
        errors = reprojection_error(fits, observations, self.body, SIDE)
        similarity = self._gps(vertices, observations)
        masked = mask.any(axis=(1, 2))
        shown = silhouettes(_in_box(vertices, fits.frame, box), self.body, mask.shape[1])
        overlap = np.where(masked, mask_iou(shown.mask, mask), np.nan)
        return {
            "pixel": errors["dense points"],
            "keypoint": errors["keypoints"],
            "pck": PER_CENT * self._pck(fits, observations, box),
            "iou": PER_CENT * overlap,
            "gps": PER_CENT * similarity,
            "gpsm": PER_CENT * gpsm(similarity, overlap),
        }

    def _pck(self, fits: Fits, observations: Observations, box: np.ndarray) -> np.ndarray:
        points = fits.seen(fits.keypoints(self.body, observations.keypoint_name))
        return pck(
            image_from_frame(points[..., :2], fits.frame[:, None]),
            observations.keypoint_xy,
            box[:, 2:].max(axis=1),
            BOX_SHARE,
            observations.keypoint_weight > 0,
        )

    def _gps(self, vertices: np.ndarray, observations: Observations) -> np.ndarray:
        start, count = observations.point_start[:-1], observations.point_count
        if not len(observations.point_xy):
            return np.full(len(observations), np.nan)
        slot = np.arange(count.max())
        # Rows of equal length; the entries beyond a person's own points do not count.
        point = np.minimum(start[:, None] + slot, len(observations.point_xy) - 1)
        present = (slot < count[:, None]) & (observations.point_weight[point] > 0)
        corner = observations.point_barycentric.argmax(axis=1)[:, None]
        true = np.take_along_axis(observations.point_vertex, corner, 1)[:, 0][point]
        xy = observations.points_in_frame()[point]
        taken_for = silhouettes(vertices, self.body, SIDE).at(xy)
        hit = present & (taken_for >= 0)
        distance = np.full(hit.shape, np.inf)
        distance[hit] = self._geodesics(true[hit], taken_for[hit])
        return gps(distance, present, self._kappa[true])


def _in_box(vertices: np.ndarray, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Vertices in units in which the box, instead of the frame, is [-1, 1] x [-1, 1]."""
    half = np.maximum(box[:, None, 2:] / 2, 1e-6)
    xy = image_from_frame(vertices[..., :2].astype(np.float64), frame[:, None])
    placed = (xy - box[:, None, :2] - half) / half * [1, -1]
    return np.concatenate([placed, vertices[..., 2:]], axis=2)
