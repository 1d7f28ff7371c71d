"""What the runner of experiments asks of a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments.clock import Tell


@dataclass(frozen=True)
class Paper:
    """The experiments of a paper.

    Attributes:
        sizes: Name -> how large they are.
        rows: Names of the trainings, in the order in which they are run.
        tasks: (size, rows) -> the name of each task, and of those that must be finished before.
        work: (task, size, folder, tell) does a task in this process.
        write: (page, size, folder) puts the tables of what is finished into a page.
    """

    sizes: Mapping[str, Any]
    rows: tuple[str, ...]
    tasks: Callable[[Any, Sequence[str]], dict[str, list[str]]]
    work: Callable[[str, Any, Path, Tell], None]
    write: Callable[[Path, Any, Path], None]
