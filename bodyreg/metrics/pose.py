"""Errors of joints in three dimensions. NumPy, float64, one number per person."""

from __future__ import annotations

import numpy as np


def procrustes(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move points onto others by the best similarity: rotation (no reflection), scale, translation.

    The minimiser of sum |s R x + t - y|^2 (Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", 1991).

    Args:
        source: (N, P, 3).
        target: (N, P, 3), the same points.

    Returns:
        (N, P, 3) float64, the source moved. Where it has no extent: the target's centre.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = (
        source.mean(axis=1, keepdims=True),
        target.mean(axis=1, keepdims=True),
    )
    x, y = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(x.transpose(0, 2, 1) @ y)
    handedness = np.linalg.det(u @ vt)[:, None]
    u[:, :, 2] *= handedness
    singular[:, 2:] *= handedness
    extent = np.square(x).sum(axis=(1, 2))
    scale = singular.sum(axis=1) / np.where(extent > 0, extent, 1)
    return scale[:, None, None] * (x @ (u @ vt)) + target_mean


def mpjpe(source: np.ndarray, target: np.ndarray, root: int = 0) -> np.ndarray:
    """(N,), mean distance of joints (N, J, 3) once both roots are at the origin; their unit."""
    source = source - source[:, root : root + 1]
    target = target - target[:, root : root + 1]
    return np.linalg.norm(source - target, axis=2).mean(axis=1)


def pa_mpjpe(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,), mean distance of joints (N, J, 3) after Procrustes; the target's unit."""
    return np.linalg.norm(procrustes(source, target) - target, axis=2).mean(axis=1)


def facing(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Where chests point to.

    Front = left x up, with left from the right to the left hips and shoulders, and up from the
    pelvis to the neck: read off the joints alone, so that it means the same for any parameters.

    Args:
        joints: (N, J, 3), right-handed axes.
        names: the J joints' names.

    Returns:
        (N, 3) unit vectors; 0 where the joints are on one line.
    """
    at = {name: joints[:, index] for index, name in enumerate(names)}
    left = at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"]
    front = np.cross(left, at["neck"] - at["pelvis"])
    length = np.linalg.norm(front, axis=1, keepdims=True)
    return front / np.where(length > 0, length, 1)


def turned_away(source: np.ndarray, target: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: fits (N, J, 3) whose chest points more than 90 degrees away from the truth's.

    The front-back mistake: a body that explains the picture seen from behind.
    """
    return (facing(source, names) * facing(target, names)).sum(axis=1) < 0
