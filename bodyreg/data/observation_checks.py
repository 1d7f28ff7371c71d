"""The arrays of observations: their types and shapes, and the values that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bodyreg.data.frames import frame_from_image
from bodyreg.errors import UserError
from bodyreg.npz import as_texts

# No person is so few pixels large. Keypoints or points so near to the corner are shares of the
# picture's sides, from 0 to 1 or from -1 to 1; a reader may have added half a pixel. One or two of
# them may be a mistake.
CORNER, FEWEST = 2, 3
# Pixels. Scans have pictures of some 10^6, and float32 still tells their tens of pixels apart.
LARGEST_FRAME = 1e8
# A coordinate this many half sides from its frame is in the wrong unit, and its square would be
# lost in float32.
FARTHEST = 1e4
# Frame units. With a smaller spread a depth would weigh more than all else together.
SMALLEST_SPREAD = 1e-6
# Weights are confidences of about 1. Squares of sums of larger ones would not fit in float32.
LARGEST_WEIGHT = 1e9
# A shorter focal length, in pixels, is in another unit.
SHORTEST_FOCAL = 1
# No picture has so long a side, in pixels.
LARGEST_SIDE = 1 << 24

DTYPES: dict[str, Any] = {
    "id": np.int64,
    "frame": np.float32,
    "point_start": np.int64,
    "point_xy": np.float32,
    "point_vertex": np.int32,
    "point_barycentric": np.float32,
    "point_weight": np.float32,
    "keypoint_xy": np.float32,
    "keypoint_weight": np.float32,
    "keypoint_depth": np.float32,
    "keypoint_depth_spread": np.float32,
    "focal": np.float32,
    "principal_point": np.float32,
    "picture_size": np.int32,
}
"""Array -> the type of its numbers in memory."""


def expected_shapes(people: int, points: int, keypoints: int) -> dict[str, tuple[int, ...]]:
    """Array -> its shape, for so many people with so many points in all."""
    return {
        "id": (people,),
        "frame": (people, 3),
        "point_start": (people + 1,),
        "point_xy": (points, 2),
        "point_vertex": (points, 3),
        "point_barycentric": (points, 3),
        "point_weight": (points,),
        "keypoint_xy": (people, keypoints, 2),
        "keypoint_weight": (people, keypoints),
        "keypoint_depth": (people, keypoints),
        "keypoint_depth_spread": (people, keypoints),
        "picture": (people,),
        "focal": (people,),
        "principal_point": (people, 2),
        "picture_size": (people, 2),
    }


def unknown(name: str, keypoints: tuple[int, int]) -> np.ndarray:
    """An optional array of numbers in which nothing is known.

    Args:
        name: The array's name.
        keypoints: The numbers of people, and of keypoints of each.
    """
    shape = expected_shapes(keypoints[0], 0, keypoints[1])[name]
    return np.full(shape, np.nan if DTYPES[name] is np.float32 else 0, DTYPES[name])


def converted(name: str, value: np.ndarray) -> np.ndarray:
    """An array in the type of `DTYPES`, contiguous.

    Raises:
        UserError: the array does not hold numbers, or holds a number that is too large.
    """
    array, dtype = np.asarray(value), DTYPES[name]
    number = array.dtype.kind in "iu" or (array.dtype.kind in "fb" and dtype is np.float32)
    if not number and array.size:
        raise UserError(f"{name} has dtype {array.dtype}, expected {np.dtype(dtype)}")
    if array.size and dtype is not np.float32 and array.dtype != dtype:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise UserError(f"{name} holds a number too large for {np.dtype(dtype)}")
    with np.errstate(over="ignore"):  # `check_values` refuses infinity and names the person
        return np.ascontiguousarray(array, dtype)


def texts(name: str, value: np.ndarray) -> np.ndarray:
    """An array of text.

    Raises:
        UserError: the array does not hold text.
    """
    try:
        return as_texts(np.asarray(value))
    except TypeError as error:
        raise UserError(f"{name} has {error}") from None


def check_shapes(arrays: Mapping[str, Any], keypoints: int, source: str) -> None:
    """Refuse arrays that do not fit each other, and a `point_start` that falls.

    Args:
        arrays: Name -> array, or None for a missing array.
        keypoints: How many keypoints each person has.
        source: The file's name, for messages.

    Raises:
        UserError: names the source and the first such array.
    """
    points = len(arrays["point_xy"])
    for name, shape in expected_shapes(len(arrays["id"]), points, keypoints).items():
        array = arrays[name]
        if array is not None and array.shape != shape:
            raise UserError(f"{source}: {name} has shape {array.shape}, expected {shape}")
    start = arrays["point_start"]
    if start[0] != 0 or start[-1] != points or (start[1:] < start[:-1]).any():
        raise wrong_starts(source, points)


def wrong_starts(source: object, points: int) -> UserError:
    """The error for a wrong `point_start` of a file or of arrays in memory."""
    return UserError(f"{source}: point_start must rise from 0 to the number of points, {points}")


def check_values(arrays: Mapping[str, Any], source: str) -> None:
    """Refuse numbers that cannot be registered, in arrays of the right shapes.

    Args:
        arrays: Name -> array, or None for a missing array.
        source: The file's name, for messages.

    Raises:
        UserError: names the source, the array and the person of the first such number.
    """
    if _bounds_hold(arrays):
        return
    ids, count = arrays["id"], np.diff(arrays["point_start"])
    point_person = np.repeat(np.arange(len(ids)), count)

    def refuse(name: str, bad: np.ndarray, what: str) -> None:
        if bad.any():
            first = np.argwhere(bad)[0][0]
            person = point_person[first] if name.startswith("point_") else first
            raise UserError(f"{source}: {name} of person {ids[person]} {what}")

    for name in ("frame", "point_xy", "point_barycentric", "point_weight", "keypoint_weight"):
        refuse(name, ~np.isfinite(arrays[name]), "is not finite")
    frame, point_xy, keypoint_xy = arrays["frame"], arrays["point_xy"], arrays["keypoint_xy"]
    present = (arrays["keypoint_weight"] > 0)[..., None]
    refuse("keypoint_xy", present & ~np.isfinite(keypoint_xy), "is not finite")
    refuse("frame", np.abs(frame) > LARGEST_FRAME, "is larger than any picture; check the units")
    refuse("frame", frame[:, 2] <= 0, "has no area (half_side must be positive)")
    for name in ("point_weight", "keypoint_weight", "point_vertex"):
        refuse(name, arrays[name] < 0, "is negative")
    for name in ("point_weight", "keypoint_weight"):
        refuse(name, arrays[name] > LARGEST_WEIGHT, f"is more than {LARGEST_WEIGHT:g}")
    barycentric = arrays["point_barycentric"]
    refuse("point_barycentric", ~(np.abs(barycentric.sum(axis=1) - 1) < 1e-3), "does not sum to 1")
    refuse("point_barycentric", barycentric < -1e-3, "is negative")
    if arrays["keypoint_depth"] is not None:
        depth = arrays["keypoint_depth"]
        refuse("keypoint_depth", np.isinf(depth), "is infinite (NaN = absent)")
        refuse("keypoint_depth", np.abs(depth) > FARTHEST, "is too far; its unit is the half side")
    if arrays["keypoint_depth_spread"] is not None:
        spread = arrays["keypoint_depth_spread"]
        refuse("keypoint_depth_spread", np.isinf(spread) | (spread < SMALLEST_SPREAD),
               f"is not a number from {SMALLEST_SPREAD:g} on (NaN = not known)")  # fmt: skip
    if arrays["focal"] is not None:
        short = arrays["focal"] < SHORTEST_FOCAL
        refuse("focal", short, "is not a focal length in pixels (NaN = not known)")
    if arrays["picture_size"] is not None:
        refuse("picture_size", arrays["picture_size"] < 0, "is negative (0 = not known)")
        refuse("picture_size", arrays["picture_size"] > LARGEST_SIDE, "is too large for a picture")

    far = f"is more than {FARTHEST:g} times its frame's half side away; check the units"
    with np.errstate(over="ignore"):  # infinitely far is too far
        offset = np.abs(frame_from_image(point_xy, frame[point_person]))
        refuse("point_xy", offset > FARTHEST, far)
        offset = np.abs(frame_from_image(keypoint_xy, frame[:, None]))
        refuse("keypoint_xy", present & (offset > FARTHEST), far)
        if arrays["principal_point"] is not None:
            point = arrays["principal_point"]
            refuse("principal_point", np.abs(frame_from_image(point, frame)) > FARTHEST, far)
            refuse("principal_point", np.abs(point) >= LARGEST_FRAME, "is outside any picture")

    in_corner = _in_corner(arrays, _farthest(arrays))
    if in_corner.any():
        # Points in one place are not shares. They are no evidence, and are skipped for this reason.
        for low, high in extents(arrays):
            shares = in_corner & (np.maximum(-low, high) <= CORNER).all(1) & (low < high).any(1)
            if shares.any():
                raise UserError(
                    f"{source}: person {ids[shares.argmax()]} lies within {CORNER} pixels of the "
                    "picture's corner, so coordinates are shares of the picture; write them in "
                    "pixels (OpenPose: --keypoint_scale 0)"
                )


def extents(arrays: Mapping[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Least and largest x and y of each person's keypoints, and of the points, of positive weight.

    Returns:
        Of keypoints and of points: (N, 2) and (N, 2) pixels; infinity and -infinity for a person
        without any.
    """
    present, xy = (arrays["keypoint_weight"] > 0)[..., None], arrays["keypoint_xy"]
    keypoints = (
        np.where(present, xy, np.inf).min(axis=1, initial=np.inf),
        np.where(present, xy, -np.inf).max(axis=1, initial=-np.inf),
    )
    points = np.full_like(keypoints[0], np.inf), np.full_like(keypoints[1], -np.inf)
    some = np.flatnonzero(np.diff(arrays["point_start"]))
    if len(some):
        present, xy = (arrays["point_weight"] > 0)[:, None], arrays["point_xy"]
        first = arrays["point_start"][some]
        points[0][some] = np.minimum.reduceat(np.where(present, xy, np.inf), first)
        points[1][some] = np.maximum.reduceat(np.where(present, xy, -np.inf), first)
    return [keypoints, points]


