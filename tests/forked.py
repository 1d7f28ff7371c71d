"""Commands in processes of their own that begin at once.

They are forks of a process that has imported torch, because that takes longer than most of the
commands. tests/runs/test_ranks.py and tests/cli/test_scale.py start torchrun itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import torch.distributed

PATIENCE = 300  # seconds
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch._dynamo", "torch.distributed.nn", "bodyreg.registration"])

Command = Callable[[list[str]], int]
"""Function of a module; takes a command line, returns the exit status."""


class Forked:
    """A command that works in a process of its own.

    Args:
        command: What is called there.
        arguments: Of the command.
        environment: More variables.
    """

    def __init__(
        self,
        command: Command,
        arguments: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._printed = TemporaryDirectory()
        variables = {"OMP_NUM_THREADS": "1", **(environment or {})}
        self._process = FORKS.Process(
            target=_call,
            args=(command, list(map(str, arguments)), self._printed.name, variables, Path.cwd()),
        )
        with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"):
            self._process.start()

    @property
    def status(self) -> int | None:
        """The exit status, or minus the signal that has ended it; None while it works."""
        return self._process.exitcode

    def kill(self) -> None:
        """By the signal that no process can catch."""
        self._process.kill()
        self._process.join()

    def wait(self) -> None:
        """Until it ends, or for so long that it never will."""
        self._process.join(PATIENCE)
        self.kill()

    def printed(self, stream: str) -> str:
        """What it has written to stdout or stderr."""
        return (Path(self._printed.name) / stream).read_text()


class Ended(NamedTuple):
    """Exit statuses of processes, by rank, and what they have printed."""

    statuses: list[int | None]
    stdout: str
    stderr: str


def run_pair(command: Command, arguments: Sequence[str | Path]) -> Ended:
    """Call a command in two processes that share a run, as torchrun starts them."""
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    pair = [
        Forked(command, arguments, {**shared, "RANK": rank, "LOCAL_RANK": rank}) for rank in "01"
    ]
    for process in pair:
        process.wait()
    texts = ("".join(p.printed(stream) for p in pair) for stream in ("stdout", "stderr"))
    return Ended([process.status for process in pair], *texts)


def _call(
    command: Command,
    arguments: list[str],
    printed: str,
    environment: dict[str, str],
    folder: Path,
) -> None:
    os.environ |= environment
    os.chdir(folder)
    for name, stream, number in (("stdout", sys.stdout, 1), ("stderr", sys.stderr, 2)):
        stream.flush()
        with open(Path(printed) / name, "w") as file:
            os.dup2(file.fileno(), number)
    warnings.simplefilter("error", FutureWarning)  # of what torch will remove
    sys.exit(command(arguments))
