"""The volume of clothes and hair: how far a person's outline lies outside of the body's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body.surface import vertex_normals
from bodyreg.data.bodies import are_near, in_pixels, pixels_per_metre
from bodyreg.data.fits import Fits
from bodyreg.ops import Raster
from bodyreg.transfer.surface import Surface

FARTHEST = {"head": 0.07, "trunk": 0.09, "upper_arm": 0.04, "lower_arm": 0.04, "hand": 0,
            "thigh": 0.12, "shank": 0.09, "foot": 0.03}  # fmt: skip
DEEPEST = 0.04
"""Metres outside of the body beyond which a foreground is not clothes, and inside of it beyond
which its end is not the outline."""
# A vertex is on the outline if its normal is this close to the plane of the picture (sine), and
# nothing of the body is this many pixels outside of it.
SQUARE, OUTSIDE = 0.35, 2


@dataclass(frozen=True, eq=False)
class Posed:
    """A body in a picture, its clothes included.

    Attributes:
        places: (1, V, 3) float32 as of `in_pixels`.
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
        if volume is not None:
            scale = abs(float(fit.scale[0]))
            vertices = vertices + (scale * volume[:, None] * normals)[None]
        places = torch.from_numpy(in_pixels(fit, vertices.astype(np.float32)))
        fineness = float(pixels_per_metre(fit)[0])
        return cls(places, normals, bool(are_near(fit)[0]), inside_out, fineness)

    @property
    def squareness(self) -> np.ndarray:
        """(V,) float32 cosine between the normal and the line of sight, from 0."""
        return np.abs(self.normals[:, 2])

    def drawn(self, surface: Surface, height: int, width: int) -> Raster:
        """The body in the picture."""
        return ops.raster(self.places, surface.corners, height, width, perspective=self.near)


def outline_volume(
    posed: Posed, face: np.ndarray, foreground: np.ndarray, farthest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far the foreground reaches from the outline of a body.

    Args:
        posed: The bare body.
        face: (H, W) the body's faces in the picture, -1 = none.
        foreground: (H, W) bool.
        farthest: (V,) metres beyond which a foreground is not clothes.

    Returns:
        Vertices (n,) on the outline, and their distances (n,) to the foreground's, metres.
    """
    across = posed.normals[:, :2] * np.array([1, -1], np.float32)
    outline = np.flatnonzero(np.abs(posed.normals[:, 2]) < SQUARE)
    across = across[outline] / np.linalg.norm(across[outline], axis=1, keepdims=True)
    pixels = np.arange(
        -max(1, round(DEEPEST * posed.fineness)),
        max(OUTSIDE, max(FARTHEST.values()) * posed.fineness) + 1,
    )
    at = posed.places[0, outline, :2].numpy()[:, None] + across[:, None] * pixels[:, None]
    cell = np.floor(at).astype(int)
    high, wide = face.shape
    inside = ((cell >= 0) & (cell < [wide, high])).all(2)
    column, row = cell[..., 0].clip(0, wide - 1), cell[..., 1].clip(0, high - 1)
    bare = inside & (face[row, column] < 0)
    # The foreground goes on from the innermost step, and ends before this one.
    shown = foreground[row, column] & inside & (bare | (pixels < OUTSIDE))
    end = np.where(shown.all(1), len(pixels), shown.argmin(1))
    last = end.clip(max=len(pixels) - 1)
    rows = np.arange(len(outline))
    kept = bare[:, pixels.searchsorted(OUTSIDE)] & inside[rows, last] & (end > 0)
    kept &= (end < len(pixels)) & (pixels[last] <= posed.fineness * farthest[outline] + 1)
    # Between two parts of the body, each has half of what is between them.
    met = (pixels[last] >= OUTSIDE) & ~bare[rows, last]
    reach = (pixels[last] - 0.5) * np.where(met, 0.5, 1)
    reach[np.abs(reach) < OUTSIDE] = 0  # outlines of pixels are no more exact than this
    return outline[kept], (reach[kept] / posed.fineness).astype(np.float32)
