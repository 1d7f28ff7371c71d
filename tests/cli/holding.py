"""`python -m bodyreg` that stops in the middle: after its first shard it waits for a file."""

from __future__ import annotations

import time
from pathlib import Path

from bodyreg.cli import main as bodyreg
from bodyreg.runs import data_sets, fitted_shards
from bodyreg.synthetic import generate


def main(arguments: list[str]) -> int:
    """Change this process for good, and run the command in it.

    Args:
        arguments: The file that the command makes when it stops; the one for which it waits; and
            the command line.
    """
    mark, release = map(Path, arguments[:2])
    fitted_shards.PEOPLE_PER_SHARD = 4
    generate.PICTURES_PER_SHARD = 4
    write = fitted_shards.FittedShards.write

    def stop() -> None:
        mark.touch()
        while not release.exists():
            time.sleep(0.01)

    def write_and_stop(*parts) -> None:
        write(*parts)
        if not mark.exists():
            stop()

    def make_and_stop(make, shards, workers):
        for number, shard in enumerate(shards):
            yield make(shard)
            if number == 0:
                stop()

    fitted_shards.FittedShards.write = write_and_stop
    data_sets.in_processes = make_and_stop
    return bodyreg(arguments[2:])
