"""`python -m bodyreg` with shards of four people; rank DEAD, if any, dies after its first one."""

from __future__ import annotations

import os
import signal
import sys

from bodyreg.cli import main as bodyreg
from bodyreg.runs import fitted_shards


def main(arguments: list[str] | None = None) -> int:
    """Change this process for good, and run the command in it."""
    fitted_shards.PEOPLE_PER_SHARD = 4
    if os.environ.get("DEAD", "none") == os.environ.get("RANK"):
        write = fitted_shards.FittedShards.write

        def write_and_die(*arguments) -> None:
            write(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        fitted_shards.FittedShards.write = write_and_die
    return bodyreg(arguments)


if __name__ == "__main__":
    sys.exit(main())
