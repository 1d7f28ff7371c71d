"""Data that depend on a mesh's faces alone; all bodies with these faces share them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy import sparse
from torch.nn import functional


class Mesh:
    """Faces of a body, ready for normals, smoothing and drawing.

    Attributes:
        source: (F, 3) the faces that it was made from.
        faces: (F, 3) int32 tensor, as `ops.raster` needs them.
    """

    def __init__(self, source: np.ndarray, count: int):
        self.source = source
        self.faces = torch.from_numpy(source.astype(np.int32))
        self._corners = [np.ascontiguousarray(corner) for corner in source.T]
        # Sums over the faces around each vertex, and means over its neighbours.
        number = np.repeat(np.arange(len(source)), 3)
        self._faces = _Sums(source.reshape(-1), number, (count, len(source)))
        edges = np.concatenate([source[:, [0, 1]], source[:, [1, 2]], source[:, [2, 0]]]).T
        first = np.concatenate([edges[0], edges[1]])
        second = np.concatenate([edges[1], edges[0]])
        self._neighbours = _Sums(first, second, (count, count), mean=True)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) float32 unit normals of vertices (V, 3) float32, weighted by area."""
        columns = np.ascontiguousarray(vertices.T)
        a, b, c = (columns.take(corner, 1) for corner in self._corners)
        b -= a
        c -= a
        (x, y, z), (u, v, w) = b, c
        cross = cv2.transpose(np.stack([y * w - z * v, z * u - x * w, x * v - y * u]))
        x, y, z = total = cv2.transpose(self._faces(cross))
        total /= np.sqrt(x * x + y * y + z * z) + np.float32(1e-20)
        return cv2.transpose(total)

    def smooth(self, values: np.ndarray, steps: tuple[float, ...]) -> np.ndarray:
        """Smooth values at vertices (V, n) float32.

        Args:
            values: The values.
            steps: For each pass, the share of the way that values move to their neighbours' mean.
        """
        for step in steps:
            values = values + np.float32(step) * (self._neighbours(values) - values)
        return values


class _Sums:
    """Sums or means of chosen rows: a sparse product, as `embedding_bag` computes it fastest."""

    def __init__(
        self, row: np.ndarray, column: np.ndarray, shape: tuple[int, int], *, mean: bool = False
    ):
        # A pair that occurs twice, as an edge does in both of its faces, counts once.
        matrix = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape)
        counts = np.diff(matrix.indptr)
        weights = 1 / counts if mean else np.ones(len(counts))
        self._columns = torch.from_numpy(matrix.indices.astype(np.int64))
        self._starts = torch.from_numpy(matrix.indptr[:-1].astype(np.int64))
        self._weights = torch.from_numpy(weights.repeat(counts).astype(np.float32))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(rows, n) of values (columns, n) float32."""
        return functional.embedding_bag(
            self._columns, torch.from_numpy(values), self._starts, mode="sum",
            per_sample_weights=self._weights,
        ).numpy()  # fmt: skip


_KNOWN: list[Mesh] = []
_MOST = 4


def mesh_of(faces: np.ndarray, count: int) -> Mesh:
    """The mesh of faces (F, 3) between `count` vertices, cached by the identity of the array."""
    for mesh in _KNOWN:
        if mesh.source is faces:
            return mesh
    _KNOWN.append(Mesh(faces, count))
    del _KNOWN[:-_MOST]
    return _KNOWN[-1]
