"""The volume of clothes and hair: how far a person's outline lies outside of the body's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body.surface import vertex_normals
from bodyreg.data.fits import Fits
from bodyreg.data.frames import image_from_frame
from bodyreg.ops import Raster
from bodyreg.transfer.surface import Surface

FARTHEST = 0.12
"""Metres from the body beyond which a foreground is not clothes."""
# A vertex is on the outline if its normal is this close to the plane of the picture (sine), and
# nothing of the body is this many pixels outside of it.
SQUARE, OUTSIDE = 0.35, 1.5


@dataclass(frozen=True, eq=False)
class Posed:
    """A body in a picture, its clothes included.

    Attributes:
        places: (1, V, 3) float32 as `ops.raster` takes them: x, y and depth in pixels.
        normals: (V, 3) float32 unit, out of the body; x right, y up, z toward the viewer.
        near: Whether in perspective.
        inside_out: Whether left and right are exchanged.
        fineness: Pixels per metre.
    """

    places: Tensor
    normals: np.ndarray
    near: bool
    inside_out: bool
    fineness: float

    @classmethod
    def of(cls, surface: Surface, fit: Fits, volume: np.ndarray | None = None) -> Posed:
        """A fitted body.

        Args:
            surface: Of the body.
            fit: One fit.
            volume: (V,) metres by which the surface lies outside of the body.
        """
        vertices = fit.vertices(surface.body)
        inside_out = bool(fit.mirrored[0])
        normals = vertex_normals(vertices[0], surface.body.faces) * (-1 if inside_out else 1)
        scale = abs(float(fit.scale[0]))
        if volume is not None:
            vertices = vertices + (scale * volume[:, None] * normals)[None]
        seen = fit.seen(vertices.astype(np.float32))
        xy = image_from_frame(seen[..., :2], fit.frame[:, None])
        depth = seen[..., 2:] * fit.frame[:, None, 2:]
        near = fit.focal is not None and bool(fit.perspective[0, 0] > 0)
        if fit.focal is not None and near:  # depths of perspective begin at the camera
            depth = depth - fit.focal[:, None, None]
        places = np.concatenate([xy, depth], 2).astype(np.float32)
        fineness = scale * float(fit.frame[0, 2])
        return cls(torch.from_numpy(places), normals, near, inside_out, fineness)

    def drawn(self, surface: Surface, height: int, width: int) -> Raster:
        """The body in the picture."""
        return ops.raster(self.places, surface.corners, height, width, perspective=self.near)


def outline_volume(
    posed: Posed, face: np.ndarray, foreground: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far the foreground reaches from the outline of a body.

    Args:
        posed: The bare body.
        face: (H, W) the body's faces in the picture, -1 = none.
        foreground: (H, W) bool.

    Returns:
        Vertices (n,) on the outline, and their distances (n,) to the foreground's, metres.
    """
    across = posed.normals[:, :2] * np.array([1, -1], np.float32)
    outline = np.flatnonzero(np.abs(posed.normals[:, 2]) < SQUARE)
    across = across[outline] / np.linalg.norm(across[outline], axis=1, keepdims=True)
    steps = np.arange(OUTSIDE, max(OUTSIDE, FARTHEST * posed.fineness) + 1, dtype=np.float32)
    at = posed.places[0, outline, :2].numpy()[:, None] + across[:, None] * steps[:, None]
    cell = np.floor(at).astype(int)
    high, wide = face.shape
    inside = ((cell >= 0) & (cell < [wide, high])).all(2)
    column, row = cell[..., 0].clip(0, wide - 1), cell[..., 1].clip(0, high - 1)
    bare = inside & (face[row, column] < 0)
    on = bare & foreground[row, column]
    # Steps until the foreground ends, and what is there.
    count = np.where(on.all(1), len(steps), on.argmin(1))
    last = count.clip(max=len(steps) - 1)
    rows = np.arange(len(outline))
    kept = bare[:, 0] & inside[rows, last]
    # Between two parts of the body, each has half of what is between them.
    met = inside[rows, last] & ~bare[rows, last] & (count < len(steps))
    pixels = np.where(count > 0, count + OUTSIDE - 1, 0) * np.where(met, 0.5, 1)
    return outline[kept], (pixels[kept] / posed.fineness).astype(np.float32)
