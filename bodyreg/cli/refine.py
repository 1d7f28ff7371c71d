"""bodyreg refine: a network's bodies of people in pictures, fitted to what is seen of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.config import make_config
from bodyreg.cli.running import Checkpoint, Fitting, Run, check_run, report, require_given
from bodyreg.cli.sources import EvidenceInPictures, missing_source, source_in_pictures
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.runs.job import Request
    from bodyreg.runs.refinement import Refinement

ITERATIONS = 50
"""Of the paper's refinement."""


@dataclass(frozen=True, kw_only=True)
class Options(Fitting, Run, EvidenceInPictures):
    """Options of `bodyreg refine`.

    Attributes:
        checkpoint: The network (.safetensors), as train/regress.py writes it.
        iterations: Iterations of a fit, which starts from what the network has seen; with lm, its
            Levenberg-Marquardt steps.
    """

    checkpoint: Checkpoint = None
    iterations: Annotated[
        int | None,
        tyro.conf.arg(metavar="N", help_behavior_hint="(default: 50; with lm the preset's)"),
    ] = None


def run(options: Options, command: str) -> None:
    """Predict, register, and print what was done."""
    request = _request(options)

    from bodyreg.runs.refinement import refine_people

    refinement = refine_people(request, command, quiet=options.quiet)
    if refinement is not None and not options.quiet:
        print(_report(refinement))


def _request(options: Options) -> Request:
    require_given("refine", options)
    if missing := missing_source(options):
        raise UserError(f"Missing from bodyreg refine: {missing[0]}; see bodyreg refine --help")
    source = source_in_pictures(options)
    body = replace(body_files(options), proportions=options.proportions)
    check_run(options)
    iterations = options.iterations
    if iterations is None and options.solver == "adam":
        iterations = ITERATIONS
    config = make_config(
        options.preset,
        options.solver,
        None,
        iterations,
        options.set,
        fit_shape=options.fit_shape,
    )

    from bodyreg.runs.job import Request

    return Request(
        out=options.out,
        source=source,
        config=config,
        preset=options.preset,
        device=options.device,
        body=body,
        regressor=options.checkpoint,
        meshes=options.meshes,
        overlays=options.overlays,
    )


def _report(refinement: Refinement) -> str:
    """What the network did, and then what the registration did."""
    from bodyreg.runs.progress import predicting_speed
    from bodyreg.runs.refinement import stages_of

    request, predicted, outcome = refinement
    lines = []
    if predicted.people:
        speed = predicting_speed(predicted.people, predicted.seconds, predicted.device)
        lines.append(f"network: {speed}")
    before = stages_of(request.initial.parent)
    return "\n".join([*lines, report(request, outcome, before)])
