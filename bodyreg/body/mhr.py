"""Where the vertices of Meta's MHR lie on the built-in body.

MHR (Momentum Human Rig, Ferguson et al. 2025) has a mesh of 18,439 vertices at its level of detail
1. With their places on the built-in body, fits are meshes that MHR's tools read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg.npz import load_npz

MHR_TABLE = Path(__file__).with_name("assets") / "mhr.npz"
"""The table of the built-in body; tools/map_smpl.py made it."""

MHR_VERTEX_COUNT = 18439

FINEST = 2**16 - 1
"""Shares are stored as multiples of one over this: an error below a thousandth of a millimetre."""


@dataclass(frozen=True, eq=False)
class MhrVertices:
    """MHR's vertices as points of the built-in body's surface.

    Attributes:
        face: (18439,) int64 the triangle of the body.
        barycentric: (18439, 3) float32 shares of its corners; they sum to 1.
    """

    face: np.ndarray
    barycentric: np.ndarray

    @classmethod
    def of(cls, face: np.ndarray, barycentric: np.ndarray) -> MhrVertices:
        """The points of triangles (N,) with these shares (N, 3), as the table can store them."""
        share = np.rint(barycentric[:, :2].clip(0, 1) * FINEST)
        share[:, 1] = np.minimum(share[:, 1], FINEST - share[:, 0])
        return cls._stored(face, share)

    @classmethod
    def _stored(cls, face: np.ndarray, share: np.ndarray) -> MhrVertices:
        first = share.astype(np.float32) / np.float32(FINEST)
        last = 1 - first.sum(1, keepdims=True)
        return cls(face.astype(np.int64), np.concatenate([first, last], axis=1))

    @classmethod
    def built_in(cls) -> MhrVertices:
        """The table of the built-in body."""
        arrays = load_npz(MHR_TABLE, kind="table")
        return cls._stored(arrays["face"], arrays["share"])

    def __len__(self) -> int:
        return len(self.face)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of `MHR_TABLE`."""
        share = np.rint(self.barycentric[:, :2] * FINEST)
        return {"face": self.face.astype(np.uint16), "share": share.astype(np.uint16)}
