"""Observations that are read piece by piece: from a file, from a folder of files, from memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.focal import pixels_of_film
from bodyreg.data.observations import Observations, ObservationsFile
from bodyreg.errors import UserError
from bodyreg.files import entries, fingerprint, is_folder, path_inside
from bodyreg.pictures import read_header

HEADERS = 1 << 16
"""Pictures whose sizes are kept in memory: people of one picture follow each other."""

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data.focal import Focal


class ObservationsFolder:
    """One set of people in a folder of bodyreg-observations-1 files, its shards.

    The shards are the folder's .npz files, in the order of their names. They must have the same
    keypoints in the same order; some of them may lack depths.

    Args:
        path: The folder.
        body: If given, people are checked against this body too.

    Raises:
        UserError: the folder has no .npz file, `ObservationsFile` refuses one of them, or the
            shards do not fit each other.
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
                    f"{shard}: its keypoints are not those of {self.shards[0].name}; put files "
                    "with other keypoints into another folder"
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
        """64 hexadecimal digits: a hash of the contents of the shards, in order."""
        prints = "".join(fingerprint(shard) for shard in self.shards)
        return hashlib.sha256(prints.encode()).hexdigest()

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people."""
        return np.concatenate([file.ids() for file in self._files(self.shards)])

    def read(self, start: int, stop: int) -> Observations:
        """The people from `start` up to `stop`, checked; see `ObservationsFile.read`."""
        if start == stop:
            return next(self._files(self.shards[:1])).read(0, 0)
        parts = [file.read(*rows) for file, rows in self._within(start, stop)]
        return parts[0] if len(parts) == 1 else Observations.concatenate(parts)

    def pictures(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) str, the files of people's pictures; "" = unknown."""
        parts = [file.pictures(*rows) for file, rows in self._within(start, stop)]
        return np.concatenate([np.zeros(0, np.str_), *parts])

    def _within(self, start: int, stop: int) -> Iterator[tuple[ObservationsFile, tuple[int, int]]]:
        """The files of these people, and their rows in each."""
        first, last = self._start[:-1], self._start[1:]
        wanted = np.flatnonzero((first < stop) & (start < last))
        files = self._files([self.shards[shard] for shard in wanted])
        for shard, file in zip(wanted.tolist(), files, strict=True):
            rows = max(start - first[shard], 0), min(stop, last[shard]) - first[shard]
            yield file, rows

    def _files(self, shards: Sequence[Path]) -> Iterator[ObservationsFile]:
        """These files, one open at a time; the last one stays open for the next read."""
        for shard in shards:
            if self._open is None or self._open.path != shard:
                self.close()
                self._open = ObservationsFile(shard, self._checked_for)
            yield self._open


class ObservationsInMemory:
    """People that are in memory, with the interface of the files.

    Attributes:
        fingerprint: 64 hexadecimal digits: a hash of the file that they came from.
    """

    def __init__(self, observations: Observations, fingerprint: str) -> None:
        self.observations, self.fingerprint = observations, fingerprint

    def __len__(self) -> int:
        return len(self.observations)

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people."""
        return self.observations.id

    def pictures(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) str, the files of people's pictures; "" = unknown."""
        names = self.observations.picture
        return np.zeros(stop - start, np.str_) if names is None else names[start:stop]

    def read(self, start: int, stop: int) -> Observations:
        """The people from `start` up to `stop`."""
        if (start, stop) == (0, len(self)):
            return self.observations
        return self.observations.select(slice(start, stop))


class _MoreOfPeople:
    """People of whom more is known than their files tell, with the interface of the files.

    A subclass has `read`.
    """

    def __init__(self, people: StoredPeople) -> None:
        self._people = people

    def __len__(self) -> int:
        return len(self._people)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits: a hash of the files of the people, and of nothing else."""
        return self._people.fingerprint

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people."""
        return self._people.ids()

    def pictures(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) str, the files of people's pictures; "" = unknown."""
        return self._people.pictures(start, stop)


