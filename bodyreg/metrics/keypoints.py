"""Errors of keypoints in the picture. NumPy, float64, one number per person."""

from __future__ import annotations

import numpy as np


def pck(
    source: np.ndarray, target: np.ndarray, reference: np.ndarray, share: float, present: np.ndarray
) -> np.ndarray:
    """Share of correct keypoints: those nearer to the truth than a part of a reference length.

    The names of the field are choices of the last three: PCKh@0.5 is half of the head's length
    (Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis",
    2014), PCK@0.2 a fifth of the torso's (Yang and Ramanan, 2013) or of the longer side of the box.

    Args:
        source: (N, K, 2).
        target: (N, K, 2), the same keypoints, in the same unit.
        reference: (N,) length of each person's head, torso or box, in that unit.
        share: What part of it a keypoint may be off; exactly as far counts as correct.
        present: (N, K) bool, keypoints that count.

    Returns:
        (N,) from 0 to 1; NaN where no keypoint counts or there is no reference (0 or NaN).
    """
    offset = np.asarray(source, np.float64) - target
    distance = np.hypot(offset[..., 0], offset[..., 1])
    reference = np.asarray(reference, np.float64)
    correct = (distance <= share * reference[:, None]) & present
    count = np.where(reference > 0, present.sum(axis=1), 0)
    return np.where(count > 0, correct.sum(axis=1) / np.maximum(count, 1), np.nan)
