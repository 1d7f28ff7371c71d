"""What DensePose's networks write of people in charts: detectron2's dumps, and lists of results.

Two kinds of entries are known, in .pkl and .pth files of torch and in JSON alike:

- of a picture (`apply_net.py dump`): file_name, scores, pred_boxes_XYXY, and pred_densepose with an
  entry for each person;
- of a person (DensePose's challenge, detectron2's evaluator): image_id or file_name, bbox, score,
  and the map under one of several names.

A map fills the box of its person. detectron2 writes labels and uv as numbers, or both as 8 bits:
an array (3, H, W), or a PNG picture in base64 with its shape. An entry may name its charts, as
those of made people do: a key "charts". Without it they are DensePose's.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bodyreg.body import Body
from bodyreg.body.charts import DENSEPOSE_CHARTS
from bodyreg.data.coco import NO_PERSON, box_of
from bodyreg.data.dense_maps import (
    LEAST_SCORE,
    LOW_SCORE,
    NO_PART,
    POINTS,
    DensePerson,
    charts_of,
    collect,
    person_in_charts,
    whole,
)
from bodyreg.data.densepose_coco import PARTS
from bodyreg.data.detections import Pictures
from bodyreg.data.json_files import integer, numbers
from bodyreg.data.observations import Observations
from bodyreg.data.result_lists import (
    array_of,
    box_of_entry,
    check_size,
    floats,
    picture_of,
    read_list,
)
from bodyreg.errors import UserError
from bodyreg.pictures import decode_picture, picture_size

PEOPLE = (0, 1)
"""The category of people: detectron2 counts from 0, COCO from 1."""

ENCODED = {"uv_data": "uv_shape", "labels_uv_str": "shape_chw"}
"""A map as a PNG picture in base64 -> its shape."""


def read_densepose_results(
    path: str | os.PathLike,
    body: Body,
    images: str | os.PathLike | None = None,
    *,
    points: int = POINTS,
) -> tuple[Observations, Counter[str]]:
    """Read the people of a dump of detectron2's, or of a list of results.

    Args:
        path: The file: .pkl or .pth of torch, or JSON; its first bytes tell.
        body: The body; its charts must be the maps'.
        images: The folder of the pictures, in which those of results are found by their numbers:
            000000000139.jpg is image_id 139.
        points: Points of each person.

    Returns:
        The observations, and how many people were left out by reason: other categories, low scores,
        no part of the body. Ids are the people's places in the file, from 0.

    Raises:
        UserError: the file is damaged or none of these, or a picture is not in the folder; the
            message names the entry.
    """
    path = Path(path)
    content = read_list(path)
    pictures = Pictures(images)

    def people() -> Iterator[DensePerson | str]:
        for found in _entries(content, str(path)):
            yield _person(found, body, pictures, points)

    return collect(people(), body, str(path))


class _Found(NamedTuple):
    """One person of a file."""

    where: str
    item: dict[str, Any]  # names the picture, and maybe the charts
    box: np.ndarray  # (4,) x, y, width, height
    score: float
    result: Any


def _entries(content: list[Any], path: str) -> Iterator[_Found]:
    for place, item in enumerate(content):
        where = f"{path}: [{place}]"
        if not isinstance(item, dict):
            raise UserError(f"{where} is not an object")
        if "pred_boxes_XYXY" in item or "pred_densepose" in item:
            yield from _of_picture(item, where)
        else:
            score = floats(item.get("score", 1), (), "score", where)
            yield _Found(where, item, box_of_entry(item, where), float(score), _result(item, where))


def _of_picture(item: dict[str, Any], where: str) -> Iterator[_Found]:
    results = item.get("pred_densepose")
    if isinstance(results, dict) and "results" in results:  # before detectron2 had chart results
        results = results["results"]
    if isinstance(results, dict) and "embedding" in results:
        raise UserError(
            f"{where}: holds CSE's embeddings, which only their network's meshes turn into points; "
            "write the closest vertices (cse_indices, as detectron2's evaluator does)"
        )
    if not isinstance(results, list):
        raise UserError(f"{where}: pred_densepose is not a list")
    if not results:
        return
    boxes = floats(item.get("pred_boxes_XYXY"), (len(results), 4), "pred_boxes_XYXY", where)
    scores = np.ones(len(results))
    if item.get("scores") is not None:
        scores = floats(item["scores"], (len(results),), "scores", where)
    for number, result in enumerate(results):
        person = f"{where}: person {number}"
        low, high = boxes[number, :2], boxes[number, 2:]
        box = box_of({"bbox": [*low.tolist(), *(high - low).tolist()]}, person)
        yield _Found(person, item, box, float(scores[number]), result)


def _result(item: dict[str, Any], where: str) -> Any:
    """What an entry of a person holds of the map."""
    for name in ("densepose", "uv"):
        if item.get(name) is not None:
            return item[name]
    if not any(name in item for name in ENCODED):
        raise UserError(
            f"{where}: has no map of DensePose's (pred_densepose, densepose, uv, uv_data or "
            "labels_uv_str)"
        )
    return item


def _person(found: _Found, body: Body, pictures: Pictures, points: int) -> DensePerson | str:
    where, item = found.where, found.item
    category = item.get("category_id")
    if category is not None and integer(category, "category_id", where) not in PEOPLE:
        return NO_PERSON
    if found.score < LEAST_SCORE:
        return LOW_SCORE
    charts = charts_of(where, str(item.get("charts", DENSEPOSE_CHARTS)), body)
    part, uv, weight = _map(found.result, found.box, where)
    person = person_in_charts(
        charts,
        part,
        uv,
        found.box,
        points,
        weight=weight * min(found.score, 1),
        picture=picture_of(item, pictures, where),
    )
    return NO_PART if person is None else person


def _map(result: Any, box: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray, Any]:
    """The part (H, W), uv (H, W, 2) and weights of a person's map."""
    if isinstance(result, dict) and "labels" in result:
        return _of_numbers(result, box, where)
    if isinstance(result, dict) and "labels_uv_uint8" in result:
        result = result["labels_uv_uint8"]
    if isinstance(result, dict) or _is_encoded(result):
        result = _decoded(*_encoded(result, where), box, where)
    array = array_of(result, where)
    if array.dtype.kind not in "ui" or array.ndim != 3 or array.shape[0] != 3:
        raise UserError(f"{where}: its map is not (3, H, W) of 8 bits")
    if array.size and not 0 <= array.min() <= array.max() <= 255:
        raise UserError(f"{where}: its map has numbers of more than 8 bits")
    check_size(array.shape[1:], box, where)
    part, u, v = array.astype(np.uint8)
    return _checked_part(part, where), np.dstack([u, v]), 1.0


