"""bodyreg register: fit bodies to the people of a file, or of a folder of files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.config import make_config
from bodyreg.cli.flags import OfPreset, Switch
from bodyreg.cli.running import Fitting, Run, check_run, report
from bodyreg.cli.sources import Sources, missing_source, source_of, source_to_detect
from bodyreg.errors import UserError
from bodyreg.files import is_there

if TYPE_CHECKING:
    from bodyreg.runs.job import Request


@dataclass(frozen=True, kw_only=True)
class Options(Fitting, Run, Sources):
    """Options of `bodyreg register`.

    Attributes:
        learn_proportions: Learn usual proportions of the people first. They are written to
            proportions.json in the output folder. Helps where limbs are shorter or longer than the
            body's in the mean of all people: those who stand then bend their knees less.
        starts: Number of directions that a person's fit starts from; the best result is kept.
        iterations: Iterations of a fit; with lm, its Levenberg-Marquardt steps.
        initial: Fits to start from (fits.npz, or the folder of a run); people are matched by id. Or
            what SAM 3D Body has found in the same pictures (.npz, or a folder of them): the body is
            first fitted to its keypoints in space, and people are matched by picture and place.
    """

    learn_proportions: Switch = False
    starts: OfPreset = None
    iterations: OfPreset = None
    initial: Annotated[Path | None, tyro.conf.arg(metavar="FILE|FOLDER", help_behavior_hint="")] = (
        None
    )


def run(options: Options, command: str) -> None:
    """Register, and print what was done."""
    request = _request(options)

    from bodyreg.runs.registration import register_people

    outcome = register_people(request, command, quiet=options.quiet)
    if outcome is not None and not options.quiet:
        print(report(request, outcome))


def _request(options: Options) -> Request:
    unnamed = missing_source(options)
    detects = bool(unnamed) and options.images is not None
    if options.out is None or (unnamed and not detects):
        alone = [f"{names}, or --images alone" for names in unnamed if not detects]
        missing = ["--out FOLDER"] * (options.out is None) + alone
        raise UserError(
            f"Missing from bodyreg register: {'; '.join(missing)}; see bodyreg register --help"
        )
    if options.proportions is not None and options.learn_proportions:
        raise UserError("give one of --proportions and --learn-proportions")
    from bodyreg.runs.detection import NAME as DETECTED
    from bodyreg.runs.placed import NAME as PLACED
    from bodyreg.runs.placed import is_placed
    from bodyreg.runs.record import NAME as RUN

    source = source_to_detect(options, options.out / DETECTED) if detects else source_of(options)
    body = replace(body_files(options), proportions=options.proportions)
    check_run(options)
    config = make_config(
        options.preset,
        options.solver,
        options.starts,
        options.iterations,
        options.set,
        fit_shape=options.fit_shape,
    )

    from bodyreg.runs.job import Request

    initial, placed = options.initial, None
    if initial is not None and is_there(initial / RUN):
        initial = initial / "fits.npz"
    elif initial is not None and is_placed(initial):
        initial, placed = options.out / PLACED, initial
    return Request(
        out=options.out,
        source=source,
        config=config,
        preset=options.preset,
        device=options.device,
        body=body,
        initial=initial,
        placed=placed,
        meshes=options.meshes,
        overlays=options.overlays,
        learn_proportions=options.learn_proportions,
        detects=detects,
    )
