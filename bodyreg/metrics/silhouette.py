"""What of a body shows at each pixel of a person's frame, as if nothing covered it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bodyreg import ops

if TYPE_CHECKING:
    from bodyreg.body import Body


class Silhouettes(NamedTuple):
    """N bodies in square pictures of their frames.

    Attributes:
        mask: (N, side, side) bool, row 0 at the top: pixels whose centre a body covers.
        vertex: (N, side, side) int64, the nearest vertex of what shows there; -1 where nothing
            does.
    """

    mask: np.ndarray
    vertex: np.ndarray

    def at(self, xy: np.ndarray) -> np.ndarray:
        """(N, P) int64, the vertex at places (N, P, 2) in frame units; -1 outside of the frame."""
        side = self.mask.shape[1]
        column, row = np.moveaxis(pixels_of_frame(xy, side), -1, 0)
        inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        place = [np.where(inside, value, 0).astype(np.int64) for value in (row, column)]
        people = np.arange(len(xy))[:, None]
        return np.where(inside, self.vertex[people, place[0], place[1]], -1)


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
    face, corner = drawn.face.numpy(), drawn.barycentric.argmax(dim=-1).numpy()
    mask = face >= 0
    return Silhouettes(mask, np.where(mask, body.faces[face, corner], -1))
