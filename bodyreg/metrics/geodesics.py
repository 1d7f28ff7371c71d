"""Distances along the surface of a body."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.errors import UserError
from bodyreg.npz import load_npy

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from bodyreg.body import Body

GeodesicDistance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Vertices (P,) and vertices (P,) -> distances along the surface, (P,) metres."""


class BodyGeodesics:
    """Distances on the template in its rest pose, computed on demand.

    Shortest paths run along edges and straight across pairs of neighbouring triangles: they are
    never shorter than true geodesics, and 1 % longer on average. The distances from a vertex are
    kept: 4 bytes for each of the body's vertices.

    Args:
        body: Its rest pose, in metres.
    """

    def __init__(self, body: Body) -> None:
        self._graph = _ways(body.vertices.astype(np.float64), body.faces)
        count = len(body.vertices)
        self._known = np.zeros(count, bool)
        # Rows take memory only once they are written.
        self._distance = np.empty((count, count), np.float32)

    def __call__(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Distances (P,) between vertices (P,) and (P,), metres; infinite if not connected."""
        from scipy.sparse.csgraph import dijkstra

        new = np.unique(source)
        new = new[~self._known[new]]
        if len(new):
            self._distance[new] = dijkstra(self._graph, directed=False, indices=new)
            self._known[new] = True
        return self._distance[source, target].astype(np.float64)


def load_geodesics(path: str | os.PathLike, body: Body) -> GeodesicDistance:
    """Load the user's own distances: a matrix (V, V) of a body's vertices in metres, .npy.

    Raises:
        UserError: the file is missing or damaged, or not such a matrix of this body.
    """
    matrix = load_npy(path, kind="geodesics")
    count = len(body.vertices)
    if matrix.shape != (count, count) or matrix.dtype.kind != "f":
        raise UserError(
            f"{path}: {matrix.dtype} {matrix.shape}; expected geodesic distances in metres between "
            f"the vertices of body '{body.name}': floats ({count}, {count})"
        )
    if np.isnan(matrix).any() or matrix.min(initial=0) < 0 or np.diagonal(matrix).any():
        raise UserError(f"{path}: not distances (one is negative or NaN, or the diagonal is not 0)")
    return lambda source, target: matrix[source, target].astype(np.float64)


def spread_vertices(vertices: np.ndarray, count: int) -> np.ndarray:
    """Farthest-point sampling: sorted indices (min(count, V),) of vertices (V, 3)."""
    chosen: list[int] = []
    nearest = np.full(len(vertices), np.inf)
    while len(chosen) < min(count, len(vertices)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(vertices - vertices[chosen[-1]], axis=1))
        nearest[chosen] = -1
    return np.sort(chosen)


def _ways(vertices: np.ndarray, faces: np.ndarray) -> csr_array:
    """(V, V) sparse lengths of edges, and of straight lines across two unfolded triangles."""
    from scipy.sparse import coo_array

    corners = np.concatenate([np.roll(faces, -turn, axis=1) for turn in range(3)])
    edge, apex = np.sort(corners[:, :2], axis=1), corners[:, 2]
    order = np.lexsort(edge.T)
    edge, apex = edge[order], apex[order]
    same = (edge[1:] == edge[:-1]).all(axis=1)
    # An edge of exactly two triangles equals the next row, but neither the row before nor the one
    # after that.
    pair = np.flatnonzero(same & ~np.append(False, same[:-1]) & ~np.append(same[1:], False))
    ends = np.stack([apex[pair], apex[pair + 1]], axis=1)
    across, length = _across(vertices, edge[pair], ends)

    ways = np.concatenate([edge, np.sort(ends[across], axis=1)])
    lengths = np.concatenate([_norm(vertices[edge[:, 0]] - vertices[edge[:, 1]]), length])
    # Keep the shortest between the same two vertices.
    order = np.lexsort((lengths, *ways.T))
    first = np.append(True, (np.diff(ways[order], axis=0) != 0).any(axis=1))
    kept = order[first]
    return coo_array(
        (lengths[kept], tuple(ways[kept].T)), shape=(len(vertices), len(vertices))
    ).tocsr()


def _across(
    vertices: np.ndarray, edge: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which straight lines between the opposite corners cross their edge, and their lengths."""
    origin = vertices[edge[:, 0]]
    along = vertices[edge[:, 1]] - origin
    length = _norm(along)
    along /= np.where(length > 0, length, 1)[:, None]
    # Unfold both triangles into one plane: x along the edge, y away from it, one on either side.
    to_ends = vertices[ends] - origin[:, None]
    x = (to_ends * along[:, None]).sum(axis=2)
    y = _norm(to_ends - x[..., None] * along[:, None])
    height = y.sum(axis=1)
    crossing = (x[:, 0] * y[:, 1] + x[:, 1] * y[:, 0]) / np.where(height > 0, height, 1)
    across = (height > 0) & (crossing > 0) & (crossing < length)
    return across, np.hypot(x[:, 0] - x[:, 1], height)[across]


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
