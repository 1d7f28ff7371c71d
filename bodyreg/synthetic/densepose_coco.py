"""Write made people as a DensePose-COCO file. Equal people give equal bytes."""

from __future__ import annotations

import json
import os
from typing import Any

import cv2
import numpy as np

from bodyreg.data.densepose_coco import BOX_UNITS, COARSE_PARTS, KEYPOINTS
from bodyreg.files import atomic_path
from bodyreg.synthetic.dataset import Picture
from bodyreg.synthetic.observe import Annotation

# COCO's skeleton, pairs of keypoint numbers from 1.
SKELETON = [
    [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9],
    [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
]  # fmt: skip


def write_densepose_coco(
    path: str | os.PathLike, pictures: list[Picture], charts: str, **facts: str | int | None
) -> None:
    """Write annotations in DensePose-COCO's layout; ids count from 1.

    Args:
        path: The JSON file.
        pictures: Pictures and their people.
        charts: Name of the charts that dp_I, dp_U and dp_V refer to.
        **facts: What made it; kept in `info`.

    Raises:
        UserError: the file cannot be written.
    """
    annotations: list[dict[str, Any]] = []
    for picture in pictures:
        for annotation in picture.annotations:
            annotations.append(_annotation(annotation, picture, len(annotations) + 1))
    content = {
        "info": {"description": "people made by bodyreg", "charts": charts, **facts},
        "images": [{"id": p.id, "width": p.width, "height": p.height} for p in pictures],
        "annotations": annotations,
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(KEYPOINTS),
                "skeleton": SKELETON,
            }
        ],
        "licenses": [],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _annotation(person: Annotation, picture: Picture, number: int) -> dict[str, Any]:
    silhouette = _silhouette(person, picture)
    segmentation = _run_lengths(silhouette)
    dp_xy = (person.point_xy - person.box[:2]) / person.box[2:] * BOX_UNITS
    parts = [person.part_picture == part for part in range(1, COARSE_PARTS + 1)]
    return {
        "id": number,
        "image_id": picture.id,
        "category_id": 1,
        "bbox": _rounded(person.box, 4),
        "area": int(silhouette.sum()),
        "iscrowd": 0,
        "segmentation": segmentation,
        "num_keypoints": len(person.keypoints),
        "keypoints": _rounded(person.keypoints, 3),
        "keypoint_depths": _rounded(person.depths, 5),
        "dp_x": _rounded(dp_xy[:, 0], 3),
        "dp_y": _rounded(dp_xy[:, 1], 3),
        "dp_I": person.point_part.tolist(),
        "dp_U": _rounded(person.point_uv[:, 0], 6),
        "dp_V": _rounded(person.point_uv[:, 1], 6),
        "dp_masks": [_run_lengths(part) if part.any() else [] for part in parts],
    }


def _silhouette(person: Annotation, picture: Picture) -> np.ndarray:
    """(height, width) bool, the box's picture put back where it was."""
    x, y, width, height = person.box / [1, 1, BOX_UNITS, BOX_UNITS]
    placed = cv2.warpAffine(
        (person.part_picture > 0).astype(np.uint8),
        np.array([[width, 0, x], [0, height, y]]),
        (picture.width, picture.height),
        flags=cv2.INTER_NEAREST,
    )
    return placed > 0


def _run_lengths(picture: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask

    code = mask.encode(np.asfortranarray(picture, np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return np.round(np.asarray(values, np.float64).reshape(-1), digits).tolist()
