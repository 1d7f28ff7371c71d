"""From MakeHuman's A-pose to the T-pose: arms along ±x, palms down, legs straight down."""

from __future__ import annotations

import numpy as np

from bodyreg.body.joints import JOINT_NAMES, PARENTS

# Share of the hand's twist (until palms face down) that the forearm takes, as in a real arm.
FOREARM_TWIST = 0.5
LEFT = np.array([1.0, 0.0, 0.0])
UP = np.array([0.0, 1.0, 0.0])


def bake(
    vertices: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    across_hand: dict[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Move a body into the T-pose, with the pelvis at the origin.

    Linear blend skinning of this T-pose gives back the A-pose exactly: arms hang more often than
    they are spread, so the mesh is exact there.

    Args:
        vertices: (V, 3) in the A-pose.
        joints: (24, 3) in the A-pose.
        weights: (V, 24).
        across_hand: For "left" and "right", the direction from the little to the index finger.

    Returns:
        vertices (V, 3) and joints (24, 3) in the T-pose.
    """
    rotations = _rotations(joints, across_hand)
    positions = np.zeros((24, 3))
    to_a_pose = np.zeros((24, 3, 4))
    for k, parent in enumerate(PARENTS):
        if parent >= 0:
            bone = joints[k] - joints[parent]
            positions[k] = positions[parent] + rotations[parent] @ bone
        to_a_pose[k, :, :3] = rotations[k].T
        to_a_pose[k, :, 3] = joints[k] - rotations[k].T @ positions[k]
    blended = np.einsum("vj,jrc->vrc", weights, to_a_pose)
    baked = np.linalg.solve(blended[..., :3], (vertices - blended[..., 3])[..., None])[..., 0]
    return baked, positions


def _rotations(joints: np.ndarray, across_hand: dict[str, np.ndarray]) -> np.ndarray:
    """(24, 3, 3) global rotations from the A-pose to the T-pose."""
    rotations = np.tile(np.eye(3), (24, 1, 1))
    at = {name: joints[i] for i, name in enumerate(JOINT_NAMES)}
    for side, outward in (("left", LEFT), ("right", -LEFT)):
        index = {j: JOINT_NAMES.index(f"{side}_{j}") for j in
                 ("hip", "knee", "shoulder", "elbow", "wrist", "hand")}  # fmt: skip
        hip, knee, ankle, shoulder, elbow, wrist, hand = (
            at[f"{side}_{j}"]
            for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist", "hand")
        )
        rotations[index["hip"]] = _shortest(knee - hip, -UP)
        rotations[index["knee"]] = _shortest(ankle - knee, -UP)
        # The elbow's axis becomes vertical, so that its flexion moves the forearm to the front.
        axis = np.cross(elbow - shoulder, wrist - elbow)
        target = _frame(outward, UP * np.sign(axis[1]))
        rotations[index["shoulder"]] = target @ _frame(elbow - shoulder, axis).T
        forearm = target @ _frame(wrist - elbow, axis).T
        # The palm faces down when the line across it, towards the thumb, points to the front.
        palm = _frame(outward, np.array([0, 0, 1.0])) @ _frame(hand - wrist, across_hand[side]).T
        carried = _shortest(forearm @ (hand - wrist), outward) @ forearm
        twist = _angle_about(outward, carried @ across_hand[side], np.array([0, 0, 1.0]))
        rotations[index["elbow"]] = _about(outward, FOREARM_TWIST * twist) @ forearm
        rotations[index["wrist"]] = rotations[index["hand"]] = palm
    return rotations


def _frame(direction: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Orthonormal columns: `direction`, `other` orthogonalised, and their cross product."""
    first = direction / np.linalg.norm(direction)
    second = other - (other @ first) * first
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], 1)


def _shortest(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation with the smallest angle from one direction to another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(a, b)
    length = np.linalg.norm(axis)
    if length < 1e-9:
        return np.eye(3)
    return _about(axis / length, float(np.arctan2(length, a @ b)))


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def _angle_about(axis: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """Angle about `axis` that rotates `source` towards `target`."""
    source = source - (source @ axis) * axis
    target = target - (target @ axis) * axis
    return float(np.arctan2(np.cross(source, target) @ axis, source @ target))
