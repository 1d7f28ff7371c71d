"""Folders of DeepFashion and Market-1501 as appearance flow uses them, people in several poses.

    Img (Images in Market-1501)/img/ID.jpg    pictures
    Img (Images)/seg/ID.bmp                   parts, 0 background to 6 right leg
    Label/pose_label.pkl                      ID -> 18 joints of OpenPose as [x, y]; -1: absent
    Label/pair_split.json                     {"train": [[source, target], ...], "test": ...}
    Label/pose_label_adapt.pkl                joints of bodies fitted to the pictures, likewise
    Label/pair_split_clean.json               the pairs that these are good enough for
    3d/hmr/corr/TARGET_SOURCE.corr            where the target's pixels are in the source

The pickle is of Python 2. Its coordinates count from the centre of the first pixel, which is at
(0.5, 0.5) here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.frames import NOT_SPREAD_OUT, spread_out
from bodyreg.data.observations import Observations
from bodyreg.data.pairs import Pairs, read_pairs
from bodyreg.data.skeletons import COCO_18
from bodyreg.errors import UserError
from bodyreg.files import is_folder, path_inside
from bodyreg.pickles import load_objects

LABELS = ("Label/pose_label.pkl", "Label/pair_split.json")
ADAPTED_LABELS = ("Label/pose_label_adapt.pkl", "Label/pair_split_clean.json")
FROM_CENTRE = 0.5
ABSENT = -1
# No joint is so many pixels away.
FARTHEST = 1e6

PARTS = {
    1: (12, 15), 2: (0, 3, 6, 9), 3: (13, 16, 18, 20, 22), 4: (14, 17, 19, 21, 23),
    5: (1, 4, 7, 10), 6: (2, 5, 8, 11),
}  # fmt: skip
"""Label of head, torso, left arm, right arm, left leg, right leg -> joints."""


@dataclass(eq=False)
class PosePairs:
    """Pictures of people, one person in each, and pairs of the same person.

    Attributes:
        folder: Of the data set.
        pictures: Name of the folder of pictures in it.
        ids: N names of pictures.
        joints: (N, 18, 2) float32 in COCO-18's order, picture pixels; NaN where absent.
        pairs: Name of a split -> (P, 2) int64 positions in `ids`: source, target.
    """

    folder: Path
    pictures: str
    ids: tuple[str, ...]
    joints: np.ndarray
    pairs: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def picture(self, number: int) -> Path:
        """The file of a picture."""
        return self._path(f"{self.pictures}/img", f"{self.ids[number]}.jpg")

    def parts(self, number: int) -> Path:
        """The file of a picture's parts."""
        return self._path(f"{self.pictures}/seg", f"{self.ids[number]}.bmp")

    def corr(self, source: int, target: int) -> Path:
        """The file that says where the target's pixels are in the source."""
        return self._path("3d/hmr/corr", f"{self.ids[target]}_{self.ids[source]}.corr")

    def observations(self) -> tuple[Observations, Counter[str]]:
        """The people as keypoints only; their ids are positions in `ids`.

        Returns:
            The observations, and how many people were skipped by reason.
        """
        columns = list(COCO_18.evidence)
        joints = self.joints[:, columns]
        present = ~np.isnan(joints).any(2)
        kept = np.flatnonzero(spread_out(joints, present))
        observations = Observations.of_keypoints(
            COCO_18.evidence_keypoints,
            joints[kept],
            present[kept],
            id=kept,
            picture=np.array([f"{self.ids[number]}.jpg" for number in kept], np.str_),
        )
        observations.check(source=str(self.folder))
        return observations, +Counter({NOT_SPREAD_OUT: len(self) - len(kept)})

    def _path(self, folder: str, name: str) -> Path:
        return path_inside(self.folder / folder, name, f"{self.folder}: a picture's name")


def read_deepfashion(folder: str | os.PathLike, *, adapted: bool = False) -> PosePairs:
    """Read the labels of DeepFashion's folder.

    Args:
        folder: The data set's.
        adapted: Read the joints of fitted bodies and their pairs, from which flow is learned.

    Raises:
        UserError: a label file is missing or damaged, or names a picture that is not there; the
            message says which.
    """
    return _read(Path(folder), "Img", ADAPTED_LABELS if adapted else LABELS)


def read_market1501(folder: str | os.PathLike) -> PosePairs:
    """Read the labels of Market-1501's folder, as `read_deepfashion`."""
    return _read(Path(folder), "Images", LABELS)


def read_pose_pairs(folder: str | os.PathLike) -> PosePairs:
    """Read DeepFashion's or Market-1501's folder; the name of its folder of pictures tells which.

    Raises:
        UserError: it is neither, or as `read_deepfashion`.
    """
    for read, pictures in ((read_deepfashion, "Img"), (read_market1501, "Images")):
        if is_folder(Path(folder) / pictures):
            return read(folder)
    raise UserError(
        f"{folder}: holds neither Img (DeepFashion) nor Images (Market-1501); name the folder that "
        "holds them beside Label"
    )


def _read(folder: Path, pictures: str, files: tuple[str, str]) -> PosePairs:
    path = folder / files[0]
    labels = load_objects(path, kind="pose label")
    if not isinstance(labels, dict) or not labels:
        raise UserError(f"{path}: expected a dictionary from names of pictures to joints")
    ids = tuple(labels)
    for name in ids:
        if not isinstance(name, str):
            raise UserError(f"{path}: {name!r} is not the name of a picture")
        path_inside(folder / pictures, name, str(path))
    joints = np.array([_joints(labels[name], f"{path}: '{name}'") for name in ids], np.float32)
    return PosePairs(folder, pictures, ids, joints, _pairs(folder / files[1], ids))


def _joints(value: Any, where: str) -> np.ndarray:
    try:
        joints = np.array(value, np.float64)
    except (TypeError, ValueError):
        joints = np.zeros(0)
    if joints.shape != (len(COCO_18), 2) or (np.abs(joints) > FARTHEST).any():
        raise UserError(f"{where}: expected {len(COCO_18)} joints [x, y]")
    absent = ((joints == ABSENT) | np.isnan(joints)).any(1)
    return np.where(absent[:, None], np.nan, joints + FROM_CENTRE)


def _pairs(path: Path, ids: tuple[str, ...]) -> dict[str, np.ndarray]:
    number_of = {name: number for number, name in enumerate(ids)}
    return {
        split: _numbered(pairs, number_of, f"{path}: {split}")
        for split, pairs in read_pairs(path).items()
    }


def _numbered(pairs: Pairs, number_of: Mapping[str, int], where: str) -> np.ndarray:
    numbers = np.empty((len(pairs), 2), np.int64)
    for row, pair in enumerate(pairs):
        for column, name in enumerate(pair):
            if name not in number_of:
                raise UserError(f"{where}[{row}]: '{name}' has no joints among the labels")
            numbers[row, column] = number_of[name]
    return numbers