class ObservationsInPictures(_MoreOfPeople):
    """People whose pictures are at hand, with the interface of the files.

    Sizes that the people's files do not tell, and focal lengths, are read from the pictures.

    Args:
        people: The people.
        folder: The folder of their pictures.
    """

    def __init__(self, people: StoredPeople, folder: Path) -> None:
        super().__init__(people)
        self._camera = lru_cache(maxsize=HEADERS)(partial(_camera, folder))

    def read(self, start: int, stop: int) -> Observations:
        """The people from `start` up to `stop`. Of a missing picture nothing is known.

        Raises:
            UserError: as `read` of the people, or a picture's name leads out of the folder.
        """
        people = self._people.read(start, stop)
        if people.picture is None:
            return people
        cameras = arrays_of([self._camera(name) for name in people.picture.tolist()])
        return replace(people, **_filled(people, cameras))


def _camera(folder: Path, name: str) -> Camera:
    """What the beginning of a picture's file says; nothing of a missing picture."""
    if not name:
        return Camera()
    header = read_header(path_inside(folder, name, f"{folder}: a picture's name"))
    if header is None:
        return Camera()
    size = header.width, header.height
    if header.focal is None:
        return Camera(picture_size=size)
    return Camera(pixels_of_film(header.focal, *size), picture_size=size)


def _filled(people: Observations, cameras: dict[str, np.ndarray | None]) -> dict[str, Any]:
    """What the people's own arrays know, and where they do not, these."""
    filled: dict[str, Any] = {}
    for name in ("focal", "picture_size"):
        own, other = getattr(people, name), cameras[name]
        if own is None or other is None:
            filled[name] = own if other is None else other
        else:
            filled[name] = np.where(np.isnan(own) if name == "focal" else own == 0, other, own)
    return filled


class ObservationsOfFocal(_MoreOfPeople):
    """People in pictures of which the focal length is told, with the interface of the files.

    Args:
        people: The people.
        focal: The focal length.
    """

    def __init__(self, people: StoredPeople, focal: Focal) -> None:
        super().__init__(people)
        self._focal = focal

    def read(self, start: int, stop: int) -> Observations:
        """The people from `start` up to `stop`."""
        return self._focal.told_of(self._people.read(start, stop))


StoredPeople = (
    ObservationsFile
    | ObservationsFolder
    | ObservationsInMemory
    | ObservationsInPictures
    | ObservationsOfFocal
)
"""A source of people: it has a length, `fingerprint`, `ids`, `pictures` and `read`."""


def pictures_fingerprint(people: StoredPeople, folder: Path, *, content: bool) -> str:
    """64 hexadecimal digits: a hash of people's pictures, in the order of the people.

    Args:
        people: The people.
        folder: The folder of their pictures.
        content: Whether it is of the pictures' content. If not, it is of their sizes and focal
            lengths, for which only the beginnings of the files are read.

    Raises:
        UserError: a picture's name leads out of the folder.
    """
    read: Callable[[str], object] = lru_cache(maxsize=HEADERS)(
        partial(_content if content else _camera, folder)
    )
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as threads:  # disks that are far away answer late
        for start in range(0, len(people), HEADERS):
            found = people.pictures(start, min(start + HEADERS, len(people)))
            names = [name for name, _ in groupby(found.tolist())]
            for name, what in zip(names, threads.map(read, names), strict=True):
                digest.update(f"{name}\0{what}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _content(folder: Path, name: str) -> str:
    """The fingerprint of a picture; "" if it cannot be read."""
    if not name:
        return ""
    path = path_inside(folder, name, f"{folder}: a picture's name")
    try:
        return fingerprint(path)
    except UserError:
        return ""


def open_observations(
    path: str | os.PathLike, body: Body | None = None
) -> ObservationsFile | ObservationsFolder:
    """Open a bodyreg-observations-1 file, or a folder of such files.

    Args:
        path: The file or the folder.
        body: If given, people are checked against this body too.

    Raises:
        UserError: as `ObservationsFile` or `ObservationsFolder`.
    """
    return (ObservationsFolder if is_folder(path) else ObservationsFile)(path, body)
