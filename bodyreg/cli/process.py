"""A command as a process: its streams, its exit status, and one line where it cannot go on."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from bodyreg.errors import InstallationError, UserError
from bodyreg.files import REFUSALS_OF_THE_MACHINE, reading, refused
from bodyreg.runs import ranks

# The exit status that a shell reports for a command that a signal has ended.
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13


def run(program: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit status.

    An error that a user can cause prints one line on stderr and returns 2. If several processes
    share a run, only the first one prints.

    Args:
        program: Stands before the line.
        command: Returns the status of a command that went well.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that its encoding lacks is shown as a code.
            stream.reconfigure(errors="backslashreplace")
    try:
        with reading("the current folder"):
            os.getcwd()  # it may have been removed
        try:
            status = command()
        except SystemExit:  # the help of a command ends so
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except (UserError, InstallationError) as error:
        return _refuse(program, error)
    except ranks.FailedElsewhereError:
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _leave(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in REFUSALS_OF_THE_MACHINE:
            raise
        if error.filename is None:
            _leave(sys.stdout)
        return _refuse(program, refused(error.filename or "standard output", error, "used"))


def _refuse(program: str, error: Exception) -> int:
    if ranks.rank() == 0:
        try:
            print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        except OSError:  # a stderr that takes nothing; the status tells
            _leave(sys.stderr)
    return 2


def _open_closed_streams() -> None:
    """Standard streams that a shell has closed (`>&-`) take everything and keep nothing.

    Without this, the first file that is opened would have a stream's number, and get its text.
    """
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(os.devnull, mode))


def _leave(stream: TextIO) -> None:
    """Let go of a stream that takes nothing: Python flushes it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
