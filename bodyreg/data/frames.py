"""The square crop round a person, and all conversions between pixels and frame units.

A frame is `centre_x, centre_y, half_side` in image pixels (y down). Pixels are continuous: a
picture is [0, width] x [0, height], and the centre of its first pixel is (0.5, 0.5). Frame units
go from -1 to 1 across the crop, x right and y up. Files hold pixels; fits work in frame units.
"""

from __future__ import annotations

import numpy as np

# The crop's side over the longer side of the person's box, as in "Learning Body Shape and Pose from
# Dense Correspondences".
SIDE_PER_BOX = 1.2

PIXELS_PER_SCALE = 200
"""MPII's unit of a person's height. SPIN's and HMR's files give sides of crops in this unit."""

NOT_SPREAD_OUT = "no two joints of the body in different places"
"""Why a person with joints alone is skipped: there is no crop round them."""

_Y_UP = np.array([1.0, -1.0], np.float32)


def frame_from_image(xy: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Image pixels (..., 2), y down -> frame units (..., 2), y up; `frame` is (..., 3)."""
    return (xy - frame[..., :2]) / frame[..., 2:] * _Y_UP


def image_from_frame(xy: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Frame units (..., 2), y up -> image pixels (..., 2), y down; `frame` is (..., 3)."""
    return xy * _Y_UP * frame[..., 2:] + frame[..., :2]


def lengths_in_frame(pixels: np.ndarray | float, frame: np.ndarray) -> np.ndarray:
    """Lengths (...) in image pixels -> frame units; `frame` is (..., 3)."""
    return pixels / frame[..., 2]


def pixel_sizes(frame: np.ndarray, side: int = 256) -> np.ndarray:
    """(...,) image pixels per pixel of a crop (..., 3) that is drawn `side` pixels wide."""
    return 2 * frame[..., 2] / side


def corners(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left upper and right lower corners (..., 2) of crops (..., 3), float64 image pixels."""
    frame = np.asarray(frame, np.float64)
    return frame[..., :2] - frame[..., 2:], frame[..., :2] + frame[..., 2:]


def overlap(crops: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of crops (N, 3) and others (N, 3) of the same pictures."""
    (low, high), (other_low, other_high) = corners(crops), corners(others)
    common = np.minimum(high, other_high) - np.maximum(low, other_low)
    common = common.clip(min=0).prod(axis=-1)
    areas = (high - low).prod(axis=-1) + (other_high - other_low).prod(axis=-1)
    return common / (areas - common)


def reframed(
    scale: np.ndarray, translation: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cameras that show in other crops what they showed, at the same place of the picture.

    Args:
        scale: (N,) frame units per metre.
        translation: (N, 2) frame units.
        before: (N, 3) the crops of these numbers.
        after: (N, 3) the new crops.

    Returns:
        scale and translation in the frame units of the new crops.
    """
    zoom = before[:, 2] / after[:, 2]
    shift = frame_from_image(before[:, :2], after)
    return scale * zoom, translation * zoom[:, None] + shift


def principal_points(
    principal_point: np.ndarray | None, picture_size: np.ndarray | None, frame: np.ndarray
) -> np.ndarray:
    """Where the cameras' axes meet the pictures, pixels, also where it is not known.

    Args:
        principal_point: (N, 2) pixels; NaN, or None = the picture's middle.
        picture_size: (N, 2) pixels; 0, or None = not known. Then the picture's middle is taken to
            be the frame's middle.
        frame: (N, 3) the crops.

    Returns:
        (N, 2) float64.
    """
    point = np.array(frame[:, :2], np.float64)
    if picture_size is not None:
        point = np.where(picture_size > 0, picture_size / 2, point)
    if principal_point is not None:
        point = np.where(np.isnan(principal_point), point, principal_point)
    return point


def perspective_in_frame(
    focal: np.ndarray,
    principal_point: np.ndarray | None,
    picture_size: np.ndarray | None,
    frame: np.ndarray,
) -> np.ndarray:
    """What the perspective of `ops.projection` is in the people's frames.

    In frame units the model's origin is at the distance of the focal length, whatever the scale.

    Args:
        focal: (N,) pixels; NaN or inf = no perspective.
        principal_point, picture_size, frame: As of `principal_points`.

    Returns:
        (N, 3) float32: the inverse focal length, and x and y of the principal point, in frame
        units; zeros for people without perspective.
    """
    point = principal_points(principal_point, picture_size, frame)
    found = np.column_stack([frame[:, 2] / focal, frame_from_image(point, frame)])
    return np.where(found[:, :1] > 0, found, 0).astype(np.float32)


def seen_in_perspective(points: np.ndarray, perspective: np.ndarray) -> np.ndarray:
    """Points (N, P, 3) of weak perspective, frame units -> (N, P, 3) float32 as they are seen.

    x and y become those of `ops.projection` with this perspective (N, 3); the depth stays.
    """
    import torch

    from bodyreg import ops

    people = len(points)
    arrays = (  # of NumPy, which does not know what torch's default device and type are
        np.ascontiguousarray(points, np.float32),
        np.tile(np.eye(3, dtype=np.float32), (people, 1, 1)),
        np.ones(people, np.float32),
        np.zeros((people, 2), np.float32),
        perspective,
    )
    xy, depth = ops.projection(*map(torch.from_numpy, arrays))
    return np.concatenate([xy.numpy(), depth.numpy()[..., None]], axis=2)


def frames_of_boxes(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) as x, y, width, height in pixels -> square frames (N, 3) round their centres."""
    corner, size = boxes[:, :2], boxes[:, 2:]
    half_side = SIDE_PER_BOX / 2 * size.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # infinity is refused by the observations' check
        return np.concatenate([corner + size / 2, half_side], axis=1).astype(np.float32)


def spread_out(xy: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(N,) bool: people with present points (N, P, 2) in at least two places."""
    some = present.any(axis=1)
    boxes = np.zeros((len(xy), 4))
    boxes[some] = boxes_of_points(xy[some], present[some])
    return boxes[:, 2:].max(axis=1, initial=0) > 0


def in_one_place(xy: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(N,) bool: people with two present points (N, P, 2) or more, all in the same place."""
    first = np.take_along_axis(xy, present.argmax(axis=1)[:, None, None], 1)
    same = ((xy == first).all(axis=2) | ~present).all(axis=1)
    return same & (present.sum(axis=1) > 1) & np.isfinite(first).all(axis=(1, 2))


def boxes_of_points(xy: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
    """Points (N, P, 2) -> the boxes (N, 4) x, y, width, height that hold them.

    Args:
        xy: The points.
        present: (N, P) bool, the points that count, at least one in each row; all if left out.
    """
    present = np.ones(xy.shape[:2], bool) if present is None else present
    low = np.where(present[..., None], xy, np.inf).min(axis=1)
    high = np.where(present[..., None], xy, -np.inf).max(axis=1)
    return np.concatenate([low, high - low], axis=1)
