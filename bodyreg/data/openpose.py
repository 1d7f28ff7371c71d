"""OpenPose's output: a folder with one JSON file for every picture, NAME_keypoints.json."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.detections import Detection, Pictures, observations_of
from bodyreg.data.json_files import keypoint_rows, load_json
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import BODY_25, COCO_18, Skeleton
from bodyreg.errors import UserError
from bodyreg.files import files_of

SUFFIX = "_keypoints.json"
KEY = "pose_keypoints_2d"
# What versions before 1.3 called it.
OLD_KEY = "pose_keypoints"
LAYOUTS = {len(skeleton): skeleton for skeleton in (BODY_25, COCO_18)}


def read_openpose(
    folder: str | os.PathLike, images: str | os.PathLike | None = None
) -> tuple[Observations, Counter[str]]:
    """Read OpenPose's keypoints; its confidences are the weights, 0 = not found.

    An observation's id is the person's number in all files, in the order of the files' names, from
    0; skipped people count. Frames are round the boxes of the keypoints.

    Args:
        folder: Files NAME_keypoints.json of BODY_25 or of COCO's 18 joints, all of one kind. If it
            has none of this name, all its files *.json. Or such a file, whatever its name.
        images: The folder of the pictures NAME.jpg (.png ...); observations then name them.

    Returns:
        The observations, and how many people were skipped by reason.

    Raises:
        UserError: there is no such file, or a file is damaged or of another kind.
    """
    folder = Path(folder)
    paths = openpose_files(folder)
    if not paths:
        raise UserError(f"{folder}: no file *{SUFFIX} or *.json of OpenPose in this folder")
    found: list[np.ndarray | None] = []
    names: list[str] = []
    skeleton: Skeleton | None = None
    pictures = Pictures(images)
    for path in paths:
        stem = path.name[: -len(SUFFIX)] if path.name.lower().endswith(SUFFIX) else path.stem
        picture = pictures.of_stem(stem)
        for number, person in enumerate(_people(path)):
            where = f"{path}: person {number}"
            names.append(picture)
            key = OLD_KEY if OLD_KEY in person else KEY
            if key in person and not person[key]:  # null or empty: a face or a hand alone
                found.append(None)
                continue
            rows = keypoint_rows(person, key, where)
            layout = LAYOUTS.get(len(rows))
            if layout is None or layout is not (skeleton or layout):
                counts = list(LAYOUTS) if skeleton is None else [len(skeleton)]
                wanted = " or ".join(str(3 * joints) for joints in counts)
                raise UserError(f"{where}: {key} has {rows.size} numbers, expected {wanted}")
            skeleton = layout
            found.append(rows)

    skeleton = skeleton or BODY_25
    nothing = np.zeros((len(skeleton), 3))
    people = [
        Detection(nothing if rows is None else rows, picture)
        for rows, picture in zip(found, names, strict=True)
    ]
    return observations_of(people, skeleton, str(folder))


def openpose_files(folder: Path) -> list[Path]:
    """OpenPose's files in a folder, in the order of their names; a file is itself.

    Raises:
        UserError: the folder cannot be read.
    """
    files = files_of(folder, (".json",))
    return [path for path in files if path.name.lower().endswith(SUFFIX)] or files


def _people(path: Path) -> list[dict[str, Any]]:
    content = load_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise UserError(f"{path}: expected an object with a list of 'people'")
    return people
