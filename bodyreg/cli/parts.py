"""A run's people in parts, so that it needs the memory of a few and loses one when it is killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bodyreg.cli.part_folder import PartFolder
from bodyreg.cli.summary import Summary
from bodyreg.errors import UserError
from bodyreg.npz import NpzReader

if TYPE_CHECKING:
    from bodyreg.data import Fits

PEOPLE_PER_PART = 8192
"""Some ten million points: tens of MB to read, and enough to keep any device busy."""

SUMMARY = "part_summary"

Read = TypeVar("Read")
Fitted = TypeVar("Fitted")


class Parts(PartFolder):
    """The finished parts of a registration.

    Args:
        folder: Where.
        people: How many there are in all.
        run: What the parts depend on, as plain values for JSON. Equal values, equal parts.
    """

    def __init__(self, folder: Path, people: int, run: Mapping[str, Any]) -> None:
        super().__init__(folder, {**run, "people_per_part": PEOPLE_PER_PART})
        self.people = people
        self._summaries: dict[int, Summary] = {}

    def __len__(self) -> int:
        return -(-self.people // PEOPLE_PER_PART)

    def range(self, part: int) -> tuple[int, int]:
        """The first person of a part, and the one after its last."""
        first = part * PEOPLE_PER_PART
        return first, min(first + PEOPLE_PER_PART, self.people)

    def path(self, part: int) -> Path:
        """The file of a part."""
        return self.folder / f"{part:05}.npz"

    def paths(self) -> list[Path]:
        """The files of all parts."""
        return [self.path(part) for part in range(len(self))]

    def take_up(self) -> None:
        """Look for parts that an earlier start of this run has finished.

        Raises:
            UserError: the folder holds parts of another run.
        """
        super().take_up()
        self.look()

    def look(self) -> None:
        """Learn of parts that have been finished meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            there = set(os.listdir(self.folder))
            for part in range(len(self)):
                if part in self._summaries or self.path(part).name not in there:
                    continue
                # What a failing disk has damaged is made again.
                with (
                    contextlib.suppress(UserError),
                    NpzReader(self.path(part), kind="part") as file,
                ):
                    self._summaries[part] = Summary.from_json(file.read(SUMMARY).tobytes().decode())

    @property
    def missing(self) -> list[int]:
        """Parts that are not known to be finished."""
        return [part for part in range(len(self)) if part not in self._summaries]

    @property
    def people_done(self) -> int:
        """How many people the parts known to be finished were made from."""
        return sum(stop - start for start, stop in map(self.range, list(self._summaries)))

    @property
    def mean_loss(self) -> float:
        """Mean loss of the people fitted so far; NaN if there are none."""
        known = list(self._summaries.values())  # others are written meanwhile
        people = sum(summary.people for summary in known)
        return sum(summary.loss for summary in known) / people if people else float("nan")

    @property
    def summary(self) -> Summary:
        """Of all parts known to be finished."""
        return sum((self._summaries[part] for part in sorted(self._summaries)), Summary())

    @property
    def counts(self) -> list[int]:
        """How many people of each part were fitted."""
        return [self._summaries[part].people for part in range(len(self))]

    def write(self, part: int, fits: Fits, summary: Summary) -> None:
        """Write a finished part.

        Raises:
            UserError: it cannot be written.
        """
        self.begin()
        text = np.frombuffer(summary.to_json().encode(), np.uint8)
        fits.save(self.path(part), **{SUMMARY: text})
        self._summaries[part] = summary


def pipeline(
    parts: Sequence[int],
    read: Callable[[int], Read],
    fit: Callable[[Read], Fitted],
    write: Callable[[int, Read, Fitted], None],
) -> Iterator[int]:
    """Read, fit and write parts; the next is read and the last one written while one is fitted.

    Yields:
        Every part when it has been fitted; all have been written at the end.
    """
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading = reader.submit(read, parts[0]) if parts else None
        for place, part in enumerate(parts):
            observed = reading.result()
            if place + 1 < len(parts):
                reading = reader.submit(read, parts[place + 1])
            fitted = fit(observed)
            if writing is not None:
                writing.result()
            writing = writer.submit(write, part, observed, fitted)
            yield part
        if writing is not None:
            writing.result()
