"""The experiments of the paper, and beyond it, on made people. `make experiments` calls this.

    python -m benchmarks.experiments runs/experiments --page docs/experiments.md

First people are made and lifters taught. Then every row of `rows.ROWS` is trained, two side by
side, one thread each. If the command was killed, the same command goes on. Rows that are finished
are not repeated. The page gets the tables of all rows that are finished, and a picture beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from pathlib import Path

from benchmarks.experiments import figure, floor, page, people, training
from benchmarks.experiments.rows import ROWS, SIZES, Size
from bodyreg.errors import UserError

FLOOR = "floor"
"""The task that measures what needs no network."""


def tasks(size: Size, rows: Sequence[str]) -> dict[str, list[str]]:
    """Name -> the names of what must be finished before: people, lifters, rows."""
    made = [one.name for one in (*size.held.values(), *size.learn.values())]
    found: dict[str, list[str]] = {name: [] for name in made}
    found |= {name: made for name in size.lifters} | {FLOOR: list(size.lifters)}
    for name in rows:
        lifter, begin = ROWS[name].lifter, ROWS[name].begin
        found[name] = [*(made if lifter == "none" else [lifter]), *filter(None, [begin])]
    return found


def work(name: str, size: Size, folder: Path) -> None:
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
    tell(f"{name}: done")


def tell(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def run_all(wanted: dict[str, list[str]], arguments: Sequence[str], processes: int) -> list[str]:
    """Do tasks in processes of their own, those that must come first first.

    Returns:
        The names of tasks that failed; what needs them is left out.
    """
    order, failed, running, ready = list(wanted), list[str](), set[str](), list[str]()
    changed, environment = threading.Condition(), os.environ | {"OMP_NUM_THREADS": "1"}
    sorter = TopologicalSorter(wanted)
    sorter.prepare()

    def one(name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.experiments", *arguments, "--task", name]
        status = subprocess.run(command, env=environment, check=False).returncode
        with changed:
            running.remove(name)
            if status:
                failed.append(name)
            else:
                sorter.done(name)
            changed.notify()

    with ThreadPoolExecutor(processes) as pool, changed:
        while sorter.is_active():
            ready = sorted([*ready, *sorter.get_ready()], key=order.index)
            while ready and len(running) < processes:
                running.add(ready[0])
                pool.submit(one, ready.pop(0))
            if not running:
                break
            changed.wait()
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not finished; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the experiments")
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--page", type=Path, help="a page with marks, between which the tables go")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    size = SIZES[options.size]
    if options.task:
        work(options.task, size, options.folder)
        return 0
    begun = [ROWS[name].begin for name in options.only]
    rows = [name for name in ROWS if name in (*options.only, *begun)]
    same = [str(options.folder), "--size", options.size]
    failed = run_all(tasks(size, rows), same, options.processes)
    if options.page:
        figure.write(options.page.with_suffix(".jpg"), size, options.folder)
        page.write(options.page, size, options.folder)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"benchmarks.experiments: {error}")
