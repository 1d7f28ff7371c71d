"""The ground behind a body in its frame: the picture, the annotator's masks, or nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bodyreg.data.densepose_coco import decode_part_masks, load_coco
from bodyreg.data.frames import corners
from bodyreg.files import path_inside
from bodyreg.pictures import read_picture

if TYPE_CHECKING:
    from bodyreg.data import Observations

# Blue, green, red.
GROUND = (236, 232, 228)
SILHOUETTE = (214, 206, 200)

TILE = 240
# A crop is drawn at most this many times finer before it is averaged.
FINEST = 8


def plain_ground(side: int) -> np.ndarray:
    """(side, side, 3) uint8 in one colour: no picture behind the body."""
    return np.full((side, side, 3), GROUND, np.uint8)


def silhouette_ground(
    parts: np.ndarray, box: np.ndarray, frame: np.ndarray, side: int
) -> np.ndarray:
    """A ground with the masks that an annotator painted, for people without a picture.

    Args:
        parts: (256, 256) coarse parts in the box, stretched to a square; 0 is the background.
        box: (4,) x, y, width, height in image pixels.
        frame: (3,) the crop.
        side: of the result in pixels.
    """
    low, high = corners(frame)
    unit = len(parts) / box[2:]
    painted = (parts > 0).astype(np.float32)
    mask = crop(painted, (low - box[:2]) * unit, (high - box[:2]) * unit, side)[..., None]
    return np.rint(GROUND + mask * (np.array(SILHOUETTE) - GROUND)).astype(np.uint8)


def mask_grounds(
    coco_file: str | os.PathLike, people: Observations, side: int = TILE
) -> list[np.ndarray]:
    """The masks that annotators painted, of people of a DensePose-COCO file."""
    annotations = load_coco(coco_file).anns
    found = [annotations[number] for number in people.id.tolist()]
    return [
        silhouette_ground(decode_part_masks(a), np.array(a["bbox"], np.float64), frame, side)
        for a, frame in zip(found, people.frame, strict=True)
    ]


def picture_grounds(
    folder: str | os.PathLike, people: Observations, side: int = TILE
) -> list[np.ndarray]:
    """The pictures of people, cropped to their frames; a plain ground for an unknown picture.

    Raises:
        UserError: a picture cannot be read, or is outside the folder.
    """
    names = [""] * len(people) if people.picture is None else people.picture.tolist()
    grounds, last, picture = [], "", None
    for number, name, frame in zip(people.id.tolist(), names, people.frame, strict=True):
        if name and name != last:
            kind = f"picture of person {number}"
            picture, last = read_picture(path_inside(folder, name, kind), kind=kind), name
        grounds.append(crop(picture, *corners(frame), side, GROUND) if name else plain_ground(side))
    return grounds


def crop(
    picture: np.ndarray, low: np.ndarray, high: np.ndarray, side: int, border: Sequence[float] = ()
) -> np.ndarray:
    """A part of a picture, stretched or shrunk to a square; shrunk pixels are averaged.

    Args:
        picture: (H, W) or (H, W, C).
        low: (2,) x and y of its upper left corner, picture pixels.
        high: (2,) its lower right corner; both corners may be outside the picture.
        side: of the result in pixels.
        border: The colour outside the picture; 0 if left out.
    """
    zoom = side / (high - low)
    fine = min(math.ceil(1 / zoom.min()), FINEST) if zoom.min() < 1 else 1
    zoom = fine * zoom
    # OpenCV's coordinates start at the centre of the first pixel, not at its corner.
    shift = (0.5 - low) * zoom - 0.5
    matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]], np.float64)
    size = (fine * side, fine * side)
    cut = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border or 0)
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
