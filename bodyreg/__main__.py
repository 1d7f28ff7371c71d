"""`python -m bodyreg` is the command `bodyreg`."""

import sys

from bodyreg.cli import main

if __name__ == "__main__":
    sys.exit(main())
