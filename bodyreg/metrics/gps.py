"""Geodesic point similarity (GPS): how close estimated surface points are to the true ones.

Güler, Neverova and Kokkinos, "DensePose: Dense Human Pose Estimation in the Wild" (2018): every
annotated point has a true and an estimated place on the body, and GPS depends on the distance
between them along the surface. NumPy, float64, one number per person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bodyreg.body import Body

KAPPA = 0.255
"""Distance at which a point counts exp(-1/2), metres, if all parts are treated alike."""

KAPPA_OF_CLASS = np.array([np.nan, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
"""(9,) the same for eight classes of parts; 0 is the background. They are mean geodesic distances
within the parts, from DensePose's evaluation code: a hand is judged more strictly than a torso."""

CLASS_OF_PART = np.array(
    [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8]
)
"""(25,) the class of each of DensePose's 24 parts; 0 is the background."""


def gps(distance: np.ndarray, present: np.ndarray, kappa: np.ndarray | float = KAPPA) -> np.ndarray:
    """Mean of exp(-d^2 / (2 kappa^2)) over the points of each person.

    Args:
        distance: (N, P) geodesic distances between the true and the estimated points, metres;
            infinite for a point that was estimated as background.
        present: (N, P) bool, points that count.
        kappa: Metres, a number or (N, P); see `kappa_of_vertices`.

    Returns:
        (N,) from 0 to 1; NaN where no point counts.
    """
    distance = np.where(present, distance, 0)
    similarity = np.where(present, np.exp(-np.square(distance / kappa) / 2), 0)
    count = present.sum(axis=1)
    return np.where(count > 0, similarity.sum(axis=1) / np.maximum(count, 1), np.nan)


def gpsm(similarity: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """(N,) masked GPS: the geometric mean of `gps` and `mask_iou`."""
    return np.sqrt(similarity * overlap)


def mask_iou(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of masks (N, H, W) bool; NaN where both are empty."""
    union = (source | target).sum(axis=(1, 2))
    both = (source & target).sum(axis=(1, 2))
    return np.where(union > 0, both / np.maximum(union, 1), np.nan)


def kappa_of_vertices(body: Body) -> np.ndarray:
    """(V,) kappa of each vertex's part, metres; on seams the part with the lower number counts.

    Vertices in no chart have `KAPPA`; so have all vertices of a body without charts.
    """
    kappa = np.full(len(body.vertices), KAPPA)
    if body.charts is not None:
        parts = body.charts.extended_part
        mapped = np.flatnonzero(parts)
        mapped = mapped[np.argsort(-parts[mapped], kind="stable")]
        kappa[body.charts.vertex[mapped]] = KAPPA_OF_CLASS[CLASS_OF_PART[parts[mapped]]]
    return kappa
