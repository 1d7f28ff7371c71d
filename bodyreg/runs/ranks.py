"""The processes that share a run, as torchrun starts them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bodyreg.errors import UserError

# Processes wait for each other at the end only, for as long as the slowest takes.
PATIENCE = timedelta(days=30)
TROUBLE = "bodyreg/trouble"


class FailedElsewhereError(Exception):
    """Another process has met a user's error and prints it; this one ends with the same status."""


def rank() -> int:
    """The number of this process in its run. The first one, 0, prints for all."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def count() -> int:
    """The number of processes that share the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """The number of this process on its machine, which is also the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


class Ranks:
    """The processes of a run, each of which makes the same calls in the same order.

    Attributes:
        rank: The number of this process.
        count: The number of processes.
    """

    def __init__(self, store: Any = None) -> None:
        self.rank, self.count = rank(), count()
        self._store = store

    def from_first(self, value: Any) -> Any:
        """The value that the first process passes."""
        values = [value]
        if self.count > 1:
            import torch.distributed

            torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    @property
    def trouble(self) -> bool:
        """Whether any process has met a user's error."""
        return self.count > 1 and self._store.check([TROUBLE])

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A section that all processes leave together; after a user's error none goes on.

        Raises:
            UserError: on the first process, the error of the process of lowest rank that met one.
            FailedElsewhereError: on the others.
        """
        message = None
        try:
            yield
        except UserError as error:
            if self.count == 1:
                raise
            message = str(error)
            self._store.set(TROUBLE, "1")
        if self.count == 1:
            return
        import torch.distributed

        messages: list[str | None] = [None] * self.count
        torch.distributed.all_gather_object(messages, message)
        met = [text for text in messages if text is not None]
        if met:
            raise UserError(met[0]) if self.rank == 0 else FailedElsewhereError


_connected: list[Ranks] = []
"""The connection that `joined` has made, while it lasts."""


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Connect the processes of this run. Without torchrun it is this process alone.

    They exchange a few words and no tensors, so gloo is enough, with GPUs too. They connect once:
    torchrun's store keeps what a second connection would stumble over. So a section inside another
    one has the connection of that one.
    """
    if _connected:
        yield _connected[0]
        return
    if count() == 1:
        yield Ranks()
        return
    # torch.optim imports this module too. Its functions have the group as a default argument: if
    # the group were there first, they would keep it, and its threads would abort Python's end.
    import torch.distributed.nn

    store, _, _ = next(torch.distributed.rendezvous("env://", timeout=PATIENCE))
    torch.distributed.init_process_group(
        "gloo", store=store, rank=rank(), world_size=count(), timeout=PATIENCE
    )
    try:
        _connected.append(Ranks(store))
        yield _connected[0]
    finally:
        _connected.clear()
        torch.distributed.destroy_process_group()
