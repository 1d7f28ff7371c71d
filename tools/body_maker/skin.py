"""The skin of the body: closed, thinned, relaxed, symmetric, with its skinning weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from body_maker import outer_skin, relaxing, thinning
from body_maker.makehuman import BaseMesh
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS

VERTEX_COUNT = 7000
MAX_INFLUENCES = 4
# Target length of edges, metres, and factors for segments with finer shapes.
EDGE_LENGTH = 0.020
FINER = {
    "neck": 0.85, "head": 0.72, "wrist": 0.7, "hand": 0.55, "ankle": 0.8, "foot": 0.65,
}  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """The thinned outer skin, as fixed mixes of MakeHuman's vertices.

    Attributes:
        mix: (V, 19158) rows sum to 1.
        faces: (F, 3), the left half first, then its mirror image.
        mirror: (V,) vertex on the other side.
        weights: (V, 24) skinning weights, at most 4 a row.
    """

    mix: sparse.csr_matrix
    faces: np.ndarray
    mirror: np.ndarray
    weights: np.ndarray


def make_skin(base: BaseMesh, vertices: np.ndarray) -> Skin:
    """Make the skin of the person `vertices` (19158, 3).

    The left half is thinned, relaxed on the whole surface, and mirrored. A vertex on the middle
    line becomes the mean of itself and its mirror image.
    """
    fine_mix, quads = _fine_surface(base, vertices)
    fine = fine_mix @ vertices
    fine_left = thinning.triangulate_left(fine, quads)
    middle = np.abs(fine[:, 0]) < 1e-9
    relative = np.array([_finer(name) for name in JOINT_NAMES])
    wanted = EDGE_LENGTH * (_unit_rows(fine_mix @ base.weights) @ relative)
    half, kept = thinning.thin(fine, fine_left, middle, wanted, VERTEX_COUNT)
    middle = middle[kept]
    faces, mirror = _join_halves(np.searchsorted(kept, half), middle)
    side = np.flatnonzero(~middle)

    reflect = np.array([-1.0, 1.0, 1.0])
    swap = _swap_sides(base)
    slides = relaxing.relax(
        faces,
        np.concatenate([kept, kept[side] + len(fine)]),
        np.concatenate([fine, fine * reflect]),
        np.concatenate([fine_left, fine_left[:, ::-1] + len(fine)]),
    )
    left = slides[: len(kept)] @ sparse.vstack([fine_mix, fine_mix @ swap]).tocsr()
    own, other = np.where(middle, 0.5, 1.0), np.where(middle, 0.5, 0.0)
    left = (sparse.diags(own) @ left + sparse.diags(other) @ left @ swap).tocsr()
    weights = _strongest(_unit_rows(left @ base.weights))
    return Skin(
        sparse.vstack([left, (left @ swap)[side]]).tocsr(),
        faces,
        mirror,
        np.concatenate([weights, weights[side][:, list(MIRROR_JOINTS)]]),
    )


def _fine_surface(base: BaseMesh, vertices: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Mixes (V', 19158) and quads (Q, 4) of the closed skin, smoothed once."""
    polygons = outer_skin.closed_skin(base, vertices, JOINT_NAMES.index("head"))
    centres = outer_skin.with_centres(base, polygons, vertices)
    quads, smooth = outer_skin.subdivide(polygons, centres.shape[0])
    return (smooth @ centres).tocsr(), quads


def _swap_sides(base: BaseMesh) -> sparse.csr_matrix:
    """(19158, 19158) permutation: mix @ permutation is the mix of the mirrored vertices."""
    count = np.arange(len(base.mirror))
    return sparse.csr_matrix((np.ones(len(count)), (count, base.mirror)))


def _finer(joint: str) -> float:
    return FINER.get(joint.removeprefix("left_").removeprefix("right_"), 1.0)


def _join_halves(half: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces and mirror table of a left half (F, 3) with its mirror image appended."""
    side = np.flatnonzero(~middle)
    mirror = np.arange(len(middle))
    mirror[side] = len(middle) + np.arange(len(side))
    return np.concatenate([half, mirror[half][:, ::-1]]), np.concatenate([mirror, side])


def _strongest(weights: np.ndarray) -> np.ndarray:
    """Keep at most four weights a row; equal weights, such as both hips', stay or go together."""
    fifth = np.sort(weights.round(9), 1)[:, [-MAX_INFLUENCES - 1]]
    return _unit_rows(np.where(weights.round(9) > fifth, weights, 0))


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(rows.sum(1, keepdims=True), 1e-12)
