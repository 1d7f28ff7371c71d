"""The command `bodyreg`: one module per subcommand, imported when it is used.

A command's module has `Options`, a dataclass that tyro turns into flags, and a function
`run(options, command)`. `command` is the command line, for the files that it writes.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import shlex
import sys
from collections.abc import Sequence

from bodyreg.cli.process import run
from bodyreg.errors import UserError

COMMANDS = {
    "synthesize": "Make data sets of people with known truth, in the formats of real data sets.",
    "register": "Fit bodies to people. The first options name their file or folder.",
    "detect": "Find people's keypoints in pictures, by a detector (pip install 'bodyreg[detect]').",
    "predict": "See bodies in pictures, by a network that was trained (train/regress.py).",
    "refine": "See bodies in pictures by a network, then fit them to people's evidence from there.",
    "track": "Follow people over the pictures of a video, and make their motion smooth.",
    "convert": "Write fits for Blender and other tools: GLB, BVH, SMPL's parameters, COCO results.",
    "export": "Write a network that was trained (train/regress.py) as ONNX.",
    "lift": "Give keypoints their depths, by a lifter that was trained (train/lift.py).",
    "calibrate": "Measure where the annotators of a data set see their keypoints on the body.",
    "flow": "Find where the pixels of pictures are in other pictures of the same people.",
    "transfer": "Paint people of pictures in other poses, by bodies alone: nothing is trained.",
    "demo": "Make people with known truth, register them, and compare with the truth.",
    "evaluate": "Measure the errors of fits against the truth.",
    "evaluate-images": "Measure how near painted pictures are to true ones.",
    "report": "Write the results of a run to one HTML file: pictures, numbers, 3-D bodies.",
    "app": "Serve a page on which a picture becomes a body, with a detector's file or without.",
    "view": "Show a run's bodies in the browser: turn them, take them apart, resize them.",
    "make-map": "Find where SMPL's vertices lie on a body of your own, for DensePose's charts.",
    "info": "Show the versions, the build, the device and the body.",
}

# Loaded libraries are a million objects that stay. Python looks for garbage among them less often
# than by default, and not once more when the process ends.
gc.set_threshold(50_000)
atexit.register(gc.freeze)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    return run("bodyreg", lambda: _dispatch(arguments))


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

    command = importlib.import_module(f"bodyreg.cli.{name.replace('-', '_')}")
    options = parse(command.Options, f"bodyreg {name}", COMMANDS[name], arguments[1:])
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
