"""Fits and truth alike: bodies that pictures show, as they are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.frames import image_from_frame
from bodyreg.data.truth import Truth

Bodies = Fits | Truth
"""People of whom it is known where the picture shows their bodies."""

AnyBodies = TypeVar("AnyBodies", bound=Bodies)


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


def pixels_per_metre(people: Bodies) -> np.ndarray:
    """(N,) float64: the pixels of its picture that a metre of each body takes."""
    return abs(people.scale.astype(np.float64)) * people.frame[:, 2].astype(np.float64)


def zoomed(people: AnyBodies, factor: float | np.ndarray) -> AnyBodies:
    """The same bodies in pictures that are larger by a factor.

    Args:
        people: The bodies.
        factor: Of the pictures; or (3,) those of widths, of heights and of all lengths.
    """
    factors = np.full(3, factor, np.float32)
    focal, point = people.focal, people.principal_point
    return replace(
        people,
        frame=(factors * people.frame).astype(np.float32),
        focal=None if focal is None else (factors[2] * focal).astype(np.float32),
        principal_point=None if point is None else (factors[:2] * point).astype(np.float32),
    )


def shifted(people: AnyBodies, shift: np.ndarray) -> AnyBodies:
    """The same bodies in pictures that have moved over them by x and y (N, 2), pixels."""
    point = people.principal_point
    return replace(
        people,
        frame=(people.frame + np.pad(shift, ((0, 0), (0, 1)))).astype(np.float32),
        principal_point=None if point is None else (point + shift).astype(np.float32),
    )
