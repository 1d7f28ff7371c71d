"""bodyreg calibrate: measure where the annotators of a data set see their keypoints."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.config import make_config
from bodyreg.cli.flags import (
    Device,
    OfPreset,
    OptionalFile,
    Settings,
    Switch,
    require,
    require_output,
)
from bodyreg.cli.sources import Sources, missing_source, source_of
from bodyreg.errors import UserError
from bodyreg.files import provenance

if TYPE_CHECKING:
    from bodyreg.registration.calibration import Calibration

MILLIMETRES = 1000.0
MOST_PEOPLE = 100_000
"""All of them are in memory."""


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `bodyreg calibrate`.

    Attributes:
        out: The file of landmarks to write (.json). `bodyreg register --landmarks` reads it.
        people: The number of people to measure, evenly chosen.
        rounds: The most rounds of fitting all people and moving the landmarks.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The default is the built-in
            body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Landmarks (.json) to begin with, instead of those of the data sets' conventions.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer but costlier steps that use curvature (lm).
        starts: Number of directions that a person's fit starts from; the best result is kept.
        iterations: Iterations of a fit; with lm, its Levenberg-Marquardt steps.
        set: Other fields of the configuration. `bodyreg info --preset accurate` lists them.
        device: Where to compute. auto takes CUDA if it can be used.
        quiet: Print nothing but errors.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    people: int = 2000
    rounds: int = 30
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
    starts: OfPreset = None
    iterations: OfPreset = None
    set: Settings = None
    device: Device = "auto"
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Calibrate, write the landmarks, and print how far they have moved."""
    require("--people", options.people, 1, MOST_PEOPLE)
    require("--rounds", options.rounds, 1, 1000)
    if missing := missing_source(options):
        raise UserError(
            f"Missing from bodyreg calibrate: {missing[0]}; see bodyreg calibrate --help"
        )
    source, files = source_of(options), body_files(options)
    require_output(options.out, "landmarks.json", [*source.paths, options.landmarks])
    config = make_config(
        options.preset, options.solver, options.starts, options.iterations, options.set
    )

    from bodyreg.data import write_landmarks
    from bodyreg.data.opening import open_people
    from bodyreg.registration.calibration import calibrate
    from bodyreg.runs.device import choose_device
    from bodyreg.runs.job import some_people

    device, _ = choose_device(options.device)
    body = files.open()
    stored, _ = open_people(source, body)
    people = some_people(stored, options.people)
    if not len(people):
        raise UserError(f"{source.path}: no people to fit")
    if not (people.point_weight > 0).any():
        print(
            "warning: these people have no dense points; without them, landmarks are mixed up with "
            "poses and proportions",
            file=sys.stderr,
        )

    def report(number: int, move: float) -> None:
        if not options.quiet:
            print(f"round {number}: moved by up to {MILLIMETRES * move:.1f} mm", flush=True)

    found = calibrate(body, people, config, rounds=options.rounds, device=device, report=report)
    facts = provenance(command, device=device.type) | {"people": len(people)}
    write_landmarks(options.out, found.landmarks, **facts)
    if not options.quiet:
        print(_table(found))
        print(f"{len(people):,} people; landmarks: {options.out}")


def _table(found: Calibration) -> str:
    rows = ["moved, mm, x to the left, y up, z to the front, in the rest pose:"]
    width = max(map(len, found.shift)) + 2
    for name, shift in found.shift.items():
        x, y, z = MILLIMETRES * shift
        rows.append(f"  {name:<{width}}{x:7.1f}{y:7.1f}{z:7.1f}")
    return "\n".join(rows)
