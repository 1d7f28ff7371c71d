"""What pictures show in people's frames."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bodyreg.data.frames import corners
from bodyreg.files import path_inside
from bodyreg.pictures import read_picture

if TYPE_CHECKING:
    from bodyreg.data.observations import Observations

# A crop is drawn at most this many times finer before it is averaged.
FINEST = 8


def picture_crops(
    folder: str | os.PathLike, people: Observations, side: int, border: Sequence[float] = ()
) -> Iterator[np.ndarray | None]:
    """The pictures of people, cropped to their frames; None for an unknown picture.

    Args:
        folder: Has the pictures.
        people: Their frames, and the names of their pictures.
        side: Of the crops, pixels.
        border: The colour outside the pictures; black if left out.

    Yields:
        (side, side, 3) uint8 blue, green, red.

    Raises:
        UserError: a picture cannot be read, or is outside the folder.
    """
    names = [""] * len(people) if people.picture is None else people.picture.tolist()
    last, picture = "", np.zeros((1, 1, 3), np.uint8)
    for number, name, frame in zip(people.id.tolist(), names, people.frame, strict=True):
        if name and name != last:
            kind = f"picture of person {number}"
            picture, last = read_picture(path_inside(folder, name, kind), kind=kind), name
        yield crop(picture, *corners(frame), side, border) if name else None


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
