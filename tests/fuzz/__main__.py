"""Fuzz every reader: `python -m tests.fuzz --seconds 60`. Exit status 1 if there are faults."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bodyreg.files import atomic_path

from .targets import prepare
from .watch import ACCEPTED, FAULT, REFUSED, Result, fuzz

HEAD = (
    "| reader | files | refused | accepted | faults | slowest, ms | memory, MiB |\n"
    "|---|---:|---:|---:|---:|---:|---:|\n"
)
BEGIN, END = "<!-- fuzz -->\n", "<!-- /fuzz -->"
"""Round the table in a page."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--readers", nargs="*", help="names of readers; all if left out")
    parser.add_argument("--files", type=int, default=10**9, help="damaged files for each reader")
    parser.add_argument("--seconds", type=float, default=30, help="time for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="a page whose table is written again")
    options = parser.parse_args()
    rows, faults = [], 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for target, good in prepare(home / "good", options.readers or ()):
            (home / target.name).mkdir()
            result = fuzz(
                target, good, home / target.name, options.seed, options.files, options.seconds
            )
            rows.append(_row(target.name, result))
            print(rows[-1], flush=True)
            for what, number in result.faults.items():
                print(f"    file {number}: {what}", flush=True)
            faults += result.counts[FAULT]
    if options.page is not None:
        before, _, rest = options.page.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            sys.exit(f"{options.page}: has no {BEGIN.strip()} and {END}")
        with atomic_path(options.page) as temporary:
            temporary.write_text(before + BEGIN + HEAD + "\n".join(rows) + "\n" + END + after)
    return int(faults > 0)


def _row(name: str, result: Result) -> str:
    counts = result.counts
    cells = [
        name,
        *(f"{n:,}" for n in (counts.total(), counts[REFUSED], counts[ACCEPTED], counts[FAULT])),
        f"{1e3 * result.slowest:.0f}",
        f"{result.memory / 2**20:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
