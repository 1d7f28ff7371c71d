"""The data of SPIN and HMR: plain arrays in .npz files, one row per person.

`imgname`, `center`, `scale` (side of the crop over 200 pixels), `part` and `openpose` (x, y,
confidence) and `S` (x, y, z in metres, confidence; camera axes). The last three may be missing.
`part` and `S` have 24 joints; files in this style have 17, those of Human3.6M or of COCO.
Bodies (`pose`, `shape`, `has_smpl`) are not read. The names of Human3.6M's pictures tell their
cameras.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.frames import NOT_SPREAD_OUT, PIXELS_PER_SCALE, in_one_place
from bodyreg.data.human36m import BROKEN, FARTHEST, LEFT_OUT, LENSES, UP_AND_NEAR, Poses3D
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import (
    BODY_25,
    COCO_17,
    H36M_17,
    H36M_17_OF_SPIN,
    SPIN_24,
    Skeleton,
)
from bodyreg.errors import UserError
from bodyreg.npz import as_texts, load_npz

Joints = Literal["h36m", "coco"]
SEVENTEEN: dict[Joints, Skeleton] = {"h36m": H36M_17, "coco": COCO_17}

HUMAN36M_PICTURE = re.compile(r"(S\d+)_(.+)\.(\d{8})_(\d{1,18})\.\w+$")


def read_spin(
    path: str | os.PathLike, *, broken: bool = False, joints: Joints | None = None
) -> tuple[Poses3D, Counter[str]]:
    """Read people in the layout of SPIN and HMR; ids are the rows.

    Keypoints are those of `part`, or of `openpose` if `part` has none, with their confidences as
    weights. If all pictures are Human3.6M's, so are the joints of `part`. People without keypoints
    are kept for their 3-D joints.

    Args:
        path: The .npz file.
        broken: Keep S11's Directions of camera 54138969, whose poses do not fit its pictures.
        joints: Whose 17 joints `part` and `S` have. If left out, they are Human3.6M's where all
            pictures are.

    Returns:
        The people, and how many were skipped by reason. COCO's joints have no 3-D joints.

    Raises:
        UserError: the file is missing, damaged, or lacks pictures or crops, or it is not known
            whose 17 joints it has.
    """
    path = Path(path)
    arrays = _arrays(path)
    facts = [_facts(name) for name in arrays["imgname"].tolist()]
    of_human36m = all(subject for subject, *_ in facts)
    own = _own_joints(arrays, joints or ("h36m" if of_human36m else None), path)
    names, found = _keypoints(arrays, own, of_human36m)
    left_out = np.array([not broken and fact[:3] == BROKEN for fact in facts], bool)
    one_place = in_one_place(found[..., :2], found[..., 2] > 0) & ~left_out
    kept = ~(left_out | one_place)
    observations = Observations.of_keypoints(
        names,
        found[kept, :, :2],
        found[kept, :, 2],
        id=np.flatnonzero(kept),
        frame=np.column_stack([arrays["center"], PIXELS_PER_SCALE / 2 * arrays["scale"]])[kept],
        picture=arrays["imgname"][kept],
        **arrays_of([LENSES.get(facts[row][2], Camera()) for row in np.flatnonzero(kept)]),
    )
    observations.check(source=str(path))
    joints_3d = np.full((len(kept), len(H36M_17), 3), np.nan, np.float32)
    if "S" in arrays and own is not COCO_17:
        places = arrays["S"] if own is H36M_17 else arrays["S"][:, list(H36M_17_OF_SPIN)]
        places = np.where(places[..., 3:] > 0, places[..., :3], np.nan)
        if (np.abs(places) >= FARTHEST).any():
            raise UserError(f"{path}: S: positions are too large; they must be metres")
        joints_3d = places.astype(np.float32) * UP_AND_NEAR
    subject, action, camera = (
        np.array([fact[i] for fact in facts], np.str_)[kept] for i in range(3)
    )
    frames = np.array([fact[3] for fact in facts], np.int64)[kept]
    poses = Poses3D(
        observations, joints_3d[kept].astype(np.float32), subject, action, camera, frames
    )
    skipped = {LEFT_OUT: int(left_out.sum()), NOT_SPREAD_OUT: int(one_place.sum())}
    return poses, +Counter(skipped)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The file's arrays, whose shapes and kinds are right."""
    layouts = {"part": (SPIN_24, 3), "openpose": (BODY_25, 3), "S": (SPIN_24, 4)}
    names = ("imgname", "center", "scale", *layouts)
    arrays = load_npz(path, kind="SPIN data", names=names)
    if "imgname" in arrays and arrays["imgname"].dtype.kind == "S":
        arrays["imgname"] = as_texts(arrays["imgname"])
    for name in names[:3]:
        if name not in arrays:
            raise UserError(f"{path}: array '{name}' is missing; SPIN's data need it")
    people = (arrays["imgname"].size,)
    shapes = {"imgname": people, "center": (*people, 2), "scale": people}
    shapes |= {name: (*people, len(layout), n) for name, (layout, n) in layouts.items()}
    for name, array in arrays.items():
        seventeen = (*people, len(COCO_17), *shapes[name][2:])
        if array.shape != shapes[name] and not (name in ("part", "S") and array.shape == seventeen):
            raise UserError(f"{path}: {name} has shape {array.shape}, expected {shapes[name]}")
        kinds, wanted = ("U", "texts") if name == "imgname" else ("iuf", "numbers")
        if array.dtype.kind not in kinds:
            raise UserError(f"{path}: {name} has dtype {array.dtype}, expected {wanted}")
    return arrays


def _own_joints(arrays: dict[str, np.ndarray], joints: Joints | None, path: Path) -> Skeleton:
    """The skeleton of `part` and `S`."""
    counts = {arrays[name].shape[1] for name in ("part", "S") if name in arrays} or {len(SPIN_24)}
    if counts == {len(SPIN_24)}:
        return SPIN_24
    if len(counts) > 1:
        raise UserError(f"{path}: part and S have different numbers of joints")
    if joints is None:
        raise UserError(
            f"{path}: has 17 joints, and pictures of others than Human3.6M; say whose joints they "
            "are (--h36m-joints or --coco-joints)"
        )
    return SEVENTEEN[joints]


def _keypoints(
    arrays: dict[str, np.ndarray], own: Skeleton, of_human36m: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of K keypoints, and their x, y, confidence (N, K, 3)."""
    part = own, own.evidence
    if own is SPIN_24 and of_human36m:
        part = H36M_17, H36M_17_OF_SPIN
    layouts: dict[str, tuple[Skeleton, tuple[int, ...]]] = {
        "part": part,
        "openpose": (BODY_25, BODY_25.evidence),
    }
    known = [n for n in layouts if n in arrays and (arrays[n][..., 2] > 0).any()]
    skeleton, columns = layouts[known[0] if known else "part"]
    found = arrays[known[0]] if known else np.zeros((len(arrays["imgname"]), len(own), 3))
    with np.errstate(over="ignore"):  # infinity is refused by `Observations.check`
        found = found[:, list(columns)].astype(np.float32)
    found[~(found[..., 2] > 0)] = 0  # absent, also where a confidence is negative or NaN
    return skeleton.evidence_keypoints, found


def _facts(picture: str) -> tuple[str, str, str, int]:
    """Subject, action, camera and frame of a picture of Human3.6M, by its name."""
    match = HUMAN36M_PICTURE.search(os.path.basename(picture.replace("\\", "/")))
    if match is None:
        return "", "", "", -1
    subject, action, camera, frame = match.groups()
    return subject, action.replace("_", " "), camera, int(frame) - 1
