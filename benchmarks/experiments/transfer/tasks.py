"""What is to be done, and in which order: people, what needs no training, rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiments.clock import Tell
from benchmarks.experiments.paper import Paper
from benchmarks.experiments.transfer import figure, floor, flows, lessons, page, painters, people
from benchmarks.experiments.transfer.results import kept
from benchmarks.experiments.transfer.rows import (
    FLOW_ROWS,
    PAINTED,
    PAINTING_ROWS,
    ROWS,
    SIZES,
    Size,
)


def tasks(size: Size, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Name -> the names of what must be finished before."""
    begun = [row.begin for name, row in PAINTING_ROWS.items() if name in wanted]
    made = [some.name for some in size.people]
    found: dict[str, list[str]] = {name: [] for name in made} | {floor.FLOOR: made}
    for name in [name for name in ROWS if name in (*wanted, *begun)]:
        needs: list[str] = []
        if name in PAINTING_ROWS:
            row = PAINTING_ROWS[name]
            found |= {row.paintings: made} if row.paintings else {}
            needs = [need for need in (row.paintings, row.begin) if need]
        found[name] = [*made, *needs]
    return found


def work(name: str, size: Size, folder: Path, tell: Tell) -> None:
    """Do one task in this process; what is finished is not repeated."""
    for some in size.people:
        if some.name == name:
            people.make(some, size.side, folder, tell)
    for bodies, task in PAINTED.items():
        if task == name:
            lessons.paint(bodies, size, folder)
    if name == floor.FLOOR:
        floor.run(size, folder)
    if name in ROWS and kept(folder / name) is None:
        (flows if name in FLOW_ROWS else painters).run(name, size, folder, tell)


def write(path: Path, size: Size, folder: Path) -> None:
    """Put the tables of what is finished into a page, and a picture beside it."""
    figure.write(path.with_suffix(".jpg"), size, folder)
    page.write(path, size, folder)


PAPER = Paper(SIZES, tuple(ROWS), tasks, work, write)
