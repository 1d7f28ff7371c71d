"""What pictures show of people: dense points, keypoints, depths — one entry per person."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.frames import boxes_of_points, frames_of_boxes
from bodyreg.errors import UserError
from bodyreg.npz import as_texts, save_npz

if TYPE_CHECKING:
    from bodyreg.body import Body

FORMAT = "bodyreg-observations-1"

# No person is so few pixels large. Such coordinates are shares of the picture's sides, from 0 to 1
# or from -1 to 1; a reader may have added half a pixel. One point or two may be a mistake.
CORNER, FEWEST = 2, 3
# A coordinate this many half sides from its frame is a mistake of units, and its square would be
# lost in float32.
FARTHEST = 1e4


@dataclass(eq=False)
class Observations:
    """N people, P dense points in all (person n owns points point_start[n] to point_start[n + 1]).

    Coordinates are image pixels, y down, as in the pictures; `frames.frame_from_image` turns them
    into frame units. Arrays are converted to the dtypes below when an instance is made.

    Attributes:
        id: (N,) int64, the people's names in their source.
        frame: (N, 3) float32, the square crop: centre_x, centre_y, half_side in pixels.
        point_start: (N + 1,) int64, from 0 to P, never falling.
        point_xy: (P, 2) float32 pixels.
        point_vertex: (P, 3) int32, the body vertices of the triangle a point lies in.
        point_barycentric: (P, 3) float32, its position there; sums to 1.
        point_weight: (P,) float32 >= 0.
        keypoint_name: K names of the body's joints or landmarks.
        keypoint_xy: (N, K, 2) float32 pixels; 0 where the weight is 0.
        keypoint_weight: (N, K) float32 >= 0, 0 = absent.
        keypoint_depth: (N, K) float32, frame units toward the viewer relative to the pelvis, NaN =
            absent; or None.
        body: fingerprint of the body that `point_vertex` refers to; "" = not recorded.
        picture: (N,) str, the file of each person's picture in the data set's folder of pictures,
            "" = not known; or None.
    """

    id: np.ndarray
    frame: np.ndarray
    point_start: np.ndarray
    point_xy: np.ndarray
    point_vertex: np.ndarray
    point_barycentric: np.ndarray
    point_weight: np.ndarray
    keypoint_name: tuple[str, ...]
    keypoint_xy: np.ndarray
    keypoint_weight: np.ndarray
    keypoint_depth: np.ndarray | None = None
    body: str = ""
    picture: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.keypoint_name = tuple(str(name) for name in self.keypoint_name)
        self.body = str(self.body)
        for name, dtype in _DTYPES.items():
            if getattr(self, name) is not None:
                setattr(self, name, _convert(name, getattr(self, name), dtype))
        if self.picture is not None:
            self.picture = _texts("picture", self.picture)
        if self.keypoint_xy.shape[:2] == self.keypoint_weight.shape:
            # An absent keypoint may be NaN, which would survive a multiplication by its weight.
            absent = self.keypoint_weight == 0
            self.keypoint_xy = np.where(absent[..., None], np.float32(0), self.keypoint_xy)

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def of_keypoints(
        cls,
        names: Sequence[str],
        xy: np.ndarray,
        weight: np.ndarray,
        *,
        id: np.ndarray | None = None,
        frame: np.ndarray | None = None,
        picture: np.ndarray | None = None,
    ) -> Observations:
        """People of whom only keypoints are known.

        Args:
            names: K joints or landmarks of the body.
            xy: (N, K, 2) pixels.
            weight: (N, K), 0 = absent.
            id: (N,); 0, 1, 2 ... if left out.
            frame: (N, 3); the crops of the boxes round the keypoints that are there, if left out.
            picture: (N,) str.
        """
        people = len(xy)
        if frame is None:
            frame = frames_of_boxes(boxes_of_points(xy, weight > 0))
        return cls(
            id=np.arange(people) if id is None else id,
            frame=frame,
            point_start=np.zeros(people + 1, np.int64),
            point_xy=np.zeros((0, 2)),
            point_vertex=np.zeros((0, 3), np.int32),
            point_barycentric=np.zeros((0, 3)),
            point_weight=np.zeros(0),
            keypoint_name=tuple(names),
            keypoint_xy=xy,
            keypoint_weight=weight,
            picture=picture,
        )

    @property
    def point_person(self) -> np.ndarray:
        """(P,) int64, the position of each point's person."""
        return np.repeat(np.arange(len(self)), np.diff(self.point_start))

    @property
    def has_evidence(self) -> np.ndarray:
        """(N,) bool: people with a point or keypoint of positive weight.

        Several of them must not be in one place, which would shrink a body to a point.
        """
        present = self.keypoint_weight > 0
        x = self.keypoint_xy[..., 0]
        if present.shape[1] > 1 and present.all() and (x.max(axis=1) > x.min(axis=1)).all():
            return np.ones(len(self), bool)
        points = np.bincount(self.point_person[self.point_weight > 0], minlength=len(self))
        low, high = self._corners()
        return (present.sum(axis=1) + points == 1) | (low < high).any(axis=1)

    def select(self, people: np.ndarray | slice) -> Observations:
        """The people at these positions (or where a mask of N is true), in this order.

        As of any array, people in a row (a slice of step 1) are views, others copies.
        """
        if isinstance(people, slice) and people.indices(len(self))[2] == 1:
            first, last, _ = people.indices(len(self))
            last = max(first, last)
            people = slice(first, last)
            points = slice(self.point_start[first], self.point_start[last])
            start = self.point_start[first : last + 1] - self.point_start[first]
        else:
            people = np.arange(len(self))[people].reshape(-1)
            counts = np.diff(self.point_start)[people]
            start = np.concatenate([[0], np.cumsum(counts)])
            points = np.arange(start[-1]) + np.repeat(self.point_start[people] - start[:-1], counts)
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "point_start":
                value = start
            elif field.name.startswith("point_"):
                value = value[points]
            elif isinstance(value, np.ndarray):
                value = value[people]
            values[field.name] = value
        selected = copy(self)  # without a conversion of what is converted already
        vars(selected).update(values)
        return selected

    @staticmethod
    def concatenate(parts: Sequence[Observations]) -> Observations:
        """The people of several observations, with the same keypoints, one after the other."""
        values = {}
        for name in _DTYPES:
            arrays = [getattr(part, name) for part in parts]
            if name == "point_start":
                counts = np.concatenate([np.diff(start) for start in arrays])
                values[name] = np.concatenate([[0], np.cumsum(counts)])
            elif any(array is not None for array in arrays):
                values[name] = np.concatenate(
                    [
                        np.full(part.keypoint_weight.shape, np.nan) if array is None else array
                        for part, array in zip(parts, arrays, strict=True)
                    ]
                )
        body = next((part.body for part in parts if part.body), "")
        pictures = [part.picture for part in parts]
        if any(picture is not None for picture in pictures):
            values["picture"] = np.concatenate(
                [
                    np.full(len(part), "") if picture is None else picture
                    for part, picture in zip(parts, pictures, strict=True)
                ]
            )
        return Observations(**values, keypoint_name=parts[0].keypoint_name, body=body)

    def check(self, body: Body | None = None, *, source: str = "observations") -> None:
        """Refuse what cannot be registered.

        Args:
            body: Also check vertices and keypoint names against this body.
            source: The file's name, for messages.

        Raises:
            UserError: naming the source, the array and the person of the first thing wrong.
        """
        self._check_shapes(source)
        self._check_values(source)
        if body is not None:
            self._check_body(body, source)

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-observations-1 file; `facts` (what made it) are stored beside."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays["keypoint_name"] = np.array(self.keypoint_name, dtype=np.str_)
        arrays = {name: array for name, array in arrays.items() if array is not None} | facts
        save_npz(path, format=FORMAT, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Observations:
        """Read and check a bodyreg-observations-1 file.

        Raises:
            UserError: the file is missing, damaged, of another format, or `check` refuses it.
        """
        from bodyreg.data.stored import ObservationsFile

        with ObservationsFile(path) as file:
            return file.read(0, len(file))

    def _check_shapes(self, source: str) -> None:
        points = len(self.point_xy)
        expected = expected_shapes(len(self.id), points, len(self.keypoint_name))
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise UserError(f"{source}: {name} has shape {array.shape}, expected {shape}")
        start = self.point_start
        if start[0] != 0 or start[-1] != points or (start[1:] < start[:-1]).any():
            raise UserError(
                f"{source}: point_start must rise from 0 to the {points} points there are"
            )

    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) least and (N, 2) largest x and y of what has a positive weight; else infinite."""
        present = (self.keypoint_weight > 0)[..., None]
        low = np.where(present, self.keypoint_xy, np.inf).min(axis=1, initial=np.inf)
        high = np.where(present, self.keypoint_xy, -np.inf).max(axis=1, initial=-np.inf)
        positive = self.point_weight > 0
        person, xy = self.point_person[positive], self.point_xy[positive]
        np.minimum.at(low, person, xy)
        np.maximum.at(high, person, xy)
        return low, high

    def _check_values(self, source: str) -> None:
        if self._bounds_hold():
            return

        def refuse(name: str, bad: np.ndarray, what: str) -> None:
            if bad.any():
                first = np.argwhere(bad)[0][0]
                person = self.point_person[first] if name.startswith("point_") else first
                raise UserError(f"{source}: {name} of person {self.id[person]} {what}")

        for name in ("frame", "point_xy", "point_barycentric", "point_weight", "keypoint_weight"):
            refuse(name, ~np.isfinite(getattr(self, name)), "is not finite")
        present = self.keypoint_weight > 0
        refuse("keypoint_xy", present[..., None] & ~np.isfinite(self.keypoint_xy), "is not finite")
        refuse("frame", self.frame[:, 2] <= 0, "has no area (half_side must be positive)")
        refuse("point_weight", self.point_weight < 0, "is negative")
        refuse("keypoint_weight", self.keypoint_weight < 0, "is negative")
        refuse("point_vertex", self.point_vertex < 0, "is negative")
        unit_sum = np.abs(self.point_barycentric.sum(axis=1) - 1) < 1e-3
        refuse("point_barycentric", ~unit_sum, "does not sum to 1")
        refuse("point_barycentric", self.point_barycentric < -1e-3, "is negative")
        if self.keypoint_depth is not None:
            refuse("keypoint_depth", np.isinf(self.keypoint_depth), "is infinite (NaN = absent)")

        far = f"is more than {FARTHEST:g} times its frame's half side away; check the units"
        frame = self.frame[self.point_person]
        offset = np.abs(self.point_xy - frame[:, :2])
        refuse("point_xy", offset > FARTHEST * frame[:, 2:], far)
        offset = np.abs(self.keypoint_xy - self.frame[:, None, :2])
        too_far = offset > FARTHEST * self.frame[:, None, 2:]
        refuse("keypoint_xy", present[..., None] & too_far, far)

        low, high = self._corners()
        shares = (np.maximum(-low, high) <= CORNER).all(axis=1) & (low < high).any(axis=1)
        shares &= present.sum(axis=1) + np.diff(self.point_start) >= FEWEST
        if shares.any():
            raise UserError(
                f"{source}: person {self.id[shares.argmax()]} lies within {CORNER} pixels of the "
                "picture's corner, so coordinates are shares of the picture; write them in pixels "
                "(OpenPose: --keypoint_scale 0)"
            )

    def _bounds_hold(self) -> bool:
        """Whether the arrays' extremes alone prove that `_check_values` refuses nothing.

        They do for sound data, in a tenth of the time. A comparison with NaN is false.
        """
        if not len(self):
            return False
        # The nearest edge of any frame's surroundings, in pixels from the origin.
        edge = FARTHEST * float(self.frame[:, 2].min()) - float(np.abs(self.frame).max())
        x, y, z = self.point_barycentric.T
        depth = self.keypoint_depth
        return (
            edge > 0  # which proves that frames are finite
            and (np.abs(self.keypoint_xy).max(axis=(1, 2), initial=0) > CORNER).all()
            and _within(self.keypoint_xy, -edge, edge)  # absent ones are 0
            and _within(self.point_xy, -edge, edge)
            and _within(self.point_weight, 0, _LARGEST)
            and _within(self.keypoint_weight, 0, _LARGEST)
            and _at_least(self.point_vertex, 0)
            and _at_least(self.point_barycentric, -1e-3)
            and _within(x + y + z, 1 - 9e-4, 1 + 9e-4)
            and (depth is None or not np.isinf(depth).any())
        )

    def _check_body(self, body: Body, source: str) -> None:
        if self.body and self.body != body.fingerprint and len(self.point_xy):
            raise UserError(
                f"{source}: its points refer to the vertices of another body ({self.body}) than "
                f"'{body.name}' ({body.fingerprint}); register it with the body it was made for"
            )
        count = len(body.vertices)
        if self.point_vertex.max(initial=0) >= count:
            bad = (self.point_vertex >= count).any(axis=1)
            person = self.id[self.point_person[bad.argmax()]]
            raise UserError(
                f"{source}: point_vertex of person {person} is out of range: "
                f"{self.point_vertex.max()}, but body '{body.name}' has {count} vertices"
            )
        body.check_keypoints(self.keypoint_name)


def expected_shapes(people: int, points: int, keypoints: int) -> dict[str, tuple[int, ...]]:
    """The shape of every array, of so many people with so many points in all."""
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
        "picture": (people,),
    }


_DTYPES = {
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
}


_LARGEST = float(np.finfo(np.float32).max)


def _at_least(array: np.ndarray, low: float) -> bool:
    return not array.size or bool(array.min() >= low)


def _within(array: np.ndarray, low: float, high: float) -> bool:
    return _at_least(array, low) and (not array.size or bool(array.max() <= high))


def _convert(name: str, value: np.ndarray, dtype: type) -> np.ndarray:
    array = np.asarray(value)
    number = array.dtype.kind in "iu" or (array.dtype.kind in "fb" and dtype is np.float32)
    if not number and array.size:
        raise UserError(f"{name} has dtype {array.dtype}, expected {np.dtype(dtype)}")
    if array.size and dtype is not np.float32 and array.dtype != dtype:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise UserError(f"{name} holds a number too large for {np.dtype(dtype)}")
    with np.errstate(over="ignore"):  # infinity is refused by the check, with the person's id
        return np.ascontiguousarray(array, dtype)


def _texts(name: str, value: np.ndarray) -> np.ndarray:
    try:
        return as_texts(np.asarray(value))
    except TypeError as error:
        raise UserError(f"{name} has {error}") from None
