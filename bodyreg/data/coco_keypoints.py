"""Keypoints in COCO's JSON: annotations of people, and results of detectors.

Results are a list of people: `image_id`, `keypoints` (x, y, confidence, x ...), `score`. MMPose
and AlphaPose write such lists too; AlphaPose names pictures in `image_id`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bodyreg.data.coco import (
    CROWD,
    NO_PERSON,
    KeypointOrders,
    box_of,
    camera_of,
    index_coco,
    is_person,
    people_categories,
)
from bodyreg.data.detections import (
    LEAST_SCORE,
    LOW_SCORE,
    Detection,
    Pictures,
    from_indices,
)
from bodyreg.data.json_files import flag, integer, keypoint_rows, numbers
from bodyreg.errors import UserError


def annotated_people(content: dict[str, Any], path: str) -> tuple[list[Detection], Counter[str]]:
    """The people of a COCO file's annotations, in the order of COCO-17; their boxes are frames.

    Args:
        content: What the file holds.
        path: The file, for messages.

    Returns:
        The people, and how many annotations were left out, by reason.

    Raises:
        UserError: the file is damaged; the message says where.
    """
    coco = index_coco(content, path)
    orders, categories = KeypointOrders(coco, path), people_categories(coco, path)
    found, skipped = [], Counter[str]()
    for annotation in coco.anns.values():
        where = f"{path}: annotation {annotation['id']}"
        if flag(annotation.get("iscrowd"), "iscrowd", where):
            skipped[CROWD] += 1
            continue
        if not is_person(annotation, categories, where):
            skipped[NO_PERSON] += 1
            continue
        image = coco.imgs.get(annotation["image_id"], {})
        rows = orders.rows(annotation, where)
        rows[:, 2] = rows[:, 2] > 0  # 1 is hidden, 2 is visible: both are marked
        found.append(
            Detection(
                rows=from_indices(rows),
                picture=str(image.get("file_name") or ""),
                id=annotation["id"],
                box=box_of(annotation, where) if annotation.get("bbox") is not None else None,
                camera=camera_of(image, f"{path}: image {annotation['image_id']}"),
            )
        )
    return found, skipped


def people_of_results(
    content: list[Any], path: str, pictures: Pictures
) -> tuple[list[Detection], Counter[str]]:
    """The people of a list of results, in the order of the list.

    `image_id` is the picture's number, with which its name ends, or its name.

    Args:
        content: What the file holds.
        path: The file, for messages.
        pictures: Where pictures are found by number.

    Returns:
        The people, and how many of them were left out, by reason.

    Raises:
        UserError: the file is damaged, or the folder lacks a picture; the message says where.
    """
    found, skipped = [], Counter[str]()
    for place, item in enumerate(content):
        where = f"{path}: [{place}]"
        if not isinstance(item, dict):
            raise UserError(f"{where} is not an object; expected results with 'keypoints'")
        if not is_person(item, {1}, where):
            skipped[NO_PERSON] += 1
            continue
        if numbers({"score": [item.get("score", 1)]}, "score", where, 1)[0] < LEAST_SCORE:
            skipped[LOW_SCORE] += 1
            continue
        rows = from_indices(keypoint_rows(item, "keypoints", where))
        picture = _picture(item.get("image_id"), where, pictures)
        found.append(Detection(rows=rows, picture=picture, place=place))
    return found, skipped


def _picture(name: Any, where: str, pictures: Pictures) -> str:
    if isinstance(name, str):
        return name
    return pictures.of_number(integer(name, "image_id", where), where)
