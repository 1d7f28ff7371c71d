"""bodyreg predict: bodies of the people in pictures, by a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bodyreg.cli.body import body_files
from bodyreg.cli.running import Checkpoint, Run, check_run, report, require_given
from bodyreg.cli.sources import PeopleInPictures, source_in_pictures

if TYPE_CHECKING:
    from bodyreg.runs.job import Request


@dataclass(frozen=True, kw_only=True)
class Options(Run, PeopleInPictures):
    """Options of `bodyreg predict`.

    Attributes:
        checkpoint: The network (.safetensors), as train/regress.py writes it.
        preset: What the cameras are, as in a registration of this preset: in perspective where the
            size of the picture is known (accurate), or without perspective (paper).
    """

    checkpoint: Checkpoint = None
    preset: Literal["accurate", "paper"] = "accurate"


def run(options: Options, command: str) -> None:
    """Predict, and print what was done."""
    request = _request(options)

    from bodyreg.runs.registration import register_people

    outcome = register_people(request, command, quiet=options.quiet)
    if outcome is not None and not options.quiet:
        print(report(request, outcome))


def _request(options: Options) -> Request:
    require_given("predict", options)
    source, body = source_in_pictures(options), body_files(options)
    check_run(options)

    from bodyreg.registration import RegistrationConfig
    from bodyreg.runs.job import Request

    return Request(
        out=options.out,
        source=source,
        config=RegistrationConfig.preset(options.preset),
        preset=options.preset,
        device=options.device,
        body=body,
        regressor=options.checkpoint,
        meshes=options.meshes,
        overlays=options.overlays,
    )
