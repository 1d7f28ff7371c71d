"""MPII's people: keypoints in pictures, in the forms in which they are distributed.

- JSON of HRNet and the simple baselines: a list of {image, joints, joints_vis, center, scale};
- JSON of Hourglass networks: a list of {img_paths, joint_self, objpos, scale_provided, ...}, whose
  joints are x, y and 1 = visible, 0 = hidden or absent;
- `.mat`, the data set's own mpii_human_pose_v1_u12_1.mat, a tree of structs named RELEASE;
- `.npy`, fully labelled poses as an array of (N, 34): 17 joints x (x, y), pixels.

All but the last count pixels from 1, as MATLAB does: the centre of the first pixel is at (0.5, 0.5)
here and at (1, 1) there. A person's scale is a height in units of 200 pixels.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bodyreg.data.frames import (
    NOT_SPREAD_OUT,
    PIXELS_PER_SCALE,
    boxes_of_points,
    frames_of_boxes,
    in_one_place,
    spread_out,
)
from bodyreg.data.json_files import BEFORE_JSON, load_json, numbers
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import H36M_17, MPII_16
from bodyreg.errors import UserError
from bodyreg.files import first_bytes
from bodyreg.matlab import HDF, load_mat
from bodyreg.npz import NPY, load_npy

# Where MATLAB has the centre of a pixel, less where pictures have it here.
FROM_ONE = 0.5
# HRNet and others take a lower and larger crop than the annotated one, to keep all limbs in it.
LOWER_BY = 15
LARGER_BY = 1.25

# Slot -> joint of MPII. The order of the array is Human3.6M's, except for the thorax and the upper
# neck; slot 9, the middle of the upper neck and the head's top, is no evidence of its own.
SLOTS = dict(enumerate(H36M_17.joints)) | {7: "thorax", 8: "upper_neck"}
del SLOTS[9]

NO_JOINTS = "no labelled joint of the body"
NO_PLACE = "neither a centre and scale nor joints apart"


class _Names(NamedTuple):
    """What a JSON file calls a person's entries."""

    joints: str
    image: str
    centre: str
    scale: str


HRNET_NAMES = _Names("joints", "image", "center", "scale")
HOURGLASS_NAMES = _Names("joint_self", "img_paths", "objpos", "scale_provided")

Crop = Literal["hrnet", "annotated"]


def read_mpii(
    path: str | os.PathLike, *, crop: Crop = "hrnet"
) -> tuple[Observations, Counter[str]]:
    """Read people as keypoints only, without dense points and depths.

    An observation's id is the person's place in the file, from 0; people without joints count.

    Args:
        path: The file. Its first bytes tell which of the three it is.
        crop: Of JSON and .mat files: the square that HRNet takes (15 scale pixels lower and 1.25
            times as large as annotated), or the annotated one. Without an annotated crop, and for
            .npy files, it is the square round the box of the joints.

    Returns:
        The observations, and how many people were skipped by reason.

    Raises:
        UserError: the file cannot be read, or something in it is wrong; the message says where.
    """
    path = Path(path)
    beginning = first_bytes(path, "MPII")
    if beginning.startswith(NPY):
        return _read_array(path)
    if beginning.startswith((b"MATLAB", HDF)):
        return _read_mat(path, crop)
    if beginning.strip(BEFORE_JSON)[:1] in (b"[", b"{"):
        return _read_json(path, crop)
    raise UserError(f"{path}: expected MPII's people as JSON, .mat or .npy")


@dataclass
class _Person:
    """One person, counting pixels from 1; absent numbers are NaN."""

    id: int
    picture: str
    joints: np.ndarray  # (16, 2)
    centre: np.ndarray  # (2,)
    scale: float


def _read_json(path: Path, crop: Crop) -> tuple[Observations, Counter[str]]:
    content = load_json(path)
    if isinstance(content, dict):  # some of Hourglass' files
        content = content.get("root")
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of people with 'joints' and 'joints_vis'")
    people = []
    for number, item in enumerate(content):
        where = f"{path}: person {number}"
        if not isinstance(item, dict):
            raise UserError(f"{where} is not an object")
        people.append(_json_person(item, number, where))
    return _observations(people, crop, path)


def _json_person(item: dict[str, Any], number: int, where: str) -> _Person:
    hourglass = "joint_self" in item
    names = HOURGLASS_NAMES if hourglass else HRNET_NAMES
    joints = np.full((len(MPII_16), 2), np.nan)
    if item.get(names.joints) is not None:  # the test set has none
        rows = item[names.joints]
        width = 3 if hourglass else 2
        if not isinstance(rows, list) or len(rows) != len(joints):
            raise UserError(f"{where}: {names.joints} is not a list of {len(joints)} joints")
        for joint, row in enumerate(rows):
            here = f"{where}: joint {joint}"
            found = numbers({names.joints: row}, names.joints, here, width, absent=True)
            joints[joint] = found[:2]
        # Absent joints lie at (-1, -1) or (0, 0), most of them with a visibility of 0, which also
        # says of Hourglass' joints that they are hidden.
        absent = (joints == -1).all(1) | (joints == 0).all(1)
        if not hourglass:
            absent |= ~(numbers(item, "joints_vis", where, len(joints), absent=True) > 0)
        bad = ~absent & ~np.isfinite(joints).all(1)
        if bad.any():
            raise UserError(f"{where}: joint {bad.argmax()}: {names.joints} is not finite")
        joints[absent] = np.nan
    centre, scale = np.full(2, np.nan), np.nan
    if item.get(names.centre) is not None and item.get(names.scale) is not None:
        centre = numbers(item, names.centre, where, 2)
        scale = float(numbers({names.scale: [item[names.scale]]}, names.scale, where)[0])
        if centre[0] == -1 or scale <= 0:
            centre, scale = np.full(2, np.nan), np.nan
    return _Person(number, str(item.get(names.image) or ""), joints, centre, scale)


