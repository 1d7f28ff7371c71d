"""DensePose-COCO: one JSON file in COCO's layout with dense points. Same people, same bytes."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np

from bodyreg.data.coco import FROM_INDEX
from bodyreg.data.densepose_coco import BOX_UNITS, KEYPOINTS
from bodyreg.files import atomic_path
from bodyreg.synthetic.dataset import Picture
from bodyreg.synthetic.formats.format import Destination, Recipe, Shot
from bodyreg.synthetic.observe import ABSENT, Annotation, annotate
from bodyreg.synthetic.pieces import Piece, Pieces
from bodyreg.synthetic.scenes.crowd import Crowd

# COCO's skeleton: pairs of keypoint numbers, counted from 1.
SKELETON = [
    [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9],
    [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
]  # fmt: skip


def write_densepose_coco(
    path: str | os.PathLike, pictures: list[Picture], charts: str, **facts: str | int | None
) -> None:
    """Write annotations in DensePose-COCO's layout.

    Args:
        path: The JSON file.
        pictures: Pictures and their people.
        charts: Name of the charts that dp_I, dp_U and dp_V refer to.
        **facts: Provenance, stored in `info`.

    Raises:
        UserError: the file cannot be written.
    """
    content = {
        **head(charts, **facts),
        "images": [image(picture) for picture in pictures],
        "annotations": [annotation(a, p.id) for p in pictures for a in p.annotations],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(compact(content), encoding="utf-8")


def head(charts: str, **facts: str | int | None) -> dict[str, Any]:
    """The file's content besides pictures and people."""
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(KEYPOINTS),
        "skeleton": SKELETON,
    }
    return {
        "info": {"description": "people made by bodyreg", "charts": charts, **facts},
        "licenses": [],
        "categories": [category],
    }


def file_name(number: int) -> str:
    """COCO's file name of a picture."""
    return f"{number:012}.jpg"


def image(picture: Picture) -> dict[str, Any]:
    """The entry of a picture."""
    return {
        "id": picture.id,
        "file_name": file_name(picture.id),
        "camera": {"focal_length": picture.focal if math.isfinite(picture.focal) else "inf"},
        "width": picture.width,
        "height": picture.height,
    }


def annotation(person: Annotation, image_id: int) -> dict[str, Any]:
    """The entry of a person."""
    dp_xy = (person.point_xy - person.box[:2]) / person.box[2:] * BOX_UNITS
    # COCO writes keypoints without a label as (0, 0).
    labelled = person.keypoints[:, 2] != ABSENT
    keypoints = np.where(labelled[:, None], person.keypoints - [FROM_INDEX, FROM_INDEX, 0], 0)
    depths = _rounded(person.depths, 5)
    return {
        "id": person.id,
        "image_id": image_id,
        "category_id": 1,
        "bbox": _rounded(person.box, 4),
        "area": person.area,
        "iscrowd": 0,
        "segmentation": person.segmentation,
        "num_keypoints": int(labelled.sum()),
        "keypoints": _rounded(keypoints, 3),
        "keypoint_depths": [
            depth if there else None for depth, there in zip(depths, labelled, strict=True)
        ],
        "dp_x": _rounded(dp_xy[:, 0], 3),
        "dp_y": _rounded(dp_xy[:, 1], 3),
        "dp_I": person.point_part.tolist(),
        "dp_U": _rounded(person.point_uv[:, 0], 7),
        "dp_V": _rounded(person.point_uv[:, 1], 7),
        "dp_masks": person.part_masks,
    }


def compact(content: Any) -> str:
    """JSON without spaces."""
    return json.dumps(content, separators=(",", ":"))


class DensePoseCoco:
    """densepose.json, and pictures in images/."""

    name = "densepose-coco"

    def scenes(self, recipe: Recipe) -> Crowd:
        """Pictures of a crowd."""
        return Crowd(recipe.people, recipe.seed, recipe.size, recipe.motions, recipe.distance)

    def picture(self, shot: Shot) -> str:
        """The picture's path: images/ and COCO's file name."""
        return f"images/{file_name(shot.scene.number + 1)}"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """No further files."""
        return {}

    def describe(self, shot: Shot) -> Piece:
        """The entries of a picture and of its people."""
        random, noise = shot.random("dense annotations"), shot.recipe.noise
        people = [annotate(shot.body, shot.layout, s, noise, random) for s in shot.sights]
        picture = Picture.of(shot.scene, people)
        entries = [annotation(person, picture.id) for person in people]
        return {
            "coco.images": [compact(image(picture)).encode()],
            "coco.annotations": [compact(entry).encode() for entry in entries],
        }

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write densepose.json, and the truth with the ids of the annotations."""
        with destination.open("densepose.json") as stream:
            start = compact(head(destination.body.charts.name, **destination.facts))
            stream.write(start.removesuffix("}").encode())
            for name in ("images", "annotations"):
                stream.write(f',"{name}":'.encode())
                pieces.write_list(stream, f"coco.{name}")
            stream.write(b"}")
        return destination.save_truth(pieces)


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return np.round(np.asarray(values, np.float64).reshape(-1), digits).tolist()