def _farthest(arrays: Mapping[str, Any]) -> np.ndarray:
    """(N,) each person's largest coordinate of a keypoint; absent keypoints are at 0."""
    return np.abs(arrays["keypoint_xy"]).max(axis=(1, 2), initial=0)


def _in_corner(arrays: Mapping[str, Any], farthest: np.ndarray) -> np.ndarray:
    """(N,) bool: people whose keypoints, or whose points, are all near the picture's corner.

    Fewer than `FEWEST` of them do not count. `farthest` is what `_farthest` returns.
    """
    near = farthest <= CORNER
    if near.any():
        near &= (arrays["keypoint_weight"] > 0).sum(axis=1) >= FEWEST
    x, y = arrays["point_xy"].T
    if len(x) and not np.maximum(x, y).min() > CORNER:
        count = np.diff(arrays["point_start"])
        some = np.flatnonzero(count)
        first = arrays["point_start"][some]
        largest = np.maximum.reduceat(np.maximum(np.abs(x), np.abs(y)), first)
        near[some] |= (largest <= CORNER) & (count[some] >= FEWEST)
    return near


def _bounds_hold(arrays: Mapping[str, Any]) -> bool:
    """Whether the arrays' extremes alone prove that `check_values` refuses nothing.

    This takes a tenth of the time, and holds for sound data. A comparison with NaN is false.
    """
    if not len(arrays["id"]):
        return False
    frame, depth, spread = (arrays[n] for n in ("frame", "keypoint_depth", "keypoint_depth_spread"))
    largest = float(np.abs(frame).max())
    # A coordinate up to this many pixels from the origin is near enough to every frame.
    edge = FARTHEST * float(frame[:, 2].min()) - largest
    farthest = _farthest(arrays)
    x, y, z = arrays["point_barycentric"].T
    return (
        largest <= LARGEST_FRAME  # which proves that frames are finite
        and edge > 0
        and bool(farthest.max() <= edge)
        and not _in_corner(arrays, farthest).any()
        and _within(arrays["point_xy"], -edge, edge)
        and _within(arrays["point_weight"], 0, LARGEST_WEIGHT)
        and _within(arrays["keypoint_weight"], 0, LARGEST_WEIGHT)
        and _at_least(arrays["point_vertex"], 0)
        and _at_least(arrays["point_barycentric"], -1e-3)
        and _within(x + y + z, 1 - 9e-4, 1 + 9e-4)
        and (depth is None or not (np.abs(depth) > FARTHEST).any())
        and (spread is None or not (np.isinf(spread) | (spread < SMALLEST_SPREAD)).any())
        and _cameras_hold(arrays, edge)
    )


def _cameras_hold(arrays: Mapping[str, Any], edge: float) -> bool:
    focal, point, size = (arrays[n] for n in ("focal", "principal_point", "picture_size"))
    return (
        (focal is None or not (focal < SHORTEST_FOCAL).any())
        and (point is None or not (np.abs(point) >= min(edge, LARGEST_FRAME)).any())
        and (size is None or _within(size, 0, LARGEST_SIDE))
    )


def _at_least(array: np.ndarray, low: float) -> bool:
    return not array.size or bool(array.min() >= low)


def _within(array: np.ndarray, low: float, high: float) -> bool:
    return _at_least(array, low) and (not array.size or bool(array.max() <= high))