def _read_mat(path: Path, crop: Crop) -> tuple[Observations, Counter[str]]:
    release = _structs(load_mat(path, kind="MPII", names=("RELEASE",)).get("RELEASE"))
    pictures = _structs(release[0].get("annolist")) if release else []
    if not pictures:
        raise UserError(f"{path}: has no RELEASE.annolist; give mpii_human_pose_v1_u12_1.mat")
    return _observations(list(_mat_people(pictures, path)), crop, path)


def _mat_people(pictures: list[dict[str, Any]], path: Path) -> Iterator[_Person]:
    number = 0
    for place, picture in enumerate(pictures):
        image = _structs(picture.get("image"))
        name = image[0].get("name") if image else ""
        for person in _structs(picture.get("annorect")):
            where = f"{path}: annolist({place + 1}), person {number}"
            yield _mat_person(person, number, name if isinstance(name, str) else "", where)
            number += 1


def _mat_person(person: dict[str, Any], number: int, picture: str, where: str) -> _Person:
    joints = np.full((len(MPII_16), 2), np.nan)
    for points in _structs(person.get("annopoints")):
        # A point's is_visible may be '', [], a letter or a number; the point is labelled always.
        for point in _structs(points.get("point")):
            joint, x, y = (_number(point.get(name)) for name in ("id", "x", "y"))
            if not (joint % 1 == 0 and 0 <= joint < len(joints)):
                raise UserError(f"{where}: joint {joint:g} is not in 0..{len(joints) - 1}")
            joints[int(joint)] = x, y
    place = _structs(person.get("objpos")) or [{}]
    centre = np.array([_number(place[0].get(name)) for name in ("x", "y")])
    scale = _number(person.get("scale"))
    return _Person(number, picture, joints, centre, scale if scale > 0 else np.nan)


def _structs(value: Any) -> list[dict[str, Any]]:
    """The structs of an array of structs; any other value has none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float:
    """A number of a struct; NaN if it is empty or something else."""
    array = value if isinstance(value, np.ndarray) and value.size == 1 else np.array(np.nan)
    number = float(array.reshape(-1)[0])
    return number if np.isfinite(number) else np.nan


def _observations(
    people: list[_Person], crop: Crop, path: Path
) -> tuple[Observations, Counter[str]]:
    skipped: Counter[str] = Counter()
    kept, frames = [], []
    for person in people:
        if np.isnan(person.joints).any(1).all():
            skipped[NO_JOINTS] += 1
            continue
        joints = person.joints[None]
        if in_one_place(joints, np.isfinite(joints).all(2)):
            skipped[NOT_SPREAD_OUT] += 1
            continue
        frame = _frame(person, crop)
        if frame is None:
            skipped[NO_PLACE] += 1
            continue
        kept.append(person)
        frames.append(frame)
    xy = np.array([person.joints for person in kept]).reshape(-1, len(MPII_16), 2)
    xy -= FROM_ONE
    observations = Observations.of_keypoints(
        MPII_16.keypoints,
        xy,
        ~np.any(np.isnan(xy), axis=2),
        id=np.array([person.id for person in kept], np.int64),
        frame=np.array(frames).reshape(-1, 3),
        picture=np.array([person.picture for person in kept], np.str_),
    )
    observations.check(source=str(path))
    return observations, skipped


def _frame(person: _Person, crop: Crop) -> np.ndarray | None:
    """The square crop, in pixels as pictures have them here."""
    if np.isfinite(person.centre).all() and np.isfinite(person.scale):
        hrnet = crop == "hrnet"
        lower = LOWER_BY * person.scale if hrnet else 0
        half_side = PIXELS_PER_SCALE / 2 * person.scale * (LARGER_BY if hrnet else 1)
        x, y = person.centre - FROM_ONE
        return np.array([x, y + lower, half_side])
    xy = person.joints[~np.isnan(person.joints).any(1)] - FROM_ONE
    frame = frames_of_boxes(boxes_of_points(xy[None]))[0]
    return frame if frame[2] > 0 else None


def _read_array(path: Path) -> tuple[Observations, Counter[str]]:
    array = load_npy(path, kind="MPII poses")
    if array.dtype.kind not in "iuf":
        raise UserError(f"{path}: expected one .npy array of numbers")
    shapes = ((2 * len(H36M_17),), (len(H36M_17), 2))
    if array.ndim < 2 or array.shape[1:] not in shapes:
        raise UserError(f"{path}: shape {array.shape}; expected (N, 34): 17 joints x (x, y)")
    with np.errstate(over="ignore"):  # infinity is refused below
        xy = np.asarray(array, np.float32).reshape(-1, len(H36M_17), 2)
    bad = ~np.isfinite(xy).all(axis=(1, 2))
    if bad.any():
        raise UserError(f"{path}: row {bad.argmax()} is not finite; remove it or fill it in")
    keypoints = xy[:, list(SLOTS)]
    present = np.ones(keypoints.shape[:2], bool)
    kept = np.flatnonzero(spread_out(keypoints, present))
    observations = Observations.of_keypoints(
        [f"{MPII_16.convention}/{joint}" for joint in SLOTS.values()],
        keypoints[kept],
        present[kept],
        id=kept,
        frame=frames_of_boxes(boxes_of_points(xy[kept])),
    )
    observations.check(source=str(path))
    return observations, +Counter({NOT_SPREAD_OUT: len(xy) - len(kept)})
