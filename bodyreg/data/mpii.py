"""Two-dimensional MPII poses in an array of (N, 34): 17 joints x (x, y), image pixels, y down."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

from bodyreg.data.frames import boxes_of_points, frames_of_boxes
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import H36M_17
from bodyreg.errors import UserError

JOINTS = len(H36M_17)

# Slot -> joint or landmark of the body. The order is Human3.6M's, but slot 7 holds the middle of
# the shoulders, 8 the upper neck and 9 the middle of 8 and 10: points the body's skeleton has not.
SLOTS = {slot: H36M_17.joints[slot] for slot in H36M_17.on_body if slot not in (7, 8, 9)}


def read_mpii_poses(path: str | os.PathLike) -> tuple[Observations, Counter[str]]:
    """Read poses as keypoints only: no dense points, no depths; ids are the rows.

    The frame comes from the box of the keypoints.

    Returns:
        The observations, and how many poses were skipped by reason (none: every row is a person).

    Raises:
        UserError: the file is missing, not a plain array of that shape, not finite, or a pose has
            no extent.
    """
    xy = _load_poses(path)
    bad = ~np.isfinite(xy).all(axis=(1, 2))
    if bad.any():
        raise UserError(f"{path}: row {bad.argmax()} is not finite; remove it or fill it in")
    boxes = boxes_of_points(xy)
    flat = boxes[:, 2:].max(axis=1) <= 0
    if flat.any():
        raise UserError(f"{path}: row {flat.argmax()} has all its joints in one place; remove it")
    keypoints = xy[:, list(SLOTS)]
    people = len(xy)
    observations = Observations(
        id=np.arange(people),
        frame=frames_of_boxes(boxes),
        point_start=np.zeros(people + 1, np.int64),
        point_xy=np.zeros((0, 2)),
        point_vertex=np.zeros((0, 3), np.int32),
        point_barycentric=np.zeros((0, 3)),
        point_weight=np.zeros(0),
        keypoint_name=tuple(SLOTS.values()),
        keypoint_xy=keypoints,
        keypoint_weight=np.ones(keypoints.shape[:2]),
    )
    observations.check(source=str(path))
    return observations, Counter()


def _load_poses(path: str | os.PathLike) -> np.ndarray:
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file of MPII poses; check the path")
    try:
        # Mapped, so that a header's false claim about the size takes no memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "empty"
        raise UserError(f"{path}: not a readable .npy array ({reason})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise UserError(f"{path}: expected one .npy array of numbers")
    if array.ndim < 2 or array.shape[1:] not in ((2 * JOINTS,), (JOINTS, 2)):
        raise UserError(f"{path}: shape {array.shape}; expected (N, 34): 17 joints x (x, y)")
    return np.asarray(array, np.float32).reshape(-1, JOINTS, 2)
