"""`python -m bodyreg` with shards of four people; rank DEAD, if any, dies after its first one."""

import os
import signal
import sys

from bodyreg.cli import main
from bodyreg.runs import fitted_shards

fitted_shards.PEOPLE_PER_SHARD = 4
if os.environ.get("DEAD") == os.environ.get("RANK"):
    write = fitted_shards.FittedShards.write

    def write_and_die(*arguments) -> None:
        write(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    fitted_shards.FittedShards.write = write_and_die

sys.exit(main())
