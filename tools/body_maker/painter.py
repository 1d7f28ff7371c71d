"""Which faces a camera sees, by the painter's algorithm: far faces first, near ones over them."""

from __future__ import annotations

import cv2
import numpy as np

# Bits below the pixel that OpenCV keeps of a coordinate.
SUBPIXEL_BITS = 4


def paint_faces(
    xy: np.ndarray, depth: np.ndarray, faces: np.ndarray, size: int | tuple[int, int]
) -> np.ndarray:
    """Paint every front face, in order of its mean depth, with its number.

    Faces that cross one another, or very unequal ones, may be ordered wrongly along their edges;
    outlines are a pixel fat, because OpenCV fills the pixels an edge touches.
    Kept because the body was made with it: of the quads on the rims of its cavities, the exact
    `ops.raster` would decide twenty otherwise.

    Args:
        xy: (V, 2) pixels, x right and y down.
        depth: (V,) larger is nearer to the viewer.
        faces: (F, 3), counter-clockwise seen from outside.
        size: Side of the picture, or (height, width).

    Returns:
        (H, W) int32 face number, -1 where there is none.
    """
    height, width = (size, size) if isinstance(size, int) else size
    corners = np.asarray(xy, np.float64)[faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # y points down, so a counter-clockwise face seen from outside turns clockwise.
    front = np.flatnonzero(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0)
    order = front[np.argsort(np.asarray(depth)[faces[front]].mean(1), kind="stable")]
    # Far outside of the picture OpenCV's fixed-point coordinates would overflow.
    limit = 8 * max(height, width)
    fixed = np.rint(np.clip(corners, -limit, limit) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    picture = np.full((height, width), -1, np.int32)
    for face in order:
        cv2.fillConvexPoly(picture, fixed[face], int(face), cv2.LINE_8, SUBPIXEL_BITS)
    return picture
