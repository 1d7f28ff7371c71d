"""Triangle meshes: normals, coordinates in triangles, visible faces and vertices."""

from __future__ import annotations

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) float32 vectors of length 1; zero stays zero."""
    length = _length(*np.moveaxis(vectors, -1, 0))
    return (vectors / np.maximum(length, 1e-12)[..., None]).astype(np.float32)


def outward_faces(faces: np.ndarray, mirrored: bool) -> np.ndarray:
    """(F, 3) the faces of a body, counter-clockwise seen from outside.

    In a mirror image of the body they are clockwise, so their order is reversed.
    """
    return faces[:, ::-1] if mirrored else faces


def _length(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    # NumPy's sums along an axis of three are slow.
    return np.sqrt(x * x + y * y + z * z)


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, 3) unit normals of counter-clockwise faces, and (F,) areas."""
    normals, areas = _face_normals(vertices, faces)
    return np.ascontiguousarray(normals.T), areas


def _face_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float32 unit normals (3, F) and areas (F,); coordinates first, so that loops are long."""
    places = vertices.T.astype(np.float64, order="C")
    a, b, c = (places.take(corner, axis=1) for corner in faces.T)
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    cross = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
    length = _length(*cross)
    return (cross / np.maximum(length, 1e-12)).astype(np.float32), length / 2


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32 unit normals: the area-weighted mean over each vertex's faces."""
    normals, areas = _face_normals(vertices, faces)
    corners = faces.T.reshape(-1)
    total = [np.bincount(corners, np.tile(row, 3), len(vertices)) for row in normals * areas]
    return unit(np.stack(total, 1))


def sample_normals(
    normals: np.ndarray, areas: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Summarise normals by `count` centres: k-means, weighted by area.

    The first centres are normals far apart from each other, so the result is deterministic.

    Args:
        normals: (F, 3) unit normals.
        areas: (F,).
        count: M.

    Returns:
        (M, 3) float32 unit centres and (M,) float32 shares of the area. Unused centres have share
        0 and point to the front.
    """
    centres = np.tile(np.array([0.0, 0.0, 1.0]), (count, 1))
    shares = np.zeros(count)
    if areas.sum() > 0:
        picked = [int(areas.argmax())]
        nearest = normals @ normals[picked[0]]
        while len(picked) < min(count, len(normals)):
            picked.append(int(nearest.argmin()))
            nearest = np.maximum(nearest, normals @ normals[picked[-1]])
        centres[: len(picked)] = normals[picked]
        for _ in range(10):
            owner = (normals @ centres.T)[:, : len(picked)].argmax(1)
            weighted = (normals * areas[:, None]).T
            sums = np.stack([np.bincount(owner, axis, count) for axis in weighted], 1)
            shares = np.bincount(owner, areas, count) / areas.sum()
            centres = np.where(shares[:, None] > 0, unit(sums), centres)
    return centres.astype(np.float32), shares.astype(np.float32)


def segment_samples(
    vertices: np.ndarray, faces: np.ndarray, owner: np.ndarray, segments: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """A few normals for each segment of a surface.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        owner: (F,) the segment of each face.
        segments: S.
        count: M.

    Returns:
        (S, M, 3) normals and (S, M) shares, as of `sample_normals`.
    """
    normals, areas = face_normals(vertices, faces)
    samples = [
        sample_normals(normals[owner == segment], areas[owner == segment], count)
        for segment in range(segments)
    ]
    return np.stack([some for some, _ in samples]), np.stack([shares for _, shares in samples])


def barycentric_coordinates(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, 3) barycentrics of points (P, 2) in triangles (P, 3, 2); -1 in degenerate triangles."""
    a, b, c = np.moveaxis(corners, 1, 0)

    def cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]

    area = cross(b - a, c - a)
    safe = np.where(area == 0, 1, area)
    second = cross(points - a, c - a) / safe
    third = cross(b - a, points - a) / safe
    result = np.stack([1 - second - third, second, third], 1)
    result[area == 0] = -1
    return result


def visible_faces(picture: np.ndarray, face_count: int) -> np.ndarray:
    """(F,) bool: faces that own a pixel of `picture`, which holds faces as `ops.raster` does."""
    seen = np.zeros(face_count, bool)
    seen[picture[picture >= 0]] = True
    return seen


def visible_vertices(picture: np.ndarray, faces: np.ndarray, vertex_count: int) -> np.ndarray:
    """(V,) bool: corners of the faces that own at least one pixel."""
    seen = np.zeros(vertex_count, bool)
    seen[faces[visible_faces(picture, len(faces))]] = True
    return seen
