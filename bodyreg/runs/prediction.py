"""A shard of people whom a network sees: pictures are read ahead by threads, in batches."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bodyreg.data.boxes import unreadable
from bodyreg.errors import UserError
from bodyreg.runs.job import Fitted, Job, Reading
from bodyreg.runs.workers import cores

if TYPE_CHECKING:
    import torch

    from bodyreg.data import Observations

READING, NETWORK, OUTPUTS = "reading and cropping", "network", "outputs to fits"
"""The stages of a prediction."""


class Crops(NamedTuple):
    """A batch of pictures, cropped to people.

    Attributes:
        crops: (N, 3, S, S) uint8 red, green, blue.
        people: The N people.
        skipped: People whose pictures cannot be read, by reason.
        seconds: The time this took.
    """

    crops: torch.Tensor
    people: Observations
    skipped: Counter[str]
    seconds: float


def predict(job: Job, read: Reading) -> Fitted:
    """The bodies of a shard's people, as the job's network sees them.

    People whose pictures cannot be read are left out.
    """
    from bodyreg.data import Fits, Observations
    from bodyreg.regression.outputs import as_fits
    from bodyreg.regression.regressor import AT_ONCE

    started, regressor, images = time.perf_counter(), job.regressor, job.request.source.images
    assert regressor is not None and images is not None
    people, skipped = read.observations, Counter[str]()
    fits, seen = [Fits.empty()], [people.select(slice(0, 0))]
    stages: dict[str, list[float]] = {READING: [], NETWORK: [], OUTPUTS: []}

    def crop(start: int) -> Crops:
        return crops_of_batch(images, people.select(slice(start, start + AT_ONCE)), regressor.side)

    for crops, batch, unread, seconds in _ahead(crop, range(0, len(people), AT_ONCE)):
        skipped += unread
        if not len(batch):
            continue
        times = [time.perf_counter()]
        found = regressor.parameters(crops)
        _synchronise(job.device)
        times.append(time.perf_counter())
        fits.append(as_fits(found, batch, job.request.config))
        times.append(time.perf_counter())
        seen.append(batch)
        took = (seconds, *np.diff(times))
        for stage, time_of_batch in zip(stages.values(), took, strict=True):
            stage.append(1e3 * time_of_batch / len(batch))
    return Fitted(
        Fits.concatenate(fits[1:] or fits),
        Observations.concatenate(seen[1:] or seen),
        time.perf_counter() - started,
        skipped,
        stages,
    )


def crops_of_batch(images: Path, people: Observations, side: int) -> Crops:
    """The pictures of people, cropped to their frames; unreadable ones are left out."""
    import torch

    from bodyreg.regression import crops_of

    started, skipped = time.perf_counter(), Counter[str]()
    crops, kept = [torch.empty(0, 3, side, side, dtype=torch.uint8)], []
    names = [""] * len(people) if people.picture is None else people.picture.tolist()
    for name, rows in groupby(range(len(people)), key=names.__getitem__):
        together = np.array(list(rows))
        try:
            crops.append(crops_of(images, people.select(together), side))
            kept.append(together)
        except UserError:
            skipped[unreadable(name) if name else "no picture"] += len(together)
    chosen = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    some = people if len(chosen) == len(people) else people.select(chosen)
    return Crops(torch.cat(crops), some, skipped, time.perf_counter() - started)


def _ahead(task: Callable[[int], Crops], starts: Sequence[int]) -> Iterator[Crops]:
    """The results of tasks in their order; as many as there are cores are worked on ahead."""
    with ThreadPoolExecutor(cores()) as threads:
        waiting: deque[Future[Crops]] = deque()
        for start in starts:
            waiting.append(threads.submit(task, start))
            if len(waiting) > cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _synchronise(device: torch.device) -> None:
    """Wait for a GPU, whose calls return before they are done."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
