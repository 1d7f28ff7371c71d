"""The command `bodyreg`: one module per subcommand, imported when it is used.

A command's module has `Options`, a dataclass that tyro turns into flags, and a function
`run(options, command)`. `command` is the command line, for the files that it writes.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TextIO

from bodyreg.errors import InstallationError, UserError
from bodyreg.files import REFUSALS_OF_THE_MACHINE, reading, refused
from bodyreg.runs import ranks

COMMANDS = {
    "synthesize": "Make data sets of people with known truth, in the formats of real data sets.",
    "register": "Fit bodies to people. Exactly one of the first options is their file or folder.",
    "predict": "See bodies in pictures, by a network that was trained (train/regress.py).",
    "refine": "See bodies in pictures by a network, then fit them to people's evidence from there.",
    "export": "Write a network that was trained (train/regress.py) as ONNX.",
    "lift": "Give keypoints their depths, by a lifter that was trained (train/lift.py).",
    "calibrate": "Measure where the annotators of a data set see their keypoints on the body.",
    "demo": "Make people with known truth, register them, and compare with the truth.",
    "evaluate": "Measure the errors of fits against the truth.",
    "report": "Write the results of a run to one HTML file: pictures, numbers, 3-D bodies.",
    "view": "Show a run's bodies in the browser: turn them, take them apart, resize them.",
    "info": "Show the versions, the build, the device and the body.",
}

# Loaded libraries are a million objects that stay. Python looks for garbage among them less often
# than by default, and not once more when the process ends.
gc.set_threshold(50_000)
atexit.register(gc.freeze)

# The exit status that a shell reports for a command that a signal has ended.
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    An error that a user can cause prints one line on stderr and returns 2. If several processes
    share a run, only the first one prints.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that its encoding lacks is shown as a code.
            stream.reconfigure(errors="backslashreplace")
    try:
        with reading("the current folder"):
            os.getcwd()  # it may have been removed
        try:
            status = _dispatch(arguments)
        except SystemExit:  # the help of a command ends so
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except (UserError, InstallationError) as error:
        return _refuse(error)
    except ranks.FailedElsewhereError:
        return 2
    except KeyboardInterrupt:
        print("bodyreg: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _leave(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in REFUSALS_OF_THE_MACHINE:
            raise
        if error.filename is None:
            _leave(sys.stdout)
        return _refuse(refused(error.filename or "standard output", error, "used"))


def _refuse(error: Exception) -> int:
    if ranks.rank() == 0:
        try:
            print(f"bodyreg: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
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


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name in ("", "-h", "--help"):
        print(_help())
        return 0 if name else 2
    if name == "--version":
        from bodyreg.version import installed_version

        print(f"bodyreg {installed_version()}")
        return 0
    if name not in COMMANDS:
        raise UserError(f"unknown command '{name}'; choose one of: {', '.join(COMMANDS)}")

    from bodyreg.cli.parsing import parse

    command = importlib.import_module(f"bodyreg.cli.{name}")
    options = parse(command.Options, name, COMMANDS[name], arguments[1:])
    command.run(options, shlex.join(["bodyreg", *arguments]))
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: bodyreg COMMAND [OPTIONS]",
            "",
            "Fit 3-D bodies to people in pictures, from dense correspondences, keypoints, or both.",
            "",
            *lines,
            "",
            "`bodyreg COMMAND --help` explains the options of a command; `bodyreg --version`.",
        ]
    )
