"""Closest vertices of DensePose CSE: which vertex of SMPL's mesh each pixel shows.

CSE's networks write embeddings, which only their own tables of embedded vertices turn into
vertices. Read is what comes after that step: the number of the closest vertex of every pixel. Its
mesh smpl_27554 has SMPL's 6,890 vertices first, then the middles of edges. Only the former are
used: a quarter of the pixels, which is far more than are kept.

- A folder of arrays, .npy or .npz, one for each picture: (H, W) vertices, -1 in the background.
- A list of results, of torch or JSON: bbox, score, image_id or file_name, `cse_indices` (h, w) and
  `cse_mask` (h, w), as detectron2's evaluator made them; in JSON lists of lists.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bodyreg.body import Body
from bodyreg.body.landmarks import SMPL_VERTEX_COUNT
from bodyreg.body.smpl import CSE_VERTEX_COUNT
from bodyreg.data.cameras import Camera
from bodyreg.data.dense_maps import (
    LEAST_SCORE,
    LOW_SCORE,
    POINTS,
    DensePerson,
    box_of_map,
    collect,
    sample,
    whole,
)
from bodyreg.data.detections import Pictures
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
from bodyreg.files import files_of, is_file
from bodyreg.npz import NpzReader, load_npy
from bodyreg.pictures import MAX_PIXELS

ARRAYS = (".npy", ".npz")

NO_VERTEX = "too few pixels that show one of SMPL's vertices"
"""Why a person is left out."""


def read_cse(
    path: str | os.PathLike,
    body: Body,
    images: str | os.PathLike | None = None,
    *,
    points: int = POINTS,
) -> tuple[Observations, Counter[str]]:
    """Read the closest vertices that a CSE network has found.

    Args:
        path: A folder of arrays, one of them, or a list of results.
        body: The body; it must be known where SMPL's vertices lie on it.
        images: The folder of the pictures.
        points: Points of each person.

    Returns:
        The observations, and how many people were left out by reason. Ids are the people's places
        in the file or folder, from 0.

    Raises:
        UserError: a file is damaged or none of these, or a picture is missing.
    """
    path = Path(path)
    if is_file(path) and path.suffix.lower() not in ARRAYS:
        return collect(_of_results(path, body, images, points), body, str(path))
    return collect(_of_arrays(map_files(path), body, images, points), body, str(path))


def map_files(path: Path) -> list[Path]:
    """The files of a folder of arrays, in the order of their names; a file is itself.

    Raises:
        UserError: the folder cannot be read, or has none.
    """
    files = files_of(path, ARRAYS)
    if not files:
        raise UserError(f"{path}: no .npy or .npz array of vertices in this folder")
    return files


def _of_arrays(
    files: list[Path], body: Body, images: str | os.PathLike | None, points: int
) -> Iterator[DensePerson | str]:
    pictures = Pictures(images)
    for file in files:
        vertex = _read(file)
        height, width = vertex.shape
        yield _person(
            body,
            _checked(vertex, vertex >= 0, str(file)),
            vertex >= 0,
            np.array([0, 0, width, height], np.float64),
            points,
            pictures.of_stem(file.stem),
            Camera(picture_size=(width, height)),
            1,
        )


def _read(path: Path) -> np.ndarray:
    """The only array (H, W) of a file."""
    if path.suffix.lower() == ".npy":
        array = load_npy(path, kind="map of vertices")
    else:
        with NpzReader(path, kind="map of vertices") as reader:
            if len(reader.names) != 1:
                raise UserError(f"{path}: has {len(reader.names)} arrays, expected one (H, W)")
            array = reader.read(reader.names[0])
    if array.ndim != 2 or not 0 < array.size <= MAX_PIXELS or array.dtype.kind not in "uif":
        raise UserError(f"{path}: has the shape {array.shape} of {array.dtype}, expected (H, W) "
                        "numbers of vertices")  # fmt: skip
    return array


def _of_results(
    path: Path, body: Body, images: str | os.PathLike | None, points: int
) -> Iterator[DensePerson | str]:
    pictures = Pictures(images)
    for place, item in enumerate(read_list(path)):
        where = f"{path}: [{place}]"
        if not isinstance(item, dict) or "cse_indices" not in item or "cse_mask" not in item:
            raise UserError(
                f"{where} has no closest vertices (cse_indices and cse_mask); embeddings need the "
                "network's own table of embedded vertices"
            )
        box = box_of_entry(item, where)
        score = float(floats(item.get("score", 1), (), "score", where))
        if score < LEAST_SCORE:
            yield LOW_SCORE
            continue
        mask = array_of(item["cse_mask"], where)
        if mask.ndim != 2:
            raise UserError(f"{where}: cse_mask is not (h, w)")
        check_size(mask.shape, box, where)
        mask = floats(mask, mask.shape, "cse_mask", where) > 0
        vertex = floats(item["cse_indices"], mask.shape, "cse_indices", where)
        picture = picture_of(item, pictures, where)
        vertex = _checked(vertex, mask, where)
        yield _person(body, vertex, mask, box, points, picture, Camera(), min(score, 1))


def _checked(vertex: np.ndarray, mask: np.ndarray, where: str) -> np.ndarray:
    """(H, W) int64 vertices; -1 in the background, and where none of SMPL's own is nearest."""
    if not whole(vertex[mask], 0, CSE_VERTEX_COUNT - 1):
        raise UserError(
            f"{where}: has vertices that smpl_27554 lacks: whole numbers, 0 to "
            f"{CSE_VERTEX_COUNT - 1}"
        )
    found = np.where(mask, vertex, -1).astype(np.int64)
    return np.where(found < SMPL_VERTEX_COUNT, found, -1)


def _person(
    body: Body,
    vertex: np.ndarray,
    mask: np.ndarray,
    region: np.ndarray,
    points: int,
    picture: str,
    camera: Camera,
    weight: float,
) -> DensePerson | str:
    """Keep some pixels, shared by the segments of the body, which stand for its parts.

    Args:
        vertex: (H, W) SMPL's, -1 elsewhere.
        mask: (H, W) bool, what shows the person.
        region, points, picture, camera, weight: As of `person_in_charts`.
    """
    there = vertex >= 0
    segment = np.zeros(vertex.shape, np.uint8)
    if there.any():
        corner, share = body.smpl_points(vertex[there])
        nearest = corner[np.arange(len(corner)), share.argmax(1)]
        segment[there] = 1 + body.segment[nearest]
    row, column = sample(segment, points, outline=mask)
    if not len(row):
        return NO_VERTEX
    corner, share = body.smpl_points(vertex[row, column])
    pixel = region[2:] / vertex.shape[::-1]
    return DensePerson(
        picture=picture,
        camera=camera,
        box=box_of_map(segment, region),
        xy=region[:2] + (np.column_stack([column, row]) + 0.5) * pixel,
        vertex=corner,
        barycentric=share,
        weight=np.full(len(row), float(weight)),
    )
