"""People as detectors of keypoints write them, whatever the format.

A format's module makes `Detection`s of what a file holds: picture pixels, in the order of the file.
The number of joints tells the skeleton (`LAYOUTS`), and so what the joints mean.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.coco import FROM_INDEX
from bodyreg.data.frames import NOT_SPREAD_OUT, boxes_of_points, frames_of_boxes, spread_out
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    COCO_18,
    HALPE_26,
    MPII_16,
    WHOLE_BODY_23,
    Skeleton,
)
from bodyreg.errors import UserError
from bodyreg.files import is_file, path_inside
from bodyreg.pictures import pictures_by_number, pictures_by_stem, read_size

_SKELETONS = (COCO_17, COCO_18, BODY_25, HALPE_26, WHOLE_BODY_23, MPII_16, BLAZEPOSE_33)
_FOLLOWED = {68: HALPE_26, 133: WHOLE_BODY_23, 136: HALPE_26}

LAYOUTS: dict[int, Skeleton] = {len(skeleton): skeleton for skeleton in _SKELETONS} | _FOLLOWED
"""How many joints a file has -> those that are read, its first ones; face and hands follow them."""

LEAST_SCORE = 0.3
"""Of a person; people below are left out, as MMPose does by default."""

UNKNOWN = Camera()

LOW_SCORE = f"a score below {LEAST_SCORE:g}"


@dataclass(frozen=True, eq=False)
class Detection:
    """One person of a file; J keypoints.

    Attributes:
        rows: (J, 3) x, y, confidence, picture pixels; 0 where absent.
        picture: The picture's file; "" if not known.
        id: The person's number; None if the file has none.
        place: Its number in the file, from 0, if the file also has people who are left out.
        box: (4,) x, y, width, height, if the frame is round this box and not that of the keypoints.
        camera: What is known of the picture's camera.
        depths: (J, 2) depths relative to the pelvis, toward the viewer, and their standard
            deviations, picture pixels. Or None.
    """

    rows: np.ndarray
    picture: str = ""
    id: int | None = None
    place: int | None = None
    box: np.ndarray | None = None
    camera: Camera = UNKNOWN
    depths: np.ndarray | None = None


class Pictures:
    """Finds the pictures that files of detectors are about.

    Args:
        images: Their folder. Without it pictures are known only by the names that files give. Or
            one picture, where people of others do not matter: then these need not be there.

    Attributes:
        folder: Their folder, if it is known.
    """

    def __init__(self, images: str | os.PathLike | None) -> None:
        path = None if images is None else Path(images)
        self._one = path if path is not None and is_file(path) else None
        self.folder = path if self._one is None else self._one.parent
        self._by_stem = {} if self.folder is None else pictures_by_stem(self.folder)
        self._by_number = {} if self.folder is None else pictures_by_number(self.folder)

    def of_stem(self, stem: str) -> str:
        """The picture with this name, without suffix; "" if no folder is known.

        Raises:
            UserError: the folder has no such picture, and it must be there.
        """
        if self.folder is None:
            return ""
        if stem in self._by_stem or self._one is not None:
            return self._by_stem.get(stem, stem)
        raise UserError(f"{self.folder}: no picture {stem} (.jpg, .png ...) in this folder")

    def of_number(self, number: int, where: str) -> str:
        """The picture whose name ends with this number; "" if no folder is known.

        Raises:
            UserError: the folder has no such picture, and it must be there.
        """
        if self.folder is None:
            return ""
        if number in self._by_number or self._one is not None:
            return self._by_number.get(number, str(number))
        raise UserError(
            f"{where}: no picture in {self.folder} has a name that ends with its image_id, {number}"
        )

    def size(self, name: str, where: str) -> tuple[int, int] | None:
        """Width and height of a picture; None if no folder is known, or only another one matters.

        Raises:
            UserError: the name leads out of the folder, or no readable picture has it.
        """
        if self.folder is None:
            return None
        if self._one is not None:
            return read_size(self._one) if PureWindowsPath(name).name == self._one.name else None
        path = path_inside(self.folder, name, f"{self.folder}: a picture's name")
        if not is_file(path):
            raise UserError(f"{where}: no picture '{name}' in {self.folder}")
        return read_size(path)


def layout(joints: int, where: str) -> Skeleton:
    """The skeleton of people with this number of joints.

    Raises:
        UserError: no known skeleton has it.
    """
    if joints not in LAYOUTS:
        known = ", ".join(map(str, sorted(LAYOUTS)))
        raise UserError(f"{where}: has {joints} keypoints; skeletons of {known} are known")
    return LAYOUTS[joints]


def checked_rows(rows: np.ndarray, where: str) -> np.ndarray:
    """(J, 3) x, y, confidence with zeros where absent: no confidence, or none above 0.

    Raises:
        UserError: a present keypoint is not finite.
    """
    rows = np.array(rows, np.float64)
    rows[~(rows[:, 2] > 0)] = 0
    if not np.isfinite(rows).all():
        raise UserError(f"{where}: a keypoint is not finite")
    return rows


def from_indices(rows: np.ndarray) -> np.ndarray:
    """Rows (J, 3) in indices of pixels -> in picture pixels; absent ones stay 0.

    Networks that learn COCO's keypoints count pixels as these do.
    """
    shift = np.where(rows[:, 2:] > 0, FROM_INDEX, 0)
    return np.column_stack([rows[:, :2] + shift, rows[:, 2]])


def pixels_per_metre(rows: np.ndarray, world: np.ndarray) -> float:
    """The scale of least squares from metres (J, 3) to pixels (J, 3), weighed by confidence."""
    weight = rows[:, 2:]
    if not weight.any():
        return np.nan
    pixels, metres = (
        xy - (weight * xy).sum(0) / weight.sum() for xy in (rows[:, :2], world[:, :2])
    )
    return (weight * pixels * metres).sum() / max((weight * metres**2).sum(), 1e-12)


def observations_of(
    people: Sequence[Detection], skeleton: Skeleton, source: str
) -> tuple[Observations, Counter[str]]:
    """The people of a file or folder as observations.

    A person without an id has its place in the list, from 0.

    Args:
        people: Them all, also those without keypoints.
        skeleton: Of their first joints; rows behind them are left out.
        source: The file or folder, for messages.

    Returns:
        The observations, and how many people were left out: those whose keypoints are not in two
        places.

    Raises:
        UserError: as `Observations.check`.
    """
    joints = list(skeleton.evidence)
    rows = np.array([person.rows[joints] for person in people]).reshape(-1, len(joints), 3)
    kept = np.flatnonzero(spread_out(rows[..., :2], rows[..., 2] > 0))
    chosen = [people[place] for place in kept.tolist()]
    xy, weight = rows[kept, :, :2], rows[kept, :, 2]
    observations = Observations.of_keypoints(
        skeleton.evidence_keypoints,
        xy,
        weight,
        id=np.array(
            [place if p.id is None else p.id for place, p in zip(kept, chosen, strict=True)],
            np.int64,
        ),
        frame=_frames(chosen, xy, weight),
        picture=_pictures(chosen),
        **arrays_of([person.camera for person in chosen]),
    )
    if any(person.depths is not None for person in chosen):
        absent = np.full((len(skeleton), 2), np.nan)
        depths = np.array([absent if p.depths is None else p.depths for p in chosen])[:, joints]
        in_frame = depths / observations.frame[:, None, 2:]
        observations = observations.with_depths(in_frame[..., 0], in_frame[..., 1])
    observations.check(source=source)
    return observations, +Counter({NOT_SPREAD_OUT: len(people) - len(kept)})


def _frames(people: Sequence[Detection], xy: np.ndarray, weight: np.ndarray) -> np.ndarray:
    boxes = boxes_of_points(xy, weight > 0)
    for place, person in enumerate(people):
        if person.box is not None:
            boxes[place] = person.box
    return frames_of_boxes(boxes)


def _pictures(people: Sequence[Detection]) -> Any:
    if not any(person.picture for person in people):
        return None
    return np.array([person.picture for person in people], np.str_)
