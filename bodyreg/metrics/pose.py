"""Errors of joints in three dimensions. NumPy, float64, one number per person.

Variants of MPJPE (mean per-joint position error) differ in the alignment before distances are
measured: translation alone (`mpjpe`), translation and a scale from the bones (`bone_mpjpe`),
translation and the best scale (`n_mpjpe`), or the best similarity transform (`pa_mpjpe`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CANONICAL_BONE_SUM = 4296.99233013
"""Total length of `BONES` on Human3.6M, millimetres. Zhou et al. ("Towards 3D Human Pose Estimation
in the Wild: a Weakly-supervised Approach", 2017) scale their predictions to it."""

BONES: tuple[tuple[str, str], ...] = (
    ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "pelvis"),
    ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"), ("right_shoulder", "neck"),
    ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("pelvis", "neck"), ("neck", "head_top"),
)  # fmt: skip
"""The bones of MPII's 16 joints, by name. The torso joint is not among them: it is the middle of
pelvis and neck and adds nothing to the sum."""


def procrustes(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Align points by the best similarity transform: rotation (no reflection), scale, translation.

    The minimiser of sum |s R x + t - y|^2 (Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", 1991).

    Args:
        source: (N, P, 3).
        target: (N, P, 3), the same points.

    Returns:
        (N, P, 3) float64, the aligned source. If the source has no extent: the target's centre.
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
    """(N,) mean distance of joints (N, J, 3) with both roots at the origin, in their unit."""
    return np.linalg.norm(_rooted(source, root) - _rooted(target, root), axis=2).mean(axis=1)


def within_deviation(
    source: np.ndarray, target: np.ndarray, deviation: np.ndarray, root: int = 0
) -> np.ndarray:
    """(N, 2) shares of joints whose errors across and along the view are within one deviation.

    Of calibrated deviations these are 0.68 in the mean.

    Args:
        source: (N, J, 3) with z along the view.
        target: (N, J, 3), the same joints.
        deviation: (N, J, 2) of both distances, in the same unit.
        root: The joint that is moved to the origin, and does not count.
    """
    error = _rooted(source, root) - _rooted(target, root)
    distance = np.stack([np.linalg.norm(error[..., :2], axis=2), np.abs(error[..., 2])], axis=2)
    return np.delete(distance <= deviation, root, axis=1).mean(axis=1)


def n_mpjpe(source: np.ndarray, target: np.ndarray, root: int = 0) -> np.ndarray:
    """Mean distance of joints with both roots at the origin and the source scaled.

    The scale is the least-squares solution s = <x, y> / <x, x> (Rhodin et al., "Unsupervised
    Geometry-Aware Representation for 3D Human Pose Estimation", 2018), and at least 0: a negative
    scale would be a reflection.

    Args:
        source: (N, J, 3).
        target: (N, J, 3), the same joints.
        root: The joint that is moved to the origin.

    Returns:
        (N,), in the target's unit. If the source has no extent: the mean distance of the target's
        joints from its root.
    """
    x, y = _rooted(source, root), _rooted(target, root)
    extent = np.square(x).sum(axis=(1, 2))
    scale = np.maximum((x * y).sum(axis=(1, 2)), 0) / np.where(extent > 0, extent, 1)
    return np.linalg.norm(scale[:, None, None] * x - y, axis=2).mean(axis=1)


def bone_sum(joints: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(N,) total length of `BONES`, from joints (N, J, 3) with these names."""
    at = [[names.index(name) for name in bone] for bone in BONES]
    joints = np.asarray(joints, np.float64)
    return np.linalg.norm(np.diff(joints[:, at], axis=2), axis=(2, 3)).sum(axis=1)


def bone_mpjpe(
    source: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    total: float | np.ndarray | None = None,
) -> np.ndarray:
    """Mean distance of MPII's 16 joints, with the source scaled by the total length of its bones.

    As in Zhou et al. (see `CANONICAL_BONE_SUM`), the pelvises are at the origin, and the torso
    joint is the middle of pelvis and neck in both.

    Args:
        source: (N, J, 3), in any unit.
        target: (N, J, 3), the same joints.
        names: Names of the J joints; they include those of `BONES`.
        total: Total length that the source's bones are scaled to, in the target's unit:
            `CANONICAL_BONE_SUM` for numbers that compare with the paper's; by default the target's
            own total.

    Returns:
        (N,), in the target's unit. A source with bones of no length is not scaled.
    """
    if total is None:
        total = bone_sum(target, names)
    length = bone_sum(source, names)
    scale = total / np.where(length > 0, length, 1)
    chosen = [names.index(name) for name in dict.fromkeys(name for bone in BONES for name in bone)]
    root, neck = names.index("pelvis"), names.index("neck")
    x, y = _rooted(source, root) * scale[:, None, None], _rooted(target, root)
    distance = np.linalg.norm(x - y, axis=2)
    torso = np.linalg.norm(x[:, neck] - y[:, neck], axis=1) / 2
    return (distance[:, chosen].sum(axis=1) + torso) / (len(chosen) + 1)


def pa_mpjpe(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,) mean distance of joints (N, J, 3) after Procrustes alignment, in the target's unit."""
    return np.linalg.norm(procrustes(source, target) - target, axis=2).mean(axis=1)


def facing(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Directions that chests point to.

    Front = left x up, with left from the right to the left hips and shoulders, and up from the
    pelvis to the neck. It depends on the joints alone, not on the parameters of a body.

    Args:
        joints: (N, J, 3), right-handed axes.
        names: Names of the J joints.

    Returns:
        (N, 3) unit vectors; 0 where the joints are on one line.
    """
    at = {name: joints[:, index] for index, name in enumerate(names)}
    left = at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"]
    front = np.cross(left, at["neck"] - at["pelvis"])
    length = np.linalg.norm(front, axis=1, keepdims=True)
    return front / np.where(length > 0, length, 1)


def turned_away(source: np.ndarray, target: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: chests of the source (N, J, 3) more than 90 degrees away from the target's.

    This is the front-back error: a body that explains the picture, but seen from behind.
    """
    return (facing(source, names) * facing(target, names)).sum(axis=1) < 0


def _rooted(joints: np.ndarray, root: int) -> np.ndarray:
    joints = np.asarray(joints, np.float64)
    return joints - joints[:, root : root + 1]
