"""People who are only known to be in a box of a picture, or to be what a whole picture shows.

They have a frame and no evidence: a network can see them, and no registration can fit them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.coco import (
    CROWD,
    NO_PERSON,
    PERSON,
    box_of,
    camera_of,
    index_coco,
    is_person,
    people_categories,
)
from bodyreg.data.frames import frames_of_boxes
from bodyreg.data.json_files import flag, integer, load_json, numbers
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.pictures import picture_names, pictures_by_number, read_size

LEAST_SCORE = 0.5
"""Of a detector's box; boxes below are left out."""

LOW_SCORE = f"a score below {LEAST_SCORE:g}"


def unreadable(name: str) -> str:
    """Why a person is left out whose picture cannot be read."""
    return f"unreadable picture {name}"


class Boxed(NamedTuple):
    """A person in a box.

    Attributes:
        id: The person's number.
        box: (4,) x, y, width, height in picture pixels.
        picture: The picture's file; "" if not known.
        camera: What is known of its camera.
    """

    id: int
    box: np.ndarray
    picture: str
    camera: Camera


def read_boxes(
    path: str | os.PathLike, images: str | os.PathLike | None = None
) -> tuple[Observations, Counter[str]]:
    """Read the boxes of people of a COCO file: annotations, or a detector's results.

    The frame is the square round the box, as for DensePose-COCO. Of annotations, an observation's
    id is the annotation's; of results, which have none, it is the place in the list. Results name
    pictures by a number, with which a picture's file name ends: 000000000139.jpg is number 139.

    Args:
        path: The JSON file.
        images: The folder of the pictures, in which those of results are found.

    Returns:
        People without evidence, and how many boxes were left out by reason: crowds, other
        categories than "person", scores below `LEAST_SCORE`.

    Raises:
        UserError: the file is no such file, or a box is wrong; the message names it. Or a result's
            picture is not in the folder.
    """
    found, skipped = boxed_people(path, images)
    boxes = np.array([person.box for person in found]).reshape(-1, 4)
    return _observations(found, frames_of_boxes(boxes), str(path)), skipped


def read_pictures(
    folder: str | os.PathLike, names: Sequence[str] = ()
) -> tuple[Observations, Counter[str]]:
    """Take every picture of a folder to show one person, who fills it.

    The frame is the square round the picture. Ids are 0, 1, 2 ... in the order of the names.

    Args:
        folder: The pictures.
        names: Those that are read; all if left out.

    Returns:
        People without evidence, and the pictures that cannot be read, by reason.

    Raises:
        UserError: there is no such folder, or it has no pictures.
    """
    found, skipped = whole_pictures(folder, names)
    sizes = np.array([person.box[2:] for person in found]).reshape(-1, 2)
    frames = np.column_stack([sizes / 2, sizes.max(axis=1) / 2])
    return _observations(found, frames, str(folder)), skipped


def boxed_people(
    path: str | os.PathLike, images: str | os.PathLike | None = None
) -> tuple[list[Boxed], Counter[str]]:
    """The people in the boxes of a file; arguments, numbers left out and errors of `read_boxes`."""
    content = load_json(path)
    if isinstance(content, list):
        return _of_results(content, path, images)
    coco = index_coco(content, path)
    people = people_categories(coco, path)
    found, skipped = [], Counter[str]()
    for annotation in coco.anns.values():
        where = f"{path}: annotation {annotation['id']}"
        if flag(annotation.get("iscrowd"), "iscrowd", where):
            skipped[CROWD] += 1
        elif not is_person(annotation, people, where):
            skipped[NO_PERSON] += 1
        else:
            image = coco.imgs.get(annotation["image_id"], {})
            name = str(image.get("file_name") or "")
            camera = camera_of(image, f"{path}: image {annotation['image_id']}")
            found.append(Boxed(annotation["id"], box_of(annotation, where), name, camera))
    return found, skipped


def whole_pictures(
    folder: str | os.PathLike, names: Sequence[str] = ()
) -> tuple[list[Boxed], Counter[str]]:
    """A person in each picture; arguments, numbers left out and errors of `read_pictures`."""
    chosen = list(names) or picture_names(folder)
    if not chosen:
        raise UserError(f"{folder}: no pictures in this folder")
    found, skipped = [], Counter[str]()
    for number, name in enumerate(chosen):
        try:
            width, height = read_size(Path(folder) / name)
        except UserError:
            skipped[unreadable(name)] += 1
            continue
        box = np.array([0, 0, width, height], np.float64)
        found.append(Boxed(number, box, name, Camera(picture_size=(width, height))))
    return found, skipped


def _of_results(
    content: list[Any], path: str | os.PathLike, images: str | os.PathLike | None
) -> tuple[list[Boxed], Counter[str]]:
    pictures = {} if images is None else pictures_by_number(images)
    found, skipped = [], Counter[str]()
    for place, result in enumerate(content):
        where = f"{path}: [{place}]"
        if not isinstance(result, dict):
            raise UserError(f"{where} is not an object; expected COCO's annotations or results")
        if not is_person(result, {PERSON}, where):
            skipped[NO_PERSON] += 1
            continue
        if numbers({"score": [result.get("score", 1)]}, "score", where, 1)[0] < LEAST_SCORE:
            skipped[LOW_SCORE] += 1
            continue
        number = integer(result.get("image_id"), "image_id", where)
        if number not in pictures:
            raise UserError(
                f"{where}: no picture in {images or 'a folder'} has a name that ends with its "
                f"image_id, {number}"
            )
        found.append(Boxed(place, box_of(result, where), pictures[number], Camera()))
    return found, skipped


def _observations(people: list[Boxed], frames: np.ndarray, source: str) -> Observations:
    """People without evidence in these frames (N, 3)."""
    count = len(people)
    cameras: dict[str, Any] = arrays_of([person.camera for person in people])
    observations = Observations.of_keypoints(
        (),
        np.zeros((count, 0, 2)),
        np.zeros((count, 0)),
        id=np.array([person.id for person in people], np.int64),
        frame=frames,
        picture=np.array([person.picture for person in people], np.str_),
        **cameras,
    )
    observations.check(source=source)
    return observations
