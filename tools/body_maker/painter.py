"""Visible faces by the painter's algorithm: far faces are drawn first, near ones over them."""

from __future__ import annotations

import cv2
import numpy as np

# Fractional bits of OpenCV's coordinates.
SUBPIXEL_BITS = 4


def paint_faces(
    xy: np.ndarray, depth: np.ndarray, faces: np.ndarray, size: int | tuple[int, int]
) -> np.ndarray:
    """Paint every front face with its number, in order of mean depth.

    The order may be wrong along the edges of faces that intersect or differ much in size. Outlines
    are one pixel too wide, because OpenCV fills all pixels that an edge touches. The built-in body
    was made with this function, so it stays: the exact `ops.raster` decides differently about
    twenty quads on the rims of cavities.

    Args:
        xy: (V, 2) pixels, x right and y down.
        depth: (V,) larger is nearer to the viewer.
        faces: (F, 3), counter-clockwise from outside.
        size: Side of the picture, or (height, width).

    Returns:
        (H, W) int32 face number, -1 for the background.
    """
    height, width = (size, size) if isinstance(size, int) else size
    corners = np.asarray(xy, np.float64)[faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # y points down, so counter-clockwise faces become clockwise.
    front = np.flatnonzero(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0)
    order = front[np.argsort(np.asarray(depth)[faces[front]].mean(1), kind="stable")]
    # OpenCV's fixed-point coordinates would overflow far outside of the picture.
    limit = 8 * max(height, width)
    fixed = np.rint(np.clip(corners, -limit, limit) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    picture = np.full((height, width), -1, np.int32)
    for face in order:
        cv2.fillConvexPoly(picture, fixed[face], int(face), cv2.LINE_8, SUBPIXEL_BITS)
    return picture
