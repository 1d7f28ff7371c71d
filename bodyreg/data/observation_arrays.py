"""The arrays of a bodyreg-observations-1 file, read by rows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bodyreg.data.observation_checks import expected_shapes, wrong_starts
from bodyreg.errors import UserError
from bodyreg.files import fingerprint
from bodyreg.npz import NpzReader

FORMAT = "bodyreg-observations-1"

OPTIONAL = (
    "keypoint_depth", "keypoint_depth_spread", "picture", "focal", "principal_point",
    "picture_size",
)  # fmt: skip
"""Arrays of people that a file may lack."""

# Starts of points that are checked in one step when a file is opened.
STARTS_AT_ONCE = 1 << 20


class ObservationArrays:
    """The open file. Its format, the shape of every array, and `point_start` are checked at once.

    Args:
        path: The file.

    Attributes:
        path: The file.
        keypoint_name: K names.
        body: Fingerprint of the body that `point_vertex` refers to; "" = not recorded.

    Raises:
        UserError: the file is missing, damaged or of another format, or its arrays do not fit each
            other.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._reader = NpzReader(path, kind="observations")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        reader, there = self._reader, set(self._reader.names)
        needed = ["keypoint_name", *(n for n in expected_shapes(0, 0, 0) if n not in OPTIONAL)]
        reader.require(FORMAT, needed)
        keypoint_name = reader.texts("keypoint_name")
        if keypoint_name.ndim != 1:
            raise UserError(f"{self.path}: keypoint_name must be a list of names")
        self.keypoint_name = tuple(keypoint_name.tolist())
        self.body = str(reader.texts("body")) if "body" in there else ""

        people, self._points = (
            shape[0] if shape else 0 for shape in map(reader.shape, ("id", "point_xy"))
        )
        expected = expected_shapes(people, self._points, len(self.keypoint_name))
        self._arrays = [name for name in expected if name in there]
        for name in self._arrays:
            if reader.shape(name) != expected[name]:
                raise UserError(
                    f"{self.path}: {name} has shape {reader.shape(name)}, expected {expected[name]}"
                )
        self._people = people
        self._check_starts()

    def _check_starts(self) -> None:
        """Check all starts first: they say which rows of the other arrays are read."""
        last = 0
        for start in range(0, self._people + 1, STARTS_AT_ONCE):
            stop = min(start + STARTS_AT_ONCE, self._people + 1)
            rows = self._reader.rows("point_start", start, stop)
            if rows.dtype.kind not in "iu":
                raise UserError(f"{self.path}: point_start has dtype {rows.dtype}, expected int64")
            begins = start > 0 or rows[0] == 0
            if not begins or rows[0] < last or (rows[1:] < rows[:-1]).any():
                last = -1
                break
            last = int(rows[-1])
        if last != self._points:
            raise wrong_starts(self.path, self._points)

    def __len__(self) -> int:
        return self._people

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits: a hash of the file's content."""
        return fingerprint(self.path)

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people."""
        return self._reader.read("id")

    def pictures(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) str, the files of people's pictures; "" = unknown."""
        if "picture" not in self._arrays:
            return np.zeros(stop - start, np.str_)
        return self._reader.texts("picture", (start, stop))

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The arrays of the people from `start` up to `stop`, by name.

        Raises:
            UserError: the file is damaged.
        """
        point_start = self._reader.rows("point_start", start, stop + 1)
        arrays = {"point_start": point_start - point_start[0]}
        for name in self._arrays:
            if name == "point_start":
                continue
            first, last = point_start[[0, -1]] if name.startswith("point_") else (start, stop)
            arrays[name] = self._reader.rows(name, int(first), int(last))
        return arrays
