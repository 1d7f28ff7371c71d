"""What is to be done, and in which order: people, lifters, what needs no network, rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiments.bodies import figure, floor, page, people, training
from benchmarks.experiments.bodies.rows import ROWS, SIZES, Size
from benchmarks.experiments.clock import Tell
from benchmarks.experiments.paper import Paper

FLOOR = "floor"
"""The task that measures what needs no network."""


def tasks(size: Size, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Name -> the names of what must be finished before: people, lifters, rows."""
    rows = [name for name in ROWS if name in (*wanted, *(ROWS[one].begin for one in wanted))]
    made = [one.name for one in (*size.held.values(), *size.learn.values())]
    found: dict[str, list[str]] = {name: [] for name in made}
    found |= {name: made for name in size.lifters} | {FLOOR: list(size.lifters)}
    for name in rows:
        lifter, begin = ROWS[name].lifter, ROWS[name].begin
        found[name] = [*(made if lifter == "none" else [lifter]), *filter(None, [begin])]
    return found


def work(name: str, size: Size, folder: Path, tell: Tell) -> None:
    """Do one task in this process."""
    learn = {one.name: one for one in size.learn.values()}
    held = {one.name: one for one in size.held.values()}
    if name in learn or name in held:
        made = (learn | held)[name]
        people.make(made, size.side, folder / training.PEOPLE, truth=name in held, tell=tell)
    elif name in size.lifters:
        training.teach_lifter(name, size, folder)
    elif name == FLOOR:
        floor.run(size, folder)
    else:
        training.run(name, size, folder, tell)


def write(path: Path, size: Size, folder: Path) -> None:
    """Put the tables of what is finished into a page, and a picture beside it."""
    figure.write(path.with_suffix(".jpg"), size, folder)
    page.write(path, size, folder)


PAPER = Paper(SIZES, tuple(ROWS), tasks, work, write)
