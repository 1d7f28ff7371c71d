"""The ground behind a body in its frame: the picture, the annotator's masks, or nothing."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.crops import crop, picture_crops
from bodyreg.data.densepose_coco import decode_part_masks, load_coco
from bodyreg.data.frames import corners
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.data import Observations

# Blue, green, red.
GROUND = (236, 232, 228)
SILHOUETTE = (214, 206, 200)

TILE = 240


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
    crops = picture_crops(folder, people, side, GROUND)
    return [plain_ground(side) if found is None else found for found in crops]


def readable_grounds(
    folder: str | os.PathLike, people: Observations, side: int = TILE
) -> tuple[list[np.ndarray], list[str]]:
    """As `picture_grounds`, with a plain ground also for a picture that cannot be read.

    Returns:
        The grounds; and for each person whose picture cannot be read, why.
    """
    names = [""] * len(people) if people.picture is None else people.picture.tolist()
    grounds: list[np.ndarray] = []
    unread: list[str] = []
    # People of one picture together, so that it is read once.
    for _, group in groupby(range(len(people)), key=names.__getitem__):
        rows = list(group)
        try:
            grounds += picture_grounds(folder, people.select(rows), side)
        except UserError as error:
            grounds += [plain_ground(side)] * len(rows)
            unread += [str(error)] * len(rows)
    return grounds, unread
