"""Errors of keypoints in the picture. NumPy, float64, one number per person."""

from __future__ import annotations

import numpy as np


def pck(
    source: np.ndarray, target: np.ndarray, reference: np.ndarray, share: float, present: np.ndarray
) -> np.ndarray:
    """Percentage of correct keypoints (PCK): those within a share of a reference length.

    PCKh@0.5 uses half of the head's length (Andriluka et al., "2D Human Pose Estimation: New
    Benchmark and State of the Art Analysis", 2014), PCK@0.2 a fifth of the torso's length (Yang and
    Ramanan, 2013) or of the longer side of the box.

    Args:
        source: (N, K, 2).
        target: (N, K, 2), the same keypoints, in the same unit.
        reference: (N,) length of each person's head, torso or box, in the same unit.
        share: Largest error of a correct keypoint, as a share of this length (inclusive).
        present: (N, K) bool, keypoints that count.

    Returns:
        (N,) from 0 to 1; NaN if no keypoint counts or the reference is 0 or NaN.
    """
    offset = np.asarray(source, np.float64) - target
    distance = np.hypot(offset[..., 0], offset[..., 1])
    reference = np.asarray(reference, np.float64)
    correct = (distance <= share * reference[:, None]) & present
    count = np.where(reference > 0, present.sum(axis=1), 0)
    return np.where(count > 0, correct.sum(axis=1) / np.maximum(count, 1), np.nan)
