"""What SAM 3D Body finds, as users save it with NumPy: keypoints, and where they are in space.

Its estimator gives a dictionary for each person. An .npz file has these arrays of one person, or of
several with one more axis in front; or an array of the dictionaries themselves, `data`, as MHR's
tools read it. Of the 70 keypoints those of COCO and of the feet are read:

- `pred_keypoints_2d` (70, 2): picture pixels, projected by a camera;
- `pred_keypoints_3d` (70, 3): metres, x right, y down, z away from the viewer;
- `focal_length`, if it is there: pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.cameras import Camera
from bodyreg.data.detections import Detection, Pictures, checked_rows, pixels_per_metre
from bodyreg.data.skeletons import WHOLE_BODY_23
from bodyreg.errors import UserError
from bodyreg.npz import NpzReader
from bodyreg.pickles import load_npz_objects

PLACES, METRES, FOCAL, LIST = "pred_keypoints_2d", "pred_keypoints_3d", "focal_length", "data"
COUNT = 70

# The network's keypoints have the wrists last in each hand; their names are in its metadata, mhr70.
OF_70 = np.array([*range(9), 62, 41, *range(9, 21)])
"""The places of COCO-WholeBody's first joints among the 70."""

HIPS = [WHOLE_BODY_23.joints.index(f"{side}_hip") for side in ("left", "right")]


def is_sam3d(path: Path) -> bool:
    """Whether an .npz file has arrays of SAM 3D Body.

    Raises:
        UserError: it cannot be read.
    """
    with NpzReader(path, kind="SAM 3D Body or fits") as reader:
        return bool({PLACES, LIST} & set(reader.names))


def sam3d_people(path: Path, pictures: Pictures) -> list[Detection]:
    """The people of a file, in its order; their depths have no spread, as none was measured.

    Args:
        path: The .npz file; its name is the picture's.
        pictures: Where the picture is found.

    Raises:
        UserError: the file is damaged or holds something else, or the folder lacks the picture.
    """
    content = load_npz_objects(path, kind="SAM 3D Body")
    people = content[LIST] if LIST in content else _apart(content, str(path))
    people = [people] if isinstance(people, dict) else people
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise UserError(
            f"{path}: expected '{PLACES}' and '{METRES}', or a list of people, '{LIST}'"
        )
    picture = pictures.of_stem(path.stem)
    return [
        _person(person, picture, f"{path}: person {number}") for number, person in enumerate(people)
    ]


def _apart(content: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The arrays of each person."""
    arrays = {n: _as_array(content, n, where) for n in (PLACES, METRES, FOCAL) if n in content}
    if PLACES not in arrays or arrays[PLACES].ndim != 3:
        return [arrays]
    count = len(arrays[PLACES])
    if FOCAL in arrays and arrays[FOCAL].size == 1:  # one camera has seen them all
        arrays[FOCAL] = np.full(count, arrays[FOCAL].reshape(()))
    for name, array in arrays.items():
        if not array.ndim or len(array) != count:
            raise UserError(f"{where}: {name} is not of {count} people, as {PLACES} is")
    return [{name: array[n] for name, array in arrays.items()} for n in range(count)]


def _person(content: dict[str, Any], picture: str, where: str) -> Detection:
    places, metres = (
        _array(content, name, (COUNT, axes), where)[OF_70]
        for name, axes in ((PLACES, 2), (METRES, 3))
    )
    rows = checked_rows(np.insert(places, 2, 1, axis=1), where)
    with np.errstate(over="ignore", invalid="ignore"):  # they are refused
        size = pixels_per_metre(rows, metres)
    if not (np.isfinite(metres).all() and 0 < size < np.inf):
        raise UserError(f"{where}: {METRES} does not fit {PLACES}")
    depths = -size * (metres[:, 2] - metres[HIPS, 2].mean())
    camera = Camera()
    if FOCAL in content:
        camera = Camera(focal=float(_array(content, FOCAL, (1,), where)[0]))
    return Detection(
        rows=rows,
        picture=picture,
        camera=camera,
        depths=np.column_stack([depths, np.full(len(depths), np.nan)]),
    )


def _array(content: dict[str, Any], name: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    array = _as_array(content, name, where)
    if array.dtype.kind not in "iuf" or array.size != np.prod(shape):
        raise UserError(f"{where}: {name} is missing or not an array of {shape}")
    return array.reshape(shape).astype(np.float64)


def _as_array(content: dict[str, Any], name: str, where: str) -> np.ndarray:
    try:
        return np.asarray(content.get(name))
    except ValueError as error:  # lists of different lengths
        raise UserError(f"{where}: {name} is not an array") from error
