"""The nearest points of a triangle mesh, by place and normal."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bodyreg.body.surface import face_normals, vertex_normals

# Points that are looked for in one step: the work arrays stay below some ten MB.
CHUNK = 4096
# Triangles that are tried for each point: those with the nearest centres. On bodies the nearest
# triangle is among them unless triangles of very different sizes are side by side.
CANDIDATES = 12
# Metres that a triangle which faces away counts as farther: the other side of an ear or a finger.
AWAY = 0.05


class Nearest(NamedTuple):
    """Points of a surface.

    Attributes:
        face: (P,) the triangles.
        barycentric: (P, 3) shares of the triangles' corners; they sum to 1.
        place: (P, 3).
        cost: (P,) squared distances, metres², with those of normals; inf where no candidate has an
            allowed label.
    """

    face: np.ndarray
    barycentric: np.ndarray
    place: np.ndarray
    cost: np.ndarray


class Surface:
    """A triangle mesh that is asked for nearest points.

    Args:
        vertices: (V, 3).
        faces: (F, 3), counter-clockwise seen from outside.
        labels: (V,) int labels of the vertices, or None. A face has the highest of its corners.
    """

    def __init__(
        self, vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray | None = None
    ) -> None:
        self.vertices = np.asarray(vertices, np.float64)
        self.faces = np.asarray(faces, np.int64)
        self.normals = vertex_normals(self.vertices, self.faces).astype(np.float64)
        self.corners = self.vertices[self.faces]
        self.face_normals = face_normals(self.vertices, self.faces)[0].astype(np.float64)
        self._kept: tuple[float, Any] = (-1.0, None)
        self.face_labels = None if labels is None else labels[self.faces].max(1)

    def at(self, face: np.ndarray, barycentric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places and unit normals, (P, 3) each, of points in triangles."""
        place = (self.corners[face] * barycentric[..., None]).sum(1)
        normal = (self.normals[self.faces[face]] * barycentric[..., None]).sum(1)
        return place, normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)

    def nearest(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        *,
        turn: float = 0.0,
        allowed: np.ndarray | None = None,
    ) -> Nearest:
        """The point of the surface that is nearest to each point.

        Args:
            points: (P, 3).
            normals: (P, 3) unit normals at the points.
            turn: Metres. A normal turned by 60 degrees is as far as a place this far away. With 0
                a triangle must only not face away.
            allowed: (P, L) bool, the labels that each point may meet; all if None.
        """
        count = min(CANDIDATES, len(self.faces))
        parts = [
            self._nearest(points[i : i + CHUNK], normals[i : i + CHUNK], turn, count, some)
            for i in range(0, len(points), CHUNK)
            for some in [None if allowed is None else allowed[i : i + CHUNK]]
        ]
        if not parts:
            nothing = np.zeros((0, 3))
            return Nearest(np.zeros(0, np.int64), nothing, nothing, np.zeros(0))
        face, barycentric, place, cost = map(np.concatenate, zip(*parts, strict=True))
        return Nearest(face, barycentric, place, cost)

    def _tree(self, turn: float) -> Any:
        """A tree of the triangles' centres and normals; the last one is kept."""
        from scipy.spatial import cKDTree

        if turn != self._kept[0]:
            centres = self.corners.mean(1)
            self._kept = turn, cKDTree(np.hstack([centres, turn * self.face_normals]))
        return self._kept[1]

    def _nearest(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        turn: float,
        count: int,
        allowed: np.ndarray | None,
    ) -> Nearest:
        _, face = self._tree(turn).query(np.hstack([points, turn * normals]), k=count)
        face = face.reshape(len(points), count)
        barycentric = closest_in_triangles(self.corners[face], points[:, None])
        place = (self.corners[face] * barycentric[..., None]).sum(2)
        cost = ((place - points[:, None]) ** 2).sum(2)
        cosine = (self.face_normals[face] * normals[:, None]).sum(2)
        cost += turn**2 * 2 * (1 - cosine) + AWAY**2 * (cosine < 0)
        if allowed is not None and self.face_labels is not None:
            cost[~np.take_along_axis(allowed, self.face_labels[face], 1)] = np.inf
        best, row = cost.argmin(1), np.arange(len(points))
        return Nearest(face[row, best], barycentric[row, best], place[row, best], cost[row, best])


def closest_in_triangles(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentrics (..., 3) of the point of a triangle (..., 3, 3) that is nearest to a point.

    It is the point's projection if that lies inside, else the nearest point of the three edges.
    """
    first, second, third = np.moveaxis(corners, -2, 0)
    u, v, w = second - first, third - first, points - first
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = uu * vv - uv * uv
    flat = area <= 1e-14 * uu * vv
    area = np.where(flat, 1, area)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    inside = np.stack([1 - s - t, s, t], -1)
    inside[flat] = -1
    along = {(0, 1): (u, w, uu), (0, 2): (v, w, vv), (1, 2): (v - u, points - second, None)}
    best, least = inside, np.where(inside.min(-1) >= 0, -1.0, np.inf)
    for (start, end), (edge, offset, length) in along.items():
        length = (edge * edge).sum(-1) if length is None else length
        share = ((offset * edge).sum(-1) / np.maximum(length, 1e-30)).clip(0, 1)
        away = ((offset - share[..., None] * edge) ** 2).sum(-1)
        here = np.zeros(inside.shape)
        here[..., start], here[..., end] = 1 - share, share
        closer = away < least
        best, least = np.where(closer[..., None], here, best), np.where(closer, away, least)
    return best
