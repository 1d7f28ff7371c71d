"""A painted person before a background."""

from __future__ import annotations

import cv2
import numpy as np

from bodyreg.transfer.filling import filled
from bodyreg.transfer.painting import Painting

# Outlines are smoothed with this kernel; whole pixels would leave steps.
EDGE = np.array([0.22, 0.56, 0.22], np.float32)
# Light from the person, and its shadows' edges, reach this much farther, share of the longer side.
RIM = 0.012


def without_person(picture: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: a picture with its person filled in by what is round it."""
    reach = 1 + round(RIM * max(foreground.shape))
    kernel = np.ones((2 * reach + 1,) * 2, np.uint8)
    return filled(picture, cv2.dilate(foreground.astype(np.uint8), kernel) == 0)


def before(background: np.ndarray, painting: Painting) -> np.ndarray:
    """(H, W, 3) uint8: a painting before a background (H, W, 3) of its size."""
    there = painting.silhouette
    share = cv2.sepFilter2D(there.astype(np.float32), -1, EDGE, EDGE)[..., None]
    colours = filled(painting.picture, there).astype(np.float32)
    mixed = np.rint(background + share * (colours - background)).astype(np.uint8)
    return np.where(share == 0, background, mixed)
