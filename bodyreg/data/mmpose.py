"""MMPose's predictions: keypoints of people, in one JSON file for each picture, or for a video.

- `MMPoseInferencer` writes NAME.json: a list of people; of a video, a list of {frame_id,
  instances}.
- The demos write results_NAME.json: {meta_info, instance_info}, the second of them such a list.

A person has `keypoints` [[x, y], ...] and `keypoint_scores`. MMPose's results for COCO's evaluation
are a list of results as in `bodyreg.data.coco_keypoints`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.detections import (
    LEAST_SCORE,
    LOW_SCORE,
    Detection,
    Pictures,
    checked_rows,
    from_indices,
)
from bodyreg.data.json_files import numbers
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError

PREFIX = "results_"
"""Of the names that the demos give to files."""


def is_mmpose(content: Any) -> bool:
    """Whether the content of a file is MMPose's."""
    if isinstance(content, dict):
        return "instance_info" in content
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and ("keypoint_scores" in first or "instances" in first)


def mmpose_people(
    content: Any, path: Path, pictures: Pictures
) -> tuple[list[Detection], Counter[str]]:
    """The people of a file, in its order.

    Args:
        content: What the file holds.
        path: The file; its name is the picture's.
        pictures: Where the picture is found.

    Returns:
        The people, and how many of them were left out, by reason.

    Raises:
        UserError: the file is damaged, has other keypoints than known ones, or is of a video and
            a folder of pictures is given: frames have no names.
    """
    items, name = content, path.stem
    if isinstance(content, dict):  # of a demo
        _check_names(content.get("meta_info"), path)
        items, name = content["instance_info"], name.removeprefix(PREFIX)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UserError(f"{path}: expected a list of people with 'keypoints'")
    if any("instances" in item for item in items):
        items = _of_frames(items, path, pictures)
        picture = ""
    else:
        picture = pictures.of_stem(name)
    found, skipped = [], Counter[str]()
    for number, item in enumerate(items):
        where = f"{path}: person {number}"
        if numbers({"score": [item.get("bbox_score", 1)]}, "score", where, 1)[0] < LEAST_SCORE:
            skipped[LOW_SCORE] += 1
            continue
        found.append(Detection(rows=_rows(item, where), picture=picture, place=number))
    return found, skipped


def _of_frames(items: list[dict[str, Any]], path: Path, pictures: Pictures) -> list[dict[str, Any]]:
    if pictures.folder is not None:
        raise UserError(f"{path}: is of a video, whose frames have no names; omit --images")
    people = []
    for place, item in enumerate(items):
        instances = item.get("instances")
        if not isinstance(instances, list) or not all(isinstance(p, dict) for p in instances):
            raise UserError(f"{path}: [{place}]: instances is not a list of people")
        people += instances
    return people


def _rows(item: dict[str, Any], where: str) -> np.ndarray:
    points = item.get("keypoints")
    if not isinstance(points, list):
        raise UserError(f"{where}: keypoints is missing or not a list")
    xy = [numbers({"keypoints": point}, "keypoints", where, 2, absent=True) for point in points]
    scores = numbers(item, "keypoint_scores", where, len(points), absent=True)
    rows = np.column_stack([np.array(xy).reshape(-1, 2), scores])
    return from_indices(checked_rows(rows, where))


def _check_names(facts: Any, path: Path) -> None:
    """Refuse keypoints that are as many as COCO's and are not COCO's: of animals, of Human3.6M."""
    names = facts.get("keypoint_id2name") if isinstance(facts, dict) else None
    if not isinstance(names, dict) or len(names) != len(COCO_17):
        return
    ours = [re.sub(r"\W+", "_", str(names.get(str(n), "")).lower()) for n in range(len(names))]
    if ours != list(COCO_17.joints):
        raise UserError(f"{path}: its 17 keypoints are not COCO's: '{ours[0]}', '{ours[1]}' ...")
