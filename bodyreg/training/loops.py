"""The small pieces of loops. The loops are where they belong."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn

from bodyreg.errors import UserError


def check_numbers(config: Any, positive: Collection[str]) -> None:
    """Refuse a configuration, a dataclass, with a number that no training can have.

    Args:
        config: Its numbers are at least 0, and finite.
        positive: Names of numbers that are not 0.

    Raises:
        UserError: names the first field with another number.
    """
    for name, value in vars(config).items():
        if isinstance(value, int | float):
            least = "above" if name in positive else "at least"
            if not (0 <= value < math.inf and (value > 0 or name not in positive)):
                raise UserError(f"option {name} is {value}; it must be finite and {least} 0")


def generator(seed: int) -> torch.Generator:
    """Random numbers of a seed."""
    return torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A section in which modules are born with the weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def set_learning_rate(rate: float, *optimizers: torch.optim.Optimizer) -> None:
    """Give all parameters this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


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
