"""The shards of a registration: memory is that of a few shards, and a kill loses one at most."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import entries, is_there
from bodyreg.npz import NpzReader
from bodyreg.runs.shards import RUN, Shards, missing_shard
from bodyreg.runs.summary import Summary

if TYPE_CHECKING:
    from bodyreg.data import Fits

PEOPLE_PER_SHARD = 8192
"""About a million points: tens of MB to read, and enough to keep any device busy."""

PICTURES_PER_SHARD = 1024
"""The same where a network sees pictures: some minutes' work of a large one on a CPU."""

SHAPES_PER_SHARD = 256
"""The same where shapes are fitted, one person after the other: half a minute of a core."""

SUMMARY = "shard_summary"

Read = TypeVar("Read")
Fitted = TypeVar("Fitted")


class FittedShards(Shards):
    """The finished shards of a registration.

    Args:
        folder: The folder of the shards.
        people: The number of people in all.
        depends_on: As for `Shards`.
        size: The number of people of a shard.
    """

    def __init__(self, folder: Path, people: int, depends_on: Mapping[str, Any], size: int) -> None:
        super().__init__(folder, {**depends_on, "people_per_shard": size})
        self.people, self.size = people, size
        self._summaries: dict[int, Summary] = {}

    def of(self, depends_on: Mapping[str, Any]) -> FittedShards:
        """Those of a run that depends on something else."""
        return FittedShards(self.folder, self.people, depends_on, self.size)

    def __len__(self) -> int:
        return -(-self.people // self.size)

    def range(self, shard: int) -> tuple[int, int]:
        """The first person of a shard, and the one after its last."""
        first = shard * self.size
        return first, min(first + self.size, self.people)

    def path(self, shard: int) -> Path:
        """The file of a shard."""
        return self.folder / f"{shard:05}.npz"

    def paths(self) -> list[Path]:
        """The files of all shards."""
        return [self.path(shard) for shard in range(len(self))]

    def take_up(self) -> None:
        """Look for shards that an earlier start of this run has finished.

        Raises:
            UserError: the folder holds shards of another run.
        """
        super().take_up()
        self.look()

    def look(self) -> None:
        """Find shards that were finished since the last look."""
        there = set(entries(self.folder)) if is_there(self.folder) else set()
        for shard in range(len(self)):
            path = self.path(shard)
            if shard in self._summaries or path not in there or not self.is_finished(path):
                continue
            with contextlib.suppress(UserError), NpzReader(path, kind="shard") as file:
                text = file.read(SUMMARY).tobytes().decode()
                self._summaries[shard] = Summary.from_json(text)

    def require(self) -> None:
        """Check the shards before they are joined.

        Raises:
            UserError: a shard is missing, damaged, or of another run.
        """
        for shard in range(len(self)):
            if not self.is_finished(self.path(shard)) or shard not in self._summaries:
                raise missing_shard(self.path(shard))

    @property
    def missing(self) -> list[int]:
        """The shards that are not known to be finished."""
        return [shard for shard in range(len(self)) if shard not in self._summaries]

    @property
    def people_done(self) -> int:
        """The number of people in the shards known to be finished, skipped people included."""
        return sum(stop - start for start, stop in map(self.range, list(self._summaries)))

    @property
    def mean_loss(self) -> float:
        """Mean loss of the people fitted so far; NaN if there are none."""
        known = list(self._summaries.values())  # another thread adds to them
        people = sum(summary.people for summary in known)
        return sum(summary.loss for summary in known) / people if people else float("nan")

    @property
    def summary(self) -> Summary:
        """The summary of all shards known to be finished."""
        return sum((self._summaries[shard] for shard in sorted(self._summaries)), Summary())

    def write(self, shard: int, fits: Fits, summary: Summary) -> None:
        """Write a finished shard.

        Raises:
            UserError: it cannot be written.
        """
        self.begin()
        text = np.frombuffer(summary.to_json().encode(), np.uint8)
        fits.save(self.path(shard), **{RUN: self.run, SUMMARY: text})
        self._summaries[shard] = summary


def pipeline(
    shards: Sequence[int],
    read: Callable[[int], Read],
    fit: Callable[[Read], Fitted],
    write: Callable[[int, Read, Fitted], None],
) -> Iterator[int]:
    """Read, fit and write shards. While one is fitted, the next is read and the last is written.

    Yields:
        Each shard when it is fitted. At the end all are written.
    """
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading = reader.submit(read, shards[0]) if shards else None
        for place, shard in enumerate(shards):
            observed = reading.result()
            if place + 1 < len(shards):
                reading = reader.submit(read, shards[place + 1])
            fitted = fit(observed)
            if writing is not None:
                writing.result()
            writing = writer.submit(write, shard, observed, fitted)
            yield shard
        if writing is not None:
            writing.result()
