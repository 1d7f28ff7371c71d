"""`python -m bodyreg` that stops in the middle: after its first shard it waits for a file.

    python holding.py MARK RELEASE ARGUMENTS ...

It makes the file MARK when it stops, and goes on when RELEASE is there.
"""

import sys
import time
from pathlib import Path

from bodyreg.cli import main
from bodyreg.runs import data_sets, fitted_shards
from bodyreg.synthetic import generate

MARK, RELEASE, *ARGUMENTS = sys.argv[1:]

fitted_shards.PEOPLE_PER_SHARD = 4
generate.PICTURES_PER_SHARD = 4
write = fitted_shards.FittedShards.write


def stop() -> None:
    Path(MARK).touch()
    while not Path(RELEASE).exists():
        time.sleep(0.01)


def write_and_stop(*arguments) -> None:
    write(*arguments)
    if not Path(MARK).exists():
        stop()


def make_and_stop(make, shards, workers):
    for number, shard in enumerate(shards):
        yield make(shard)
        if number == 0:
            stop()


fitted_shards.FittedShards.write = write_and_stop
data_sets.in_processes = make_and_stop

if __name__ == "__main__":
    sys.exit(main(ARGUMENTS))
