"""What depends on a mesh's faces alone, made once for all bodies that share them."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse


class Mesh:
    """Faces of a body, ready for normals, smoothing and drawing.

    Attributes:
        source: (F, 3) the faces it was made of.
        faces: (F, 3) int32 tensor, as `ops.raster` wants them.
    """

    def __init__(self, source: np.ndarray, count: int):
        self.source = source
        self.faces = torch.from_numpy(source.astype(np.int32))
        self._corners = np.ascontiguousarray(source.T)
        ones = np.ones(source.size, np.float32)
        number = np.repeat(np.arange(len(source)), 3)
        shape = count, len(source)
        self._sums = sparse.csr_matrix((ones, (source.reshape(-1), number)), shape)
        edges = np.concatenate([source[:, [0, 1]], source[:, [1, 2]], source[:, [2, 0]]])
        shape = count, count
        links = sparse.csr_matrix((np.ones(len(edges), np.float32), edges.T), shape)
        links = ((links + links.T) > 0).astype(np.float32) + sparse.identity(count, np.float32)
        self._mean = (sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links).astype(np.float32)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) float32 unit normals of vertices (V, 3) float32, weighted by area."""
        a, b, c = (vertices[corner].T for corner in self._corners)
        (x, y, z), (u, v, w) = b - a, c - a
        total = self._sums @ np.stack([y * w - z * v, z * u - x * w, x * v - y * u], 1)
        total /= np.sqrt((total * total).sum(1, keepdims=True)) + np.float32(1e-20)
        return total

    def smooth(self, values: np.ndarray, rounds: int) -> np.ndarray:
        """Values at vertices (V, n) float32, replaced by neighbours' means, in rounds."""
        for _ in range(rounds):
            values = self._mean @ values
        return values


_KNOWN: list[Mesh] = []
_MOST = 4


def mesh_of(faces: np.ndarray, count: int) -> Mesh:
    """The mesh of an array of faces (F, 3) between `count` vertices; remembered by identity."""
    for mesh in _KNOWN:
        if mesh.source is faces:
            return mesh
    _KNOWN.append(Mesh(faces, count))
    del _KNOWN[:-_MOST]
    return _KNOWN[-1]
