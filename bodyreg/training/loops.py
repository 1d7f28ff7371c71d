"""What a loop of training is made of. The loops themselves are where they belong."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.training.curves import Curves
from bodyreg.training.processes import add_up, own_share, processes, together
from bodyreg.training.progress import Progress

EPOCHS = 1_000_003
"""Seed s of a training gives its epoch e the order of seed s * EPOCHS + e."""


def check_numbers(
    config: Any, positive: Collection[str], *, below_one: Collection[str] = ()
) -> None:
    """Refuse a configuration, a dataclass, with a number that no training can have.

    Args:
        config: Its numbers are at least 0, and finite.
        positive: Names of numbers that are not 0.
        below_one: Names of shares that are not 1.

    Raises:
        UserError: names the first field with another number.
    """
    for name, value in vars(config).items():
        if isinstance(value, int | float):
            least = "above" if name in positive else "at least"
            if not (0 <= value < math.inf and (value > 0 or name not in positive)):
                raise UserError(f"option {name} is {value}; it must be finite and {least} 0")
            if name in below_one and value >= 1:
                raise UserError(f"option {name} is {value}; it must be below 1")


def check_batch(count: int, batch: int, one: str, several: str) -> None:
    """Refuse what no process, or not each of them, can learn from.

    Args:
        count: How many there are to learn from.
        batch: How many of them a step takes.
        one, several: What they are, such as pair, pairs.

    Raises:
        UserError: there are none, or fewer in a batch than processes that share it.
    """
    if not count:
        raise UserError(f"there is no {one} to learn from")
    least, (_, together) = min(count, batch), processes()
    if least < together:
        raise UserError(
            f"{together} processes cannot share {least} {several} of a batch; start fewer"
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step learns from.

    Attributes:
        chosen: (B,) int64 positions, those of all processes.
        epoch: The number of the epoch, from 0.
        passed: Share of the steps that are done before.
        last: Whether the training ends with it.
    """

    chosen: Tensor
    epoch: int
    passed: float
    last: bool

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def own(self) -> slice:
        """Which of `chosen` this process computes."""
        return own_share(len(self))


def batches(
    progress: Progress,
    order: Callable[[torch.Generator], Tensor],
    epochs: int,
    batch: int,
    seed: int,
) -> Iterator[Batch]:
    """The batches of the steps that are left; a loop calls `end_step` for each.

    Args:
        progress: Tells how many steps are done.
        order: Random numbers -> (M,) int64 positions, in the order in which an epoch takes them.
        epochs: The number of epochs.
        batch: How many a step takes. What is left over at the end of an epoch is not taken, unless
            it is all that there is.
        seed: Of the orders.
    """
    steps = max(1, len(order(generator(0))) // batch)
    last = epochs * steps
    while progress.step < last:
        epoch, place = divmod(progress.step, steps)
        chosen = order(generator(EPOCHS * seed + epoch))[place * batch : (place + 1) * batch]
        yield Batch(chosen, epoch, progress.step / last, progress.step + 1 == last)


def summed(names: Sequence[str], numbers: Sequence[Tensor]) -> dict[str, float]:
    """Name -> the sum of a number over all processes.

    Args:
        names: K names.
        numbers: K scalars of this process.
    """
    together = torch.stack(list(numbers)).detach()
    add_up([together])
    return dict(zip(names, together.tolist(), strict=True))


def end_step(
    progress: Progress,
    numbers: Mapping[str, float],
    *,
    last: bool,
    every: int,
    curves: Curves,
    report: Callable[[int, dict[str, float]], None],
    watch: Callable[[int], Mapping[str, float]] = lambda step: {},
) -> None:
    """Count a step, and write its numbers. Now and then keep the state and report.

    Args:
        progress: Of the loop.
        numbers: Of the step, by name.
        last: Whether the loop ends with it.
        every: Steps between two reports.
        curves: Takes the numbers.
        report: Is told the number of steps that are done, and the numbers, with those of `watch`.
        watch: Number of steps -> more numbers, when there is a report.

    Raises:
        UserError: the state cannot be kept, or `watch` raises one; in all processes, even if only
            the first one has work to do.
    """
    progress.step += 1
    for name, number in numbers.items():
        curves.add_scalar(name, number, progress.step)
    if progress.step % every == 0 or last:
        progress.save()
        with together():
            watched = watch(progress.step)
        for name, number in watched.items():
            curves.add_scalar(name, number, progress.step)
        report(progress.step, {**numbers, **watched})


def generator(seed: int) -> torch.Generator:
    """Random numbers of a seed."""
    return torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A section in which modules are born with the weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def cosine(progress: float, end: float = 0.0) -> float:
    """From 1 to `end` along half a cosine, as progress goes from 0 to 1."""
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move the weights of a moving average toward those of a module; statistics are copied."""
    for mean, weight in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)
    for statistic, now in zip(average.buffers(), module.buffers(), strict=True):
        statistic.copy_(now)


def mixed_precision(device: torch.device, wanted: bool) -> torch.autocast:
    """A section in which a GPU computes networks in bfloat16; every other device in float32."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and able)
