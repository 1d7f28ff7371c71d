"""Several processes that train together: each computes a part of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError


def processes() -> tuple[int, int]:
    """The number of this process, from 0, and how many train together by torch.distributed."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def is_first() -> bool:
    """Whether this process is the first one, which writes the files."""
    return processes()[0] == 0


def own_share(count: int) -> slice:
    """The part of a batch of this size that this process computes."""
    number, together = processes()
    return slice(count * number // together, count * (number + 1) // together)


def from_first(value: Any) -> Any:
    """The value that the first process passes."""
    if processes()[1] == 1:
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


@contextlib.contextmanager
def together() -> Iterator[None]:
    """A section that all processes leave together, though only the first one may have work in it.

    A process that goes on alone after an error would wait for the others' sums for ever.

    Raises:
        UserError: one of the processes has met one; on the others, that of the lowest number.
    """
    own = None
    try:
        yield
    except UserError as error:
        own = error
    if processes()[1] > 1:
        messages: list[str | None] = [None] * processes()[1]
        torch.distributed.all_gather_object(messages, None if own is None else str(own))
        met = [message for message in messages if message is not None]
        if own is None and met:
            raise UserError(met[0])
    if own is not None:
        raise own


def add_up(tensors: Sequence[Tensor]) -> None:
    """Give tensors the sums over all processes, in place."""
    if processes()[1] == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def add_up_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Give weights the sums of their gradients over all processes; some may have none."""
    add_up([weight.grad for weight in weights if weight.grad is not None])