def _of_numbers(
    result: dict[str, Any], box: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray, Any]:
    """A map of labels and of uv, with confidences if the network has them."""
    labels = array_of(result["labels"], where)
    if labels.ndim != 2 or labels.dtype.kind not in "uif":
        raise UserError(f"{where}: labels is not (H, W)")
    check_size(labels.shape, box, where)
    part = _checked_part(labels, where)
    uv = floats(result.get("uv"), (2, *labels.shape), "uv", where, inside=part > 0)
    weight = np.ones(labels.shape)
    for name, rising in (("fine_segm_confidence", True), ("sigma_2", False)):
        if result.get(name) is not None and (part > 0).any():
            value = floats(result[name], labels.shape, name, where, inside=part > 0)
            weight *= _relative(value, part > 0, rising)
    return part, np.moveaxis(uv, 0, 2).clip(0, 1), weight


def _relative(value: np.ndarray, inside: np.ndarray, rising: bool) -> np.ndarray:
    """Weights of pixels by a confidence, or by the variance of uv: 1 where better than most.

    Networks differ in the level of such numbers, so they compare pixels of one person only.
    """
    usual = np.median(value[inside])
    if not (usual > 0 and (value[inside] > 0).all()):
        return np.ones(value.shape)
    positive = np.where(inside, value, usual)
    return np.minimum(positive / usual if rising else usual / positive, 1)


def _is_encoded(result: Any) -> bool:
    return isinstance(result, list) and len(result) == 2 and isinstance(result[1], str)


def _encoded(result: Any, where: str) -> tuple[Any, str]:
    """The shape and the text of a map that is a PNG picture."""
    if isinstance(result, list):
        return result[0], result[1]
    for text, shape in ENCODED.items():
        if isinstance(result.get(text), str):
            return result.get(shape), result[text]
    raise UserError(f"{where}: its map is none of {', '.join(['labels', *ENCODED])}")


def _decoded(shape: Any, text: str, box: np.ndarray, where: str) -> np.ndarray:
    """(3, H, W) uint8 of a PNG picture in base64; its size is checked before it is decoded."""
    shape = numbers({"shape": shape}, "shape", where, 3)
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{where}: its map is not base64 ({error})") from error
    width, height = picture_size(data, where, kind="map")
    if shape.tolist() != [3, height, width]:
        raise UserError(f"{where}: its map is {width} x {height}, and its shape says otherwise")
    check_size((height, width), box, where)
    # Red is the part, and OpenCV's last channel.
    return np.moveaxis(decode_picture(data, where, kind="map")[..., ::-1], 2, 0)


def _checked_part(part: np.ndarray, where: str) -> np.ndarray:
    if not whole(part, 0, PARTS):
        raise UserError(f"{where}: has parts that are not 0 to {PARTS}")
    return part.astype(np.uint8)
