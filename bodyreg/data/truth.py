"""The truth about made people: their parameters, their surface, and what is visible of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from bodyreg.data.frames import perspective_in_frame, reframed, seen_in_perspective
from bodyreg.data.people_file import CAMERA, Layout, PeopleFile
from bodyreg.errors import UserError
from bodyreg.npz import save_npz

FORMAT = "bodyreg-truth-2"


@dataclass(eq=False)
class Truth:
    """N people. A point p (metres, camera axes) is at scale · p + translation, frame units.

    If the picture has perspective, it shows the pelvis at this place, and other points where
    `in_frame` says.

    Attributes:
        id: (N,) int64, as in the observations.
        frame: (N, 3) float32 centre_x, centre_y, half_side in image pixels.
        pose: (N, 24, 3) float32 axis-angle, radians.
        segment_scale: (N, 24) float32.
        shape: (N, S) float32, coefficients of the body's shape directions.
        rotation: (N, 3, 3) float32, model to camera axes.
        scale: (N,) float32, frame units per metre.
        translation: (N, 2) float32, frame units.
        vertices: (N, V, 3) float32 metres, camera axes: x right, y up, z toward the viewer.
        joints: (N, 24, 3) float32 likewise.
        visible: (N, V) bool, vertices that the picture shows.
        action: (N,) str, the person's action, in Human3.6M's words, or the name of a motion file.
        subject: (N,) str, the person's name, if the data set shows people several times; or "".
        camera: (N,) str, the camera's name, if the data set names its cameras; or "".
        child: (N,) bool.
        cut: (N,) float32, share of the body's silhouette that lies outside the picture.
        occluded: (N,) float32, covered share of the silhouette's part inside the picture.
        body: fingerprint of the body that the people were made from.
        focal: (N,) float32, the focal length of the picture in pixels; NaN = no perspective. None
            if this is so of all.
        principal_point: (N, 2) float32, where the camera's axis meets the picture, pixels; NaN
            where `focal` is. None if `focal` is.
    """

    id: np.ndarray
    frame: np.ndarray
    pose: np.ndarray
    segment_scale: np.ndarray
    shape: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    visible: np.ndarray
    action: np.ndarray
    subject: np.ndarray
    camera: np.ndarray
    child: np.ndarray
    cut: np.ndarray
    occluded: np.ndarray
    body: str
    focal: np.ndarray | None = None
    principal_point: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.id)

    def placed(self, points: np.ndarray) -> np.ndarray:
        """Points (N, P, 3), metres in camera axes -> (N, P, 3) frame units, in true proportions."""
        placed = self.scale[:, None, None] * points
        placed[..., :2] += self.translation[:, None]
        return placed

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Where the picture shows points (N, P, 3), which `placed` gives; as `Fits.seen`."""
        if self.focal is None:
            return points
        perspective = perspective_in_frame(self.focal, self.principal_point, None, self.frame)
        return seen_in_perspective(points, perspective)

    def in_frame(self, points: np.ndarray) -> np.ndarray:
        """Points (N, P, 3), metres in camera axes -> xy (N, P, 2) in the picture, frame units."""
        return self.seen(self.placed(points))[..., :2]

    def in_frames(self, frame: np.ndarray) -> Truth:
        """The same people in the same pictures, seen through other crops; as `Fits.in_frames`."""
        scale, translation = reframed(self.scale, self.translation, self.frame, frame)
        return replace(self, frame=frame, scale=scale, translation=translation)

    def select(self, people: np.ndarray) -> Truth:
        """The people at these positions, in this order."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {n: v[people] for n, v in values.items() if isinstance(v, np.ndarray)}
        return Truth(**values)

    @staticmethod
    def concatenate(parts: Sequence[Truth]) -> Truth:
        """Several sets of people of one body, one after the other; all or none have cameras."""
        first = parts[0]
        values: dict[str, Any] = {}
        for field in fields(first):
            value = getattr(first, field.name)
            if isinstance(value, np.ndarray):
                value = np.concatenate([getattr(part, field.name) for part in parts])
            values[field.name] = value
        return Truth(**values)

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-truth-2 file; `facts` say what made it, and are stored too."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        save_npz(path, format=FORMAT, **(arrays | facts))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Truth:
        """Read a bodyreg-truth-2 file.

        Raises:
            UserError: the file is missing, damaged or of another format, its arrays do not fit each
                other, or a number is not finite.
        """
        with TruthFile(path) as file:
            return file.read(0, len(file))


class TruthFile(PeopleFile):
    """An open bodyreg-truth-2 file; people are read and checked when needed.

    Raises:
        UserError: as `PeopleFile`.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__(path, "truth", FORMAT, ARRAYS, optional=OPTIONAL, others=["body"])
        self.body, self.vertex_count = str(self._reader.texts("body")), self.sizes["V"]

    def read(self, start: int, stop: int) -> Truth:
        """The truth about the people from `start` up to `stop`.

        Raises:
            UserError: the file is damaged, a number is not finite or too large, or a camera's
                scale is not positive.
        """
        truth = Truth(**self.rows(start, stop), body=self.body)
        bad = ~(truth.scale > 0)  # lengths are divided by it
        if bad.any():
            raise UserError(
                f"{self.path}: scale of person {truth.id[bad.argmax()]} is not positive"
            )
        return truth


ARRAYS: Layout = {
    "id": ("iu", ()), "frame": ("f", (3,)), "pose": ("f", (24, 3)), "segment_scale": ("f", (24,)),
    "shape": ("f", ("S",)), "rotation": ("f", (3, 3)), "scale": ("f", ()),
    "translation": ("f", (2,)), "vertices": ("f", ("V", 3)), "joints": ("f", (24, 3)),
    "visible": ("b", ("V",)), "action": ("U", ()), "subject": ("U", ()), "camera": ("U", ()),
    "child": ("b", ()), "cut": ("f", ()), "occluded": ("f", ()), **CAMERA,
}  # fmt: skip
"""The arrays of the file format, with V vertices and S shape directions."""

OPTIONAL = tuple(CAMERA)
"""Those of them that may be missing."""

assert set(ARRAYS) | {"body"} == {field.name for field in fields(Truth)}
