"""Fits in files: found by the ids of their people, and joined."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.fits import ARRAYS, FORMAT, NAMED, Fits, FitsFile
from bodyreg.errors import UserError
from bodyreg.npz import NpzReader, Rows, save_npz


class FitsById:
    """Finds fits in a file by the ids of their people. It keeps only the ids in memory.

    Raises:
        UserError: as `FitsFile`, or an id stands in the file twice.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._file = FitsFile(path)
        ids = self._file.ids()
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            raise UserError(f"{path}: names a person twice; ids must be unique to be matched")

    def ids(self) -> np.ndarray:
        """(N,) int64, the ids of all people, sorted."""
        return self._sorted

    def frames(self) -> np.ndarray:
        """(N, 3) float32, the crops of all people, in the order of `ids`."""
        return self._file.frames()[self._order]

    def of(self, ids: np.ndarray) -> Fits:
        """One block of the file: from the first to the last of the people with these ids.

        It holds no fit for an id that the file does not have, and may hold fits of other people.
        """
        place = np.searchsorted(self._sorted, ids)
        place = place[place < len(self._sorted)]
        found = self._order[place[np.isin(self._sorted[place], ids)]]
        if not len(found):
            return self._file.read(0, 0)
        return self._file.read(int(found.min()), int(found.max()) + 1)


def join_fits(
    path: str | os.PathLike, shards: Sequence[Path], *, within: Path | None = None, **facts: str
) -> int:
    """Write one bodyreg-fits-1 file with the people of several files, one after the other.

    The bytes equal those of `Fits.concatenate` and `Fits.save`. Memory: one array of one file.

    Args:
        path: The file to write.
        shards: Files that `Fits.save` wrote. Those with people have the same arrays.
        within: The folder of the temporary file, as in `files.atomic_path`.
        **facts: What made the file; stored as arrays too.

    Returns:
        The number of people.

    Raises:
        UserError: a shard is missing or damaged, the shards hold different arrays, or the file
            cannot be written.
    """
    layouts = {shard: _layout(shard) for shard in shards}
    people = sum(layout["id"][0][0] for layout in layouts.values())
    layouts = {shard: layout for shard, layout in layouts.items() if layout["id"][0][0]}
    if not layouts:
        Fits.empty().save(path, **facts)
        return 0
    first, *others = layouts
    for shard in others:
        if layouts[shard].keys() != layouts[first].keys():
            raise UserError(f"{shard}: its arrays are not those of {first.name}; make it again")

    def blocks(name: str) -> Iterator[np.ndarray]:
        for shard in layouts:
            with NpzReader(shard, kind="fits") as reader:
                yield reader.read(name)

    arrays: dict[str, Any] = {
        name: Rows((people, *shape[1:]), dtype, blocks(name))
        for name, (shape, dtype) in layouts[first].items()
    }
    save_npz(path, within=within, format=FORMAT, **(arrays | facts))
    return people


def _layout(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name -> shape and dtype of a file's arrays of people."""
    with NpzReader(path, kind="fits") as reader:
        return {
            name: (reader.shape(name), reader.dtype(name))
            for name in reader.names
            if name in ARRAYS or name.startswith(tuple(NAMED.values()))
        }
