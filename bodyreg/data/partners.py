"""Dense points of one source and keypoints of another: which belong to the same person.

Two detectors have looked at the same pictures. Their people are matched picture by picture, by the
overlap of the boxes of what they found.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from bodyreg.data.frames import lengths_in_frame
from bodyreg.data.observation_checks import extents, unknown
from bodyreg.data.observations import OF_KEYPOINTS, Observations
from bodyreg.errors import UserError
from bodyreg.pictures import without_suffix

LEAST_OVERLAP = 0.3
"""Intersection over union of the boxes of one person's points and keypoints, at least. Of made
people in groups it is 0.72 in the median, and 0.39 or less for one in a hundred. Where each
detector misses three people in ten, one match in a thousand is wrong, and none is missed."""

WITHOUT_POINTS = "keypoints without a person with dense points at their place"
"""Why people of the source of keypoints are left out."""


def with_keypoints_of(
    people: Observations, others: Observations, source: str
) -> tuple[Observations, Counter[str]]:
    """People with the keypoints that another detector has found of them.

    People of a picture are matched so that the overlaps of their boxes are largest in sum. A person
    whose box overlaps with no other one enough keeps the points alone.

    Args:
        people: With dense points and without keypoints; they name their pictures.
        others: People of the same pictures with keypoints; dense points of theirs are not used.
        source: The file of `others`, for messages.

    Returns:
        The people, with keypoints and their depths where there are any. What is not known of a
        person's camera is taken of the other. And how many others were left out, by reason.

    Raises:
        UserError: a source does not name its pictures, or the two have no picture in common.
    """
    for observations in (people, others):
        if observations.picture is None and len(observations):
            raise UserError(
                f"{source}: people and keypoints are matched by the names of their pictures, which "
                "one of the files does not tell; give the folder of the pictures (--images)"
            )
    names = [sorted(_rows_by_picture(observations)) for observations in (people, others)]
    if all(names) and not set(names[0]) & set(names[1]):
        raise UserError(
            f"{source}: none of its pictures ({names[1][0]} ...) is one of those with dense points "
            f"({names[0][0]} ...); names must be alike, but for folders and suffixes"
        )
    mine, theirs = matches(people, others)
    count, keypoints = len(people), len(others.keypoint_name)
    values: dict[str, Any] = {"keypoint_name": others.keypoint_name}
    for name in OF_KEYPOINTS:
        array = getattr(others, name)
        if array is None:
            continue
        if name.startswith("keypoint_depth"):  # in the units of another crop
            pixels = array[theirs] * others.frame[theirs, 2:]
            found = lengths_in_frame(pixels, people.frame[mine][:, None])
        else:
            found = array[theirs]
        values[name] = unknown(name, (count, keypoints))
        if name in ("keypoint_xy", "keypoint_weight"):
            values[name][:] = 0
        values[name][mine] = found
    for name in ("focal", "principal_point", "picture_size"):
        own, other = getattr(people, name), getattr(others, name)
        if other is not None:
            filled = unknown(name, (count, keypoints)) if own is None else own.copy()
            absent = filled[mine] == 0 if name == "picture_size" else np.isnan(filled[mine])
            filled[mine] = np.where(absent, other[theirs], filled[mine])
            values[name] = filled
    return replace(people, **values), +Counter({WITHOUT_POINTS: len(others) - len(theirs)})


def matches(people: Observations, others: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Positions of people and of the others that are the same ones: (n,), (n,)."""
    from scipy.optimize import linear_sum_assignment

    boxes = [_boxes(observations) for observations in (people, others)]
    rows = [_rows_by_picture(observations) for observations in (people, others)]
    mine, theirs = [], []
    for picture, own in rows[0].items():
        other = rows[1].get(picture, [])
        overlap = _overlap(boxes[0][own], boxes[1][other])
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[row, column] >= LEAST_OVERLAP:
                mine.append(own[row])
                theirs.append(other[column])
    return np.array(mine, np.int64), np.array(theirs, np.int64)


def _rows_by_picture(observations: Observations) -> dict[str, list[int]]:
    """Name of a picture, without folders and suffix -> the positions of its people.

    Detectors write names in different ways: with the folders of their machine, or with the suffix
    of another copy.
    """
    found: dict[str, list[int]] = defaultdict(list)
    if observations.picture is not None:
        for row, name in enumerate(observations.picture.tolist()):
            if name:
                found[without_suffix(PureWindowsPath(name).name)].append(row)
    return found


def _boxes(observations: Observations) -> np.ndarray:
    """(N, 4) left, upper, right and lower end of each person's points and keypoints."""
    lows, highs = zip(*extents(vars(observations)), strict=True)
    return np.concatenate([np.minimum(*lows), np.maximum(*highs)], axis=1)


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union; 0 of boxes without evidence."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    common = (high - low).clip(min=0).prod(axis=2)
    with np.errstate(invalid="ignore"):
        areas = [(b[:, 2:] - b[:, :2]).clip(min=0).prod(axis=1) for b in (boxes, others)]
    joined = areas[0][:, None] + areas[1] - common
    return np.where(joined > 0, common / np.maximum(joined, 1e-12), 0)
