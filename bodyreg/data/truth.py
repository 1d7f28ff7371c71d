"""What is known of made people: the parameters behind a data set, and the surface they give."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import NpzReader, save_npz

FORMAT = "bodyreg-truth-2"


@dataclass(eq=False)
class Truth:
    """N people. A point p (metres, camera axes) appears at scale p_xy + translation in its frame.

    Of a perspective camera that is the weak-perspective one which agrees with it at the depth of
    the pelvis.

    Attributes:
        id: (N,) int64, as in the observations.
        frame: (N, 3) float32 centre_x, centre_y, half_side in image pixels.
        pose: (N, 24, 3) float32 axis-angle.
        segment_scale: (N, 24) float32.
        shape: (N, S) float32, coefficients of the body's shape directions.
        rotation: (N, 3, 3) float32, model to camera axes.
        scale: (N,) float32, frame units per metre.
        translation: (N, 2) float32, frame units.
        vertices: (N, V, 3) float32 metres, camera axes: x right, y up, z toward the viewer.
        joints: (N, 24, 3) float32 likewise.
        visible: (N, V) bool, vertices that the picture shows.
        action: (N,) str, what the person is doing, in Human3.6M's words.
        subject: (N,) str, who it is where people appear more than once; else "".
        camera: (N,) str, which camera saw the person where cameras have names; else "".
        child: (N,) bool.
        cut: (N,) float32, share of the body's silhouette that lies outside the picture.
        occluded: (N,) float32, share of its silhouette inside the picture that something else
            covers.
        body: fingerprint of the body they were made from.
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

    def __len__(self) -> int:
        return len(self.id)

    def in_frame(self, points: np.ndarray) -> np.ndarray:
        """Points (N, P, 3), metres in camera axes -> xy (N, P, 2) in frame units."""
        return self.scale[:, None, None] * points[..., :2] + self.translation[:, None]

    def select(self, people: np.ndarray) -> Truth:
        """The people at these positions, in this order."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Truth(**{n: v if isinstance(v, str) else v[people] for n, v in values.items()})

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-truth-2 file; `facts` (what made it) are stored beside."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        save_npz(path, format=FORMAT, **arrays, **facts)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Truth:
        """Read a bodyreg-truth-2 file.

        Raises:
            UserError: the file is missing, damaged, of another format or not of one size.
        """
        with TruthFile(path) as file:
            return file.read(0, len(file))


class TruthFile:
    """A bodyreg-truth-2 file, of which people are read as they are wanted.

    Raises:
        UserError: the file is missing, damaged or of another format, or an array is missing or has
            the wrong shape or type.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = path
        self._reader = NpzReader(path, kind="truth")
        try:
            self._check()
        except BaseException:
            self._reader.close()
            raise

    def _check(self) -> None:
        path, reader = self._path, self._reader
        reader.require(FORMAT, (*ARRAYS, "body"))
        people = reader.shape("id")[0] if reader.shape("id") else -1
        vertices = reader.shape("vertices")[1] if len(reader.shape("vertices")) > 1 else -1
        for name, (kinds, rest) in ARRAYS.items():
            shape, sizes = reader.shape(name), {"V": vertices}
            expected = (people, *(sizes.get(size, size) for size in rest))
            if len(shape) != len(expected) or any(
                have != want for have, want in zip(shape, expected, strict=True) if want != "S"
            ):
                raise UserError(
                    f"{path}: {name} has shape {shape}, expected {_written(('N', *rest))} "
                    f"of {people} people and {vertices} vertices"
                )
            if reader.dtype(name).kind not in kinds:
                raise UserError(
                    f"{path}: {name} has dtype {reader.dtype(name)}, which is no {name}"
                )
        self._people, self.vertex_count = people, vertices
        self.body = str(reader.read("body"))

    def __enter__(self) -> TruthFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def __len__(self) -> int:
        return self._people

    def ids(self) -> np.ndarray:
        """(N,) int64 the ids of all people."""
        return self._reader.read("id").astype(np.int64)

    def read(self, start: int, stop: int) -> Truth:
        """The truth of people `start` to `stop`.

        Raises:
            UserError: the file is damaged, or holds a number that is not finite.
        """
        arrays = {name: self._reader.rows(name, start, stop) for name in ARRAYS}
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
                person = arrays["id"][bad.argmax()]
                raise UserError(f"{self._path}: {name} of person {person} is not finite")
        return Truth(**arrays, body=self.body)


def _written(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


ARRAYS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "id": ("iu", ()), "frame": ("f", (3,)), "pose": ("f", (24, 3)), "segment_scale": ("f", (24,)),
    "shape": ("f", ("S",)), "rotation": ("f", (3, 3)), "scale": ("f", ()),
    "translation": ("f", (2,)), "vertices": ("f", ("V", 3)), "joints": ("f", (24, 3)),
    "visible": ("b", ("V",)), "action": ("U", ()), "subject": ("U", ()), "camera": ("U", ()),
    "child": ("b", ()), "cut": ("f", ()), "occluded": ("f", ()),
}  # fmt: skip
"""Arrays of the file format: the kinds their elements may be of, and what follows the N people in
their shapes (V vertices, S shape directions)."""

assert set(ARRAYS) | {"body"} == {field.name for field in fields(Truth)}
