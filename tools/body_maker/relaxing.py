"""Relaxing a thinned mesh: its vertices slide over the fine surface that it was made from."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from bodyreg.body.surface import face_normals, vertex_normals

ROUNDS, STEP = 8, 0.6
# Number of candidate triangles of the fine surface for the nearest point.
CANDIDATES = 24
# Smaller triangles of the fine surface (square metres) are ignored.
MIN_AREA = 1e-10
# Least cosine between the normals of a vertex and of its surface triangle; keeps fingers apart.
SAME_SIDE = 0.3
# A slide is undone if it makes a triangle's quality (1 is equilateral) lower than this.
MIN_QUALITY = 0.3
# Vertices of sharper creases (cosine between a face's normal and the vertex's) do not move.
FEATURE, FLAT = 0.6, 0.9


def relax(
    faces: np.ndarray, start: np.ndarray, fine: np.ndarray, fine_faces: np.ndarray
) -> sparse.csr_matrix:
    """Slide vertices towards the mean of their neighbours, along the surface.

    Args:
        faces: (F, 3) the thinned mesh.
        start: (V,) fine vertices at which its vertices start.
        fine: (V', 3) the fine mesh.
        fine_faces: (F', 3).

    Returns:
        (V, V') barycentric mixes of fine vertices; rows sum to 1.
    """
    fine_faces = fine_faces[face_normals(fine, fine_faces)[1] > MIN_AREA]
    fine_normals, _ = face_normals(fine, fine_faces)
    tree = cKDTree(fine[fine_faces].mean(1))
    mean = _mean_of_neighbours(faces, len(start))
    corners = np.repeat(start[:, None], 3, 1)
    share = np.tile([1.0, 0.0, 0.0], (len(start), 1))
    for _ in range(ROUNDS):
        vertices = (fine[corners] * share[..., None]).sum(1)
        normals = vertex_normals(vertices, faces).astype(np.float64)
        step = mean @ vertices - vertices
        step -= (step * normals).sum(1, keepdims=True) * normals
        freedom = np.clip((_flatness(vertices, faces, normals) - FEATURE) / (FLAT - FEATURE), 0, 1)
        wanted = vertices + STEP * freedom[:, None] * step
        new_corners, new_share = _nearest(wanted, normals, fine, fine_faces, fine_normals, tree)
        moved = (fine[new_corners] * new_share[..., None]).sum(1)
        better = _keeps_triangles(vertices, moved, faces)
        corners = np.where(better[:, None], new_corners, corners)
        share = np.where(better[:, None], new_share, share)
    rows = np.repeat(np.arange(len(start)), 3)
    return sparse.csr_matrix(
        (share.reshape(-1), (rows, corners.reshape(-1))), (len(start), len(fine))
    )


def _keeps_triangles(before: np.ndarray, after: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) whether all triangles around a vertex keep a good quality."""
    old, new = _quality(before, faces), _quality(after, faces)
    keeps = np.ones(len(before), bool)
    keeps[faces[(new < MIN_QUALITY) & (new < old)]] = False
    return keeps


def _quality(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) 1 for an equilateral triangle, 0 for a line."""
    corners = vertices[faces]
    sides = ((corners - np.roll(corners, 1, 1)) ** 2).sum((1, 2))
    return 4 * np.sqrt(3) * face_normals(vertices, faces)[1] / np.maximum(sides, 1e-20)


def _mean_of_neighbours(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    links = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    return sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links


def _flatness(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(V,) least cosine between a vertex's normal and its faces'."""
    of_faces, _ = face_normals(vertices, faces)
    least = np.ones(len(vertices))
    for corner in faces.T:
        np.minimum.at(least, corner, (normals[corner] * of_faces).sum(1))
    return least


def _nearest(
    points: np.ndarray,
    normals: np.ndarray,
    fine: np.ndarray,
    fine_faces: np.ndarray,
    fine_normals: np.ndarray,
    tree: cKDTree,
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (P, 3) and barycentrics (P, 3) of the nearest point of the fine surface."""
    from trimesh.triangles import closest_point, points_to_barycentric

    candidates = tree.query(points, CANDIDATES)[1]
    triangles = fine[fine_faces[candidates]].reshape(-1, 3, 3)
    near = closest_point(triangles, np.repeat(points, CANDIDATES, 0)).reshape(*candidates.shape, 3)
    distance = np.linalg.norm(near - points[:, None], axis=2)
    same_side = (fine_normals[candidates] * normals[:, None]).sum(2) > SAME_SIDE
    best = np.where(same_side, distance, distance + 1.0).argmin(1)
    rows = np.arange(len(points))
    face = candidates[rows, best]
    share = np.maximum(points_to_barycentric(fine[fine_faces[face]], near[rows, best]), 0)
    return fine_faces[face], share / share.sum(1, keepdims=True)
