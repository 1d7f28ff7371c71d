"""Observations on disk, read by people: a file larger than memory, or a folder of such files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.observations import FORMAT, Observations, expected_shapes
from bodyreg.errors import UserError
from bodyreg.files import entries, fingerprint, is_folder
from bodyreg.npz import NpzReader

if TYPE_CHECKING:
    from bodyreg.body import Body

OPTIONAL = ("keypoint_depth", "body", "picture")

# People whose points are counted at a time when a file is opened.
COUNTED_AT_ONCE = 1 << 20


class ObservationsFile:
    """A bodyreg-observations-1 file, of which people are read and checked as they are wanted.

    Opening it checks the format, every array's shape and where people's points begin. Memory: that
    of the people asked for. Files that `numpy.savez_compressed` wrote are read forward only, so
    read them in order.

    Attributes:
        path: The file.
        keypoint_name: K names.

    Args:
        path: The file.
        body: Also check what is read against this body.

    Raises:
        UserError: the file is missing, damaged, of another format, or its arrays do not fit.
    """

    def __init__(self, path: str | os.PathLike, body: Body | None = None) -> None:
        self.path, self._checked_for = Path(path), body
        self._reader = NpzReader(path, kind="observations")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        reader, there = self._reader, set(self._reader.names)
        names = (field.name for field in fields(Observations))
        reader.require(FORMAT, [name for name in names if name not in OPTIONAL])
        keypoint_name = reader.texts("keypoint_name")
        if keypoint_name.ndim != 1:
            raise UserError(f"{self.path}: keypoint_name must be a list of names")
        self.keypoint_name = tuple(keypoint_name.tolist())
        self._body = str(reader.texts("body")) if "body" in there else ""

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
        """Starts are what other arrays are read by, so all of them are looked at first."""
        last = 0
        for start in range(0, self._people + 1, COUNTED_AT_ONCE):
            rows = self._reader.rows(
                "point_start", start, min(start + COUNTED_AT_ONCE, self._people + 1)
            )
            if rows.dtype.kind not in "iu":
                raise UserError(f"{self.path}: point_start has dtype {rows.dtype}, expected int64")
            begins = start > 0 or rows[0] == 0
            if not begins or rows[0] < last or (rows[1:] < rows[:-1]).any():
                last = -1
                break
            last = int(rows[-1])
        if last != self._points:
            raise UserError(
                f"{self.path}: point_start must rise from 0 to the {self._points} points there are"
            )

    def __enter__(self) -> ObservationsFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._people

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that name the file's content."""
        return fingerprint(self.path)

    def ids(self) -> np.ndarray:
        """(N,) the ids of all people."""
        return self._reader.read("id")

    def read(self, start: int, stop: int) -> Observations:
        """People `start` to `stop`, checked.

        Raises:
            UserError: the file is damaged, or `Observations.check` refuses a person.
        """
        point_start = self._reader.rows("point_start", start, stop + 1)
        values = {"point_start": point_start - point_start[0]}
        for name in self._arrays:
            if name == "point_start":
                continue
            first, last = point_start[[0, -1]] if name.startswith("point_") else (start, stop)
            values[name] = self._reader.rows(name, int(first), int(last))
        try:
            observations = Observations(**values, keypoint_name=self.keypoint_name, body=self._body)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None
        observations.check(self._checked_for, source=str(self.path))
        return observations


class ObservationsFolder:
    """A folder of bodyreg-observations-1 files (shards), which are one set of people.

    The people are those of its .npz files, in the order of the files' names. All shards must have
    the same keypoints in the same order; depths may be missing in some of them.

    Args:
        path: The folder.
        body: Also check what is read against this body.

    Raises:
        UserError: there is no such file in the folder, or one that `ObservationsFile` refuses, or
            the shards do not fit each other.
    """

    def __init__(self, path: str | os.PathLike, body: Body | None = None) -> None:
        self.path, self._checked_for = Path(path), body
        self.shards = [
            path
            for path in entries(self.path)
            if path.suffix.lower() == ".npz" and not path.name.startswith(".")
        ]
        if not self.shards:
            raise UserError(f"{path}: no .npz file of observations in this folder")
        self._open: ObservationsFile | None = None
        counts, names = [], []
        for shard, file in zip(self.shards, self._files(self.shards), strict=True):
            counts.append(len(file))
            names.append(file.keypoint_name)
            if names[-1] != names[0]:
                raise UserError(
                    f"{shard}: its keypoints are not those of {self.shards[0].name}; register "
                    "files with other keypoints by themselves"
                )
        self.keypoint_name = names[0]
        self._start = np.cumsum([0, *counts])

    def __len__(self) -> int:
        return int(self._start[-1])

    def close(self) -> None:
        """Close the file that was read last."""
        if self._open is not None:
            self._open.close()
        self._open = None

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that name the shards' content, in order."""
        prints = "".join(fingerprint(shard) for shard in self.shards)
        return hashlib.sha256(prints.encode()).hexdigest()

    def ids(self) -> np.ndarray:
        """(N,) the ids of all people."""
        return np.concatenate([file.ids() for file in self._files(self.shards)])

    def read(self, start: int, stop: int) -> Observations:
        """People `start` to `stop`, checked; as of `ObservationsFile`."""
        if start == stop:
            return next(self._files(self.shards[:1])).read(0, 0)
        first, last = self._start[:-1], self._start[1:]
        wanted = np.flatnonzero((first < stop) & (start < last))
        parts = [
            file.read(max(start - first[shard], 0), min(stop, last[shard]) - first[shard])
            for shard, file in zip(
                wanted, self._files([self.shards[s] for s in wanted]), strict=True
            )
        ]
        return parts[0] if len(parts) == 1 else Observations.concatenate(parts)

    def _files(self, shards: Sequence[Path]) -> Iterator[ObservationsFile]:
        """These files, one open at a time; the last one stays open for who reads on."""
        for shard in shards:
            if self._open is None or self._open.path != shard:
                self.close()
                self._open = ObservationsFile(shard, self._checked_for)
            yield self._open


class ObservationsInMemory:
    """People that were read as a whole, in the form of the others.

    Attributes:
        fingerprint: 64 hexadecimal digits that name the file they came from.
    """

    def __init__(self, observations: Observations, fingerprint: str) -> None:
        self.observations, self.fingerprint = observations, fingerprint

    def __len__(self) -> int:
        return len(self.observations)

    def ids(self) -> np.ndarray:
        """(N,) the ids of all people."""
        return self.observations.id

    def read(self, start: int, stop: int) -> Observations:
        """People `start` to `stop`."""
        if (start, stop) == (0, len(self)):
            return self.observations
        return self.observations.select(slice(start, stop))


StoredPeople = ObservationsFile | ObservationsFolder | ObservationsInMemory
"""Where people are read from, part by part: all have a length, `fingerprint`, `ids` and `read`."""


def open_observations(
    path: str | os.PathLike, body: Body | None = None
) -> ObservationsFile | ObservationsFolder:
    """A bodyreg-observations-1 file, or a folder of them, to read people from.

    Raises:
        UserError: as the two classes.
    """
    return (ObservationsFolder if is_folder(path) else ObservationsFile)(path, body)
