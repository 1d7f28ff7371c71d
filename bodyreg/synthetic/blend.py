"""Blending of colours by shares, through OpenCV: NumPy is slow along a last axis of length 3."""

from __future__ import annotations

import cv2
import numpy as np


def threefold(values: np.ndarray) -> np.ndarray:
    """Repeat (H, W) or (P,) float32 for three colours: (H, W, 3) or (P, 3)."""
    if not values.size:
        return np.zeros((*values.shape, 3), np.float32)
    if values.ndim == 1:
        return cv2.cvtColor(values[None], cv2.COLOR_GRAY2BGR)[0]
    return cv2.cvtColor(values, cv2.COLOR_GRAY2BGR)


def lay_over(region: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
    """Blend a colour over a piece of a picture, in place.

    Args:
        region: (h, w, 3) float32.
        colour: (h, w, 3) float32, or (3,).
        share: (h, w) float32 in [0, 1], opacity of the colour.
    """
    region += threefold(share) * (colour - region)
