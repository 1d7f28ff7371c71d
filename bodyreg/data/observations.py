"""What pictures show of people: dense points, keypoints and depths, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.data.frames import boxes_of_points, frame_from_image, frames_of_boxes
from bodyreg.data.observation_arrays import FORMAT, ObservationArrays
from bodyreg.data.observation_checks import (
    DTYPES,
    check_shapes,
    check_values,
    converted,
    extents,
    texts,
    unknown,
)
from bodyreg.errors import UserError
from bodyreg.npz import save_npz

if TYPE_CHECKING:
    from bodyreg.body import Body

OF_KEYPOINTS = ("keypoint_xy", "keypoint_weight", "keypoint_depth", "keypoint_depth_spread")
"""Arrays with a column for each keypoint."""


@dataclass(eq=False)
class Observations:
    """N people with P dense points; the points of a person lie in a row, see `points_of`.

    Coordinates are image pixels, y down, as in the pictures; `points_in_frame` and
    `keypoints_in_frame` give frame units. An instance converts its arrays to the dtypes below when
    it is made, and is not changed later.

    Attributes:
        id: (N,) int64, the numbers of the people in their source.
        frame: (N, 3) float32, the square crop: centre_x, centre_y, half_side in pixels.
        point_start: (N + 1,) int64, from 0 to P, rising: the first point of each person.
        point_xy: (P, 2) float32 pixels.
        point_vertex: (P, 3) int32, the vertices of the body's triangle that holds the point.
        point_barycentric: (P, 3) float32, the position in that triangle; sums to 1.
        point_weight: (P,) float32 >= 0.
        keypoint_name: K names of the body's joints or landmarks.
        keypoint_xy: (N, K, 2) float32 pixels; 0 if the weight is 0.
        keypoint_weight: (N, K) float32 >= 0, 0 = absent.
        keypoint_depth: (N, K) float32 frame units toward the viewer, relative to the pelvis; NaN =
            absent. Or None.
        keypoint_depth_spread: (N, K) float32 > 0, standard deviations of the depths, frame units,
            where a network has estimated them; NaN = not known. Or None.
        body: fingerprint of the body that `point_vertex` refers to; "" = not recorded.
        picture: (N,) str, the file of each person's picture, relative to the data set's folder of
            pictures; "" = not known. Or None.
        focal: (N,) float32, the focal length of each person's picture in pixels; NaN = not known,
            inf = so long that there is no perspective. Or None.
        principal_point: (N, 2) float32 pixels, where the camera's axis meets the picture; NaN =
            the picture's middle. Or None.
        picture_size: (N, 2) int32, width and height of each person's picture in pixels; 0 = not
            known. Or None.
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
    keypoint_depth_spread: np.ndarray | None = None
    body: str = ""
    picture: np.ndarray | None = None
    focal: np.ndarray | None = None
    principal_point: np.ndarray | None = None
    picture_size: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.keypoint_name = tuple(str(name) for name in self.keypoint_name)
        self.body = str(self.body)
        for name in DTYPES:
            if getattr(self, name) is not None:
                setattr(self, name, converted(name, getattr(self, name)))
        if self.picture is not None:
            self.picture = texts("picture", self.picture)
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
        focal: np.ndarray | None = None,
        principal_point: np.ndarray | None = None,
        picture_size: np.ndarray | None = None,
    ) -> Observations:
        """People with keypoints and without dense points.

        Args:
            names: K joints or landmarks of the body.
            xy: (N, K, 2) pixels.
            weight: (N, K), 0 = absent.
            id: (N,); 0, 1, 2 ... if left out.
            frame: (N, 3); if left out, the crops round the boxes of the present keypoints.
            picture: (N,) str.
            focal, principal_point, picture_size: What is known of the camera; see the attributes.
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
            focal=focal,
            principal_point=principal_point,
            picture_size=picture_size,
        )

    @property
    def point_person(self) -> np.ndarray:
        """(P,) int64, the position of each point's person."""
        return np.arange(len(self)).repeat(self.point_count)

    @property
    def point_count(self) -> np.ndarray:
        """(N,) int64, how many points each person has."""
        return self.point_start[1:] - self.point_start[:-1]

    def points_of(self, person: int) -> slice:
        """The slice of the points of the person at this position."""
        return slice(int(self.point_start[person]), int(self.point_start[person + 1]))

    def points_in_frame(self) -> np.ndarray:
        """(P, 2) float32 the points in the frame units of their people."""
        return frame_from_image(self.point_xy, self.frame.repeat(self.point_count, axis=0))

    def keypoints_in_frame(self) -> np.ndarray:
        """(N, K, 2) float32 the keypoints in frame units; without meaning if the weight is 0."""
        return frame_from_image(self.keypoint_xy, self.frame[:, None])

    @property
    def has_depths(self) -> np.ndarray:
        """(N,) bool: people with the depth of a keypoint of positive weight."""
        if self.keypoint_depth is None:
            return np.zeros(len(self), bool)
        return (np.isfinite(self.keypoint_depth) & (self.keypoint_weight > 0)).any(axis=1)

    @property
    def has_evidence(self) -> np.ndarray:
        """(N,) bool: people with a point or keypoint of positive weight.

        Two or more of them must not lie in one place: they would shrink a body to a point.
        """
        present, x = self.keypoint_weight > 0, self.keypoint_xy[..., 0]
        left = np.where(present, x, np.inf).min(axis=1, initial=np.inf)
        right = np.where(present, x, -np.inf).max(axis=1, initial=-np.inf)
        if (left < right).all():  # which is enough, and fast
            return np.ones(len(self), bool)
        points = np.bincount(self.point_person[self.point_weight > 0], minlength=len(self))
        lows, highs = zip(*extents(vars(self)), strict=True)
        apart = (np.minimum(*lows) < np.maximum(*highs)).any(axis=1)
        return (present.sum(axis=1) + points == 1) | apart

    def select(self, people: np.ndarray | slice) -> Observations:
        """The people at these positions, in this order.

        A slice of step 1 gives views of the arrays, other positions give copies.

        Args:
            people: Positions, a mask (N,), or a slice.
        """
        if isinstance(people, slice) and people.indices(len(self))[2] == 1:
            first, last, _ = people.indices(len(self))
            last = max(first, last)
            if last - first == len(self):
                return self._with({})
            people = slice(first, last)
            points = slice(self.point_start[first], self.point_start[last])
            start = self.point_start[first : last + 1] - self.point_start[first]
        else:
            people = np.arange(len(self))[people].reshape(-1)
            counts = self.point_count[people]
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
        return self._with(values)

    def _with(self, values: dict[str, Any]) -> Observations:
        """A copy with these values, without a conversion of the arrays, which have their types."""
        other = object.__new__(Observations)
        vars(other).update(vars(self) | values)
        return other

    def with_depths(
        self, depths: np.ndarray | None, spread: np.ndarray | None = None
    ) -> Observations:
        """The same people with these depths (N, K) of their keypoints, or without depths.

        Args:
            depths: As `keypoint_depth`.
            spread: As `keypoint_depth_spread`.
        """
        return replace(self, keypoint_depth=depths, keypoint_depth_spread=spread)

    def with_keypoints(self, names: Sequence[str]) -> Observations:
        """The same people with these keypoints, in this order; the people's own are among them.

        Keypoints that the people do not have are absent.
        """
        own = [tuple(names).index(name) for name in self.keypoint_name]
        values: dict[str, Any] = {"keypoint_name": tuple(names)}
        for name in OF_KEYPOINTS:
            array = getattr(self, name)
            if array is not None:
                values[name] = unknown(name, (len(self), len(names)))
                if name in ("keypoint_xy", "keypoint_weight"):
                    values[name][:] = 0
                values[name][:, own] = array
        return replace(self, **values)

    def keypoints_alone(self) -> Observations:
        """The same people without dense points and depths."""
        people = len(self)
        return replace(
            self,
            point_start=np.zeros(people + 1, np.int64),
            point_xy=np.zeros((0, 2)),
            point_vertex=np.zeros((0, 3), np.int32),
            point_barycentric=np.zeros((0, 3)),
            point_weight=np.zeros(0),
            keypoint_depth=None,
            keypoint_depth_spread=None,
        )

    @staticmethod
    def concatenate(parts: Sequence[Observations]) -> Observations:
        """The people of several observations, one after the other; their keypoints are equal.

        What only some of them have (depths, pictures, cameras) is not known of the others' people.
        """
        values = {}
        for name in DTYPES:
            arrays = [getattr(part, name) for part in parts]
            if name == "point_start":
                counts = np.concatenate([part.point_count for part in parts])
                values[name] = np.concatenate([[0], np.cumsum(counts)])
            elif any(array is not None for array in arrays):
                values[name] = np.concatenate(
                    [
                        unknown(name, part.keypoint_weight.shape) if array is None else array
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
        """Refuse people who cannot be registered.

        Args:
            body: If given, vertices and names of keypoints must be those of this body.
            source: The file's name, for messages.

        Raises:
            UserError: names the source, the array and the person of the first fault.
        """
        check_shapes(vars(self), len(self.keypoint_name), source)
        check_values(vars(self), source)
        if body is not None:
            self._check_body(body, source)

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-observations-1 file; `facts` say what made it, and are stored too."""
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
        with ObservationsFile(path) as file:
            return file.read(0, len(file))

    def _check_body(self, body: Body, source: str) -> None:
        if self.body and self.body != body.fingerprint and len(self.point_xy):
            raise UserError(
                f"{source}: its points lie on another body ({self.body}) than '{body.name}' "
                f"({body.fingerprint}); give the body that the points were made for"
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


class ObservationsFile(ObservationArrays):
    """An open bodyreg-observations-1 file; people are read and checked when needed.

    Only the people that are read take memory. A file that `numpy.savez_compressed` wrote can only
    be read forward: read its people in order.

    Args:
        path: The file.
        body: If given, people are checked against this body too.

    Raises:
        UserError: as `ObservationArrays`.
    """

    def __init__(self, path: str | os.PathLike, body: Body | None = None) -> None:
        super().__init__(path)
        self._checked_for = body

    def __enter__(self) -> ObservationsFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, start: int, stop: int) -> Observations:
        """The people from `start` up to `stop`, checked.

        Raises:
            UserError: the file is damaged, or `Observations.check` refuses a person.
        """
        arrays: dict[str, Any] = self.rows(start, stop)
        try:
            observations = Observations(**arrays, keypoint_name=self.keypoint_name, body=self.body)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None
        observations.check(self._checked_for, source=str(self.path))
        return observations
