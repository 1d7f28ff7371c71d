"""What of a body shows at each pixel of a person's frame, as if nothing covered it."""

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
        face: (N, side, side) int32, the body's face that shows at a pixel's centre; -1 where none
            does.
        barycentric: (N, side, side, 3) float32, which place of it.
        corners: (F, 3) vertices of each face.
    """

    face: np.ndarray
    barycentric: np.ndarray
    corners: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(N, side, side) bool: pixels whose centre the body covers."""
        return self.face >= 0

    def at(self, xy: np.ndarray) -> np.ndarray:
        """The vertex nearest to what shows in the pixels of some places.

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
    return (xy * np.float32([1, -1]) + 1) * (side / 2)


def silhouettes(vertices: np.ndarray, body: Body, side: int) -> Silhouettes:
    """Draw bodies into their frames.

    Args:
        vertices: (N, V, 3) float32 frame units, z toward the viewer.
        body: Whose vertices they are.
        side: Of the pictures in pixels.
    """
    placed = np.concatenate([pixels_of_frame(vertices[..., :2], side), vertices[..., 2:]], axis=2)
    faces = torch.from_numpy(body.faces.astype(np.int32))
    drawn = ops.raster(torch.from_numpy(placed.astype(np.float32)), faces, side, side)
    return Silhouettes(drawn.face.numpy(), drawn.barycentric.numpy(), body.faces)
