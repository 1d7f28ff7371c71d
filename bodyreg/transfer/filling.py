"""Smooth colours for the pixels of a picture that have none."""

from __future__ import annotations

import cv2
import numpy as np


def filled(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill what is not known with the colours of what is nearest, at every scale.

    Pull and push on a pyramid: S. J. Gortler et al., "The Lumigraph", 1996.

    Args:
        picture: (H, W, 3) uint8.
        known: (H, W) bool; other pixels are not read.

    Returns:
        (H, W, 3) uint8; known pixels stay as they are. Grey if none is known.
    """
    share = known.astype(np.float32)
    levels: list[np.ndarray] = [np.dstack([picture * share[..., None], share])]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(cv2.pyrDown(levels[-1]))
    coarse = np.full((*levels[-1].shape[:2], 3), 128, np.float32)
    for level in reversed(levels):
        height, width = level.shape[:2]
        if coarse.shape[:2] != (height, width):
            coarse = cv2.pyrUp(coarse, dstsize=(width, height)).reshape(height, width, 3)
        # As many known pixels as make a whole one decide alone.
        weight = np.minimum(1, 4 * level[..., 3:])
        own = level[..., :3] / np.maximum(level[..., 3:], 1e-6)
        coarse = coarse + weight * (own - coarse)
    return np.where(known[..., None], picture, np.rint(coarse).clip(0, 255)).astype(np.uint8)


def covering(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, 3): a picture enlarged or reduced to cover this size, its middle kept."""
    high, wide = picture.shape[:2]
    if (high, wide) == (height, width):
        return picture
    zoom = max(height / high, width / wide)
    size = max(width, round(zoom * wide)), max(height, round(zoom * high))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    larger = cv2.resize(picture, size, interpolation=way)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(larger[top : top + height, left : left + width])
