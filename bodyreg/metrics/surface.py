"""Errors of the body's surface. NumPy, float64, one number per person."""

from __future__ import annotations

import numpy as np

from bodyreg.metrics.pose import procrustes


def vertex_error(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,) mean distance of vertices (N, V, 3) after Procrustes alignment, in the target's unit."""
    return np.linalg.norm(procrustes(source, target) - target, axis=2).mean(axis=1)


def pixel_error(
    source: np.ndarray, target: np.ndarray, visible: np.ndarray, side: int = 256
) -> np.ndarray:
    """Mean distance of projected vertices, over the visible ones.

    Args:
        source: (N, V, 2), frame units.
        target: (N, V, 2), frame units.
        visible: (N, V) bool.
        side: The frame's side in pixels.

    Returns:
        (N,) pixels of such a frame; NaN where nothing is visible.
    """
    distance = np.linalg.norm(np.subtract(source, target, dtype=np.float64), axis=2) * (side / 2)
    count = visible.sum(axis=1)
    total = np.where(visible, distance, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
