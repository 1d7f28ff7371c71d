"""bodyreg lift: give keypoints their depths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import OptionalFile, Switch, require_output
from bodyreg.cli.sources import Sources, missing_source, source_of
from bodyreg.errors import UserError
from bodyreg.files import provenance

if TYPE_CHECKING:
    from bodyreg.data import Observations


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `bodyreg lift`.

    Attributes:
        lifter: The lifter (.safetensors), as train/lift.py writes it.
        out: The file to write (.npz): the same people, with the depths of their keypoints and the
            spread of these depths. `bodyreg register --observations` reads it.
        body: Body that dense points lie on: SMPL's .npz or .pkl, or the project's .npz. The default
            is the built-in body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Your own landmarks (.json), of the keypoints' names.
        quiet: Print nothing but errors.
    """

    lifter: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Lift, write, and print for how many."""
    if missing := missing_source(options):
        raise UserError(f"Missing from bodyreg lift: {missing[0]}; see bodyreg lift --help")
    source, files = source_of(options), body_files(options)
    require_output(options.out, "lifted.npz", [*source.paths, options.body])

    from bodyreg.data.opening import open_people
    from bodyreg.lifting import Lifter
    from bodyreg.runs.job import reasons
    from bodyreg.runs.progress import counted

    lifter = Lifter.load(options.lifter)
    stored, skipped = open_people(source, files.open())
    people = stored.read(0, len(stored))
    lifted = lifter.lift(people)
    facts = {name: str(value) for name, value in provenance(command).items()}
    lifted.save(options.out, **facts)
    if not options.quiet:
        if skipped:
            print(f"skipped {skipped.total():,}{reasons(skipped)}")
        print(_summary(lifted))
        if before := int(people.has_depths.sum()):
            print(f"{counted(before, 'people')} had depths, which these replace")
        print(f"observations with depths: {options.out}")


def _summary(lifted: Observations) -> str:
    import numpy as np

    depth, spread = lifted.keypoint_depth, lifted.keypoint_depth_spread
    known = ~np.isnan(depth)
    people = int(known.any(axis=1).sum())
    line = f"depths of {known.sum():,} keypoints of {people:,} of {len(lifted):,} people"
    if people:
        line += f"; median spread: {np.median(spread[known]):.3f} half sides of the crop"
    return line
