"""`python -m bodyreg` with parts of four people; rank DEAD, if any, dies after its first one."""

import os
import signal
import sys

from bodyreg.cli import main, parts

parts.PEOPLE_PER_PART = 4
if os.environ.get("DEAD") == os.environ.get("RANK"):
    write = parts.Parts.write

    def write_and_die(*arguments) -> None:
        write(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    parts.Parts.write = write_and_die

sys.exit(main())
