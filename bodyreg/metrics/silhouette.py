"""Silhouettes: what each pixel of a person's frame shows of the body, ignoring occlusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bodyreg import ops

if TYPE_CHECKING:
    from bodyreg.body import Body


class Silhouettes(NamedTuple):
    """N bodies in square pictures of their frames, row 0 at the top.

    Attributes:
        face: (N, side, side) int32, the visible face at a pixel's centre; -1 = background.
        barycentric: (N, side, side, 3) float32, the place within that face.
        corners: (F, 3) vertices of each face.
    """

    face: np.ndarray
    barycentric: np.ndarray
    corners: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(N, side, side) bool: the body covers the pixel's centre."""
        return self.face >= 0

    def at(self, xy: np.ndarray) -> np.ndarray:
        """The nearest vertex to the surface that is visible at places of the frame.

        Args:
            xy: (N, P, 2) frame units.

        Returns:
            (N, P) int64; -1 on the background and outside of the frame.
        """
        side = self.face.shape[1]
        column, row = np.moveaxis(pixels_of_frame(xy, side), -1, 0)
        inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        place = (
            np.arange(len(xy))[:, None],
            *(np.where(inside, value, 0).astype(np.int64) for value in (row, column)),
        )
        face = np.where(inside, self.face[place], -1)
        return np.where(face >= 0, self.corners[face, self.barycentric[place].argmax(-1)], -1)


def pixels_of_frame(xy: np.ndarray, side: int) -> np.ndarray:
    """Frame units (..., 2), y up -> continuous pixels of the frame drawn with this side, y down.

    The frame's top left corner is (0, 0), and the centre of the first pixel (0.5, 0.5).
    """
    return (xy * np.array([1, -1], np.float32) + 1) * (side / 2)


def silhouettes(vertices: np.ndarray, body: Body, side: int) -> Silhouettes:
    """Draw bodies into their frames.

    Args:
        vertices: (N, V, 3) float32 frame units, z toward the viewer.
        body: Gives the faces.
        side: Side of the pictures in pixels.
    """
    placed = np.concatenate([pixels_of_frame(vertices[..., :2], side), vertices[..., 2:]], axis=2)
    faces = torch.from_numpy(body.faces.astype(np.int32))
    drawn = ops.raster(torch.from_numpy(placed.astype(np.float32)), faces, side, side)
    return Silhouettes(drawn.face.numpy(), drawn.barycentric.numpy(), body.faces)
