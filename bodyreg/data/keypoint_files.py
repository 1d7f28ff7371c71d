"""Files of keypoints, whatever wrote them: the content of a file tells its format."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.alphapose import alphapose_people, is_alphapose
from bodyreg.data.blazepose import blazepose_people, is_blazepose
from bodyreg.data.coco_keypoints import annotated_people, people_of_results
from bodyreg.data.detections import Detection, Pictures, layout, observations_of
from bodyreg.data.json_files import load_json
from bodyreg.data.mmpose import is_mmpose, mmpose_people
from bodyreg.data.observations import Observations
from bodyreg.data.sam3d import sam3d_people
from bodyreg.data.skeletons import COCO_17, Skeleton
from bodyreg.errors import UserError
from bodyreg.files import files_of, first_bytes
from bodyreg.npz import ZIP


def read_keypoints(
    path: str | os.PathLike, images: str | os.PathLike | None = None
) -> tuple[Observations, Counter[str]]:
    """Read keypoints of COCO, MMPose, AlphaPose and BlazePose; confidences are the weights.

    COCO's annotations and results; MMPose's predictions; AlphaPose's results in all its forms;
    BlazePose's landmarks, with their depths; SAM 3D Body's keypoints, with theirs
    (docs/formats.md). The number of joints tells the skeleton.

    Args:
        path: A JSON file, or an .npz file of SAM 3D Body; or a folder of them: one for each
            picture, named as the picture.
        images: The folder of the pictures. Needed where a file tells them by number (then
            observations name them), or tells places as shares of a picture whose size it lacks.

    Returns:
        The observations, and how many people were left out, by reason. The id of a person is its
        annotation's; of other files it is the person's number in all files, in the order of their
        names, from 0; people who are left out count.

    Raises:
        UserError: the file is none of these, is damaged, or mixes skeletons; several files of the
            folder have an annotation of the same id; or the folder lacks a picture that the file
            names by number or by its own name.
    """
    path, pictures = Path(path), Pictures(images)
    people: list[Detection] = []
    before = 0  # people of the files before
    skipped = Counter[str]()
    skeleton: Skeleton | None = None
    for file in keypoint_files(path):
        found, left_out = _people(file, pictures)
        skipped += left_out
        for person in found:
            own = layout(len(person.rows), str(file))
            if skeleton is not None and own is not skeleton:
                raise UserError(
                    f"{file}: has people of {own.name}, and others of {skeleton.name}; register "
                    "them one after the other"
                )
            skeleton = own
        for number, person in enumerate(found):
            place = number if person.place is None else person.place
            people.append(person if person.id is not None else replace(person, id=before + place))
        before += len(found) + left_out.total()
    observations, one_place = observations_of(people, skeleton or COCO_17, str(path))
    ids, counts = np.unique(observations.id, return_counts=True)
    if (counts > 1).any():
        raise UserError(
            f"{path}: several files have a person {ids[counts.argmax()]}; register the files one "
            "after the other"
        )
    return observations, skipped + one_place


def keypoint_files(path: Path) -> list[Path]:
    """The JSON files of a folder, in the order of their names; a file is itself.

    Raises:
        UserError: the folder cannot be read, or has none.
    """
    files = files_of(path, (".json", ".npz"))
    if not files:
        raise UserError(f"{path}: no .json file of keypoints, nor .npz, in this folder")
    return files


def _people(path: Path, pictures: Pictures) -> tuple[list[Detection], Counter[str]]:
    if first_bytes(path, "keypoints").startswith(ZIP):
        return sam3d_people(path, pictures), Counter()
    content: Any = load_json(path)
    if is_mmpose(content):
        return mmpose_people(content, path, pictures)
    if is_alphapose(content):
        return alphapose_people(content, path, pictures), Counter()
    if is_blazepose(content):
        return blazepose_people(content, path, pictures), Counter()
    if isinstance(content, list):
        return people_of_results(content, str(path), pictures)
    if isinstance(content, dict) and "annotations" in content:
        return annotated_people(content, str(path))
    raise UserError(
        f"{path}: is no known file of keypoints: COCO's annotations or results, MMPose's, "
        "AlphaPose's or BlazePose's (OpenPose's: --openpose)"
    )
