"""An .npz file whose arrays have one row for every person; people are read when needed."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from bodyreg.errors import UserError
from bodyreg.npz import NpzReader

Self = TypeVar("Self", bound="PeopleFile")

Layout = Mapping[str, tuple[str, tuple[int | str, ...]]]
"""Name of an array -> the NumPy kinds that its elements may have, and its shape after the N people.
A letter in a shape stands for a size that the file chooses; equal letters mean equal sizes."""

CAMERA: Layout = {"focal": ("iuf", ()), "principal_point": ("iuf", (2,))}
"""The arrays of perspective, which a file may lack; NaN = this person is seen without it."""


LARGEST = 1e8
"""Metres, pixels, radians and shares are below. Products of larger numbers would leave float32."""

UNLIMITED = ("loss",)
"""Arrays whose numbers may be larger: they are shown, and nothing is computed from them."""


class PeopleFile:
    """The open file. Its headers are checked at once.

    `id` (N,) names the people, and `frame` (N, 3) is where they are in their pictures.

    Args:
        path: The file.
        kind: The word for such a file in messages.
        form: The text that its `format` must hold.
        arrays: Its arrays of people.
        optional: Names of `arrays` that may be missing.
        others: Names of further arrays that must not be missing.

    Attributes:
        path: The file.
        sizes: Letter of `arrays` -> its size in this file.

    Raises:
        UserError: the file is missing, damaged or of another format, or an array is missing or has
            the wrong shape or type.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        kind: str,
        form: str,
        arrays: Layout,
        *,
        optional: Container[str] = (),
        others: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self._reader = NpzReader(path, kind=kind)
        try:
            self._reader.require(form, (*(n for n in arrays if n not in optional), *others))
            self._arrays = {n: kind for n, kind in arrays.items() if n in self._reader.names}
            self._check()
        except BaseException:
            self._reader.close()
            raise

    def _check(self) -> None:
        ids = self._reader.shape("id")
        self._people = ids[0] if ids else -1
        self.sizes: dict[str, int] = {}
        for name, (kinds, rest) in self._arrays.items():
            shape, dtype = self._reader.shape(name), self._reader.dtype(name)
            if len(shape) == 1 + len(rest):
                found = zip(rest, shape[1:], strict=True)
                self.sizes = {n: size for n, size in found if isinstance(n, str)} | self.sizes
            if shape != (
                self._people,
                *(self.sizes.get(n) if isinstance(n, str) else n for n in rest),
            ):
                of = "".join(f", {n} = {self.sizes[n]}" for n in rest if n in self.sizes)
                raise UserError(
                    f"{self.path}: {name} has shape {shape}, expected {_written(('N', *rest))} "
                    f"of {self._people} people{of}"
                )
            if dtype.kind not in kinds:
                raise UserError(f"{self.path}: {name} has dtype {dtype}, which is no {name}")

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def __len__(self) -> int:
        return self._people

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people."""
        return self._reader.read("id").astype(np.int64)

    def frames(self) -> np.ndarray:
        """(N, 3) float32, the crops of all people: centre_x, centre_y, half_side, pixels."""
        return self._numbers("frame", self._reader.read("frame"), self.ids())

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The arrays of the people from `start` up to `stop`, by name; numbers are float32.

        Raises:
            UserError: the file is damaged, or holds a number that is not finite or too large, or a
                focal length that is not positive.
        """
        arrays = {name: self._reader.rows(name, start, stop) for name in self._arrays}
        for name, (kinds, _) in self._arrays.items():
            if "f" in kinds:
                arrays[name] = self._numbers(name, arrays[name], arrays["id"])
        if "focal" in arrays and (arrays["focal"] <= 0).any():
            person = arrays["id"][(arrays["focal"] <= 0).argmax()]
            raise UserError(f"{self.path}: focal of person {person} is not positive")
        return arrays

    def _numbers(self, name: str, array: np.ndarray, ids: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # infinity is refused
            array = array.astype(np.float32, copy=False)
        limit = np.float32(np.inf) if name in UNLIMITED else LARGEST
        known = np.where(np.isnan(array), 0, array) if name in CAMERA else array
        if -limit < known.min(initial=0) and known.max(initial=0) < limit:  # and no NaN
            return array
        finite, near = np.isfinite(known), np.abs(known) < limit
        what = f"is not below {LARGEST:g}; check the units" if finite.all() else "is not finite"
        bad = ~(near if finite.all() else finite).reshape(len(array), -1).all(axis=1)
        raise UserError(f"{self.path}: {name} of person {ids[bad.argmax()]} {what}")


def _written(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
