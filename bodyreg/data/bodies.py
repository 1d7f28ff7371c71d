"""Fits and truth alike: bodies that pictures show, as they are drawn."""

from __future__ import annotations

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.frames import image_from_frame
from bodyreg.data.truth import Truth

Bodies = Fits | Truth
"""People of whom it is known where the picture shows their bodies."""


def are_near(people: Bodies) -> np.ndarray:
    """(N,) bool: those whom the picture shows in perspective."""
    if people.focal is None:
        return np.zeros(len(people), bool)
    return np.isfinite(people.focal)


def in_pixels(people: Bodies, places: np.ndarray) -> np.ndarray:
    """Where the pictures show places of these bodies, as `ops.raster` takes them.

    Args:
        people: N people.
        places: (N, P, 3) float32 frame units, such as `Fits.vertices`.

    Returns:
        (N, P, 3) float32 x, y and depth, pixels. Depths are relative to the pelvis; in perspective
        to the camera, which is the focal length away from the pelvis.
    """
    seen = people.seen(places)
    xy = image_from_frame(seen[..., :2], people.frame[:, None])
    depth = seen[..., 2:] * people.frame[:, None, 2:]
    if people.focal is not None:
        depth -= np.where(are_near(people), people.focal, 0)[:, None, None]
    return np.concatenate([xy, depth], axis=2).astype(np.float32)
