"""The experiments of papers, and beyond them, on made people. `make experiments` calls this.

    python -m benchmarks.experiments bodies runs/experiments --page docs/experiments.md
    python -m benchmarks.experiments transfer runs/transfer --page docs/transfer_experiments.md

First people are made. Then every row of the paper's `rows.py` is trained, two side by side, one
thread each. If the command was killed, the same command goes on. Rows that are finished are not
repeated. The page gets the tables of all rows that are finished, and a picture beside it.
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

from benchmarks.experiments.bodies import tasks as bodies
from benchmarks.experiments.transfer import tasks as transfer
from bodyreg.errors import UserError

PAPERS = {"bodies": bodies.PAPER, "transfer": transfer.PAPER}
"""The first paper's and the second one's."""


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
    parser.add_argument("paper", choices=list(PAPERS))
    parser.add_argument("folder", type=Path, help="of the experiments")
    parser.add_argument("--size", default="small")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="all if left out")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--page", type=Path, help="a page with marks, between which the tables go")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    paper = PAPERS[options.paper]
    for name, found in ((options.size, paper.sizes), *((row, paper.rows) for row in options.only)):
        if name not in found:
            parser.error(f"'{name}': choose from {', '.join(found)}")
    size = paper.sizes[options.size]
    if options.task:
        paper.work(options.task, size, options.folder, tell)
        tell(f"{options.task}: done")
        return 0
    same = [options.paper, str(options.folder), "--size", options.size]
    failed = run_all(paper.tasks(size, options.only or paper.rows), same, options.processes)
    if options.page:
        paper.write(options.page, size, options.folder)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"benchmarks.experiments: {error}")
