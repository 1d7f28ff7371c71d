"""Landmarks: named surface points that data sets annotate, as mixes of vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LANDMARK_NAMES: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top",
    "left_heel", "right_heel", "left_toe", "right_toe",
)  # fmt: skip

SMPL_VERTEX_COUNT = 6890
# Vertex numbers of SMPL's mesh, as smplx's vertex_ids.py lists them (its toes are the big toes).
SMPL_LANDMARK_VERTICES = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071,
    "left_heel": 3387, "right_heel": 6787, "left_toe": 3216, "right_toe": 6617,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Landmark:
    """A point of the body as a mix of vertices.

    Attributes:
        vertices: (n,) int64.
        weights: (n,) float32, summing to 1.
    """

    vertices: np.ndarray
    weights: np.ndarray


def vertex_landmark(vertex: int) -> Landmark:
    """The landmark that is one vertex."""
    return Landmark(np.array([vertex], np.int64), np.ones(1, np.float32))


def smpl_landmarks(vertices: np.ndarray) -> dict[str, Landmark]:
    """Landmarks of a mesh: those of SMPL if it has SMPL's vertices, else only the head's top.

    Args:
        vertices: (V, 3) T-pose vertices, y up.
    """
    landmarks = {"head_top": vertex_landmark(int(vertices[:, 1].argmax()))}
    if len(vertices) == SMPL_VERTEX_COUNT:
        landmarks |= {n: vertex_landmark(v) for n, v in SMPL_LANDMARK_VERTICES.items()}
    return {name: landmarks[name] for name in LANDMARK_NAMES if name in landmarks}
