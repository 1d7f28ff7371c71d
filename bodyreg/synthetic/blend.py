"""Colours times shares. NumPy is slow along a last axis of three; OpenCV is not."""

from __future__ import annotations

import cv2
import numpy as np


def threefold(values: np.ndarray) -> np.ndarray:
    """(H, W) or (P,) float32 as (H, W, 3) or (P, 3): one number for all three colours."""
    if not values.size:
        return np.zeros((*values.shape, 3), np.float32)
    if values.ndim == 1:
        return cv2.cvtColor(values[None], cv2.COLOR_GRAY2BGR)[0]
    return cv2.cvtColor(values, cv2.COLOR_GRAY2BGR)


def lay_over(region: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
    """Mix a colour into a piece of a picture, in place.

    Args:
        region: (h, w, 3) float32.
        colour: (h, w, 3) float32, or (3,).
        share: (h, w) float32 in [0, 1]: of the colour.
    """
    region += threefold(share) * (colour - region)
