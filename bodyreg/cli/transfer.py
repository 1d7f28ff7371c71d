"""bodyreg transfer: people of pictures in other poses, without training."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import OptionalFile, OptionalFolder, Switch
from bodyreg.cli.sources import Sources, missing_source, require_run_or_people, source_of
from bodyreg.data.formats import FORMATS
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.data.source import Source
    from bodyreg.runs.transfer import Transferred, TransferRequest

Files = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
Required = Annotated[
    tuple[Path, ...], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="(required)")
]


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `bodyreg transfer`.

    Attributes:
        source: Pictures of the person, one or several: their paths, or, with --run, their names in
            the run's folder of pictures.
        pose: The poses: other pictures, joints of OpenPose (.json), fits (.npz), or clips of motion
            (.bvh).
        run: The --out folder of `bodyreg register`, `predict` or `demo` with these pictures: its
            fits are used. Without it, the people of one of the options above are registered.
        out: The picture for one pose; for several the folder for pictures and a strip of them.
        masks: A picture for each source that is white where the person is. If left out, the person
            is found, starting at the body.
        background: What is behind the person: what is behind the source's (keep), a colour (white,
            grey, black, #rrggbb), or a picture.
        size: Width and height of the pictures, pixels, where the pose is no picture. The default is
            the first source's.
        frames: Of a clip or a file of fits, only this number, evenly chosen.
        details: Also write flow, visibility, provenance and foreground as pictures.
        mesh: Also write the textured body in the first pose (.glb).
        body: Body to fit, without --run: SMPL's .npz or .pkl, or the project's .npz. The default is
            the built-in body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Your own landmarks (.json), which replace or join those of the data sets'
            conventions.
        quiet: Print nothing but errors.
    """

    source: Required = ()
    pose: Required = ()
    run: OptionalFolder = None
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE|FOLDER", help_behavior_hint="(required)")
    ] = None
    masks: Files = ()
    background: Annotated[str, tyro.conf.arg(metavar="keep|COLOUR|FILE")] = "keep"
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="W H", help_behavior_hint="")] = (
        None
    )
    frames: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    details: Switch = False
    mesh: OptionalFile = None
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Paint, and print how long it took and where the colours are from."""
    request = _request(options)

    from bodyreg.runs.transfer import transfer

    made = transfer(request, quiet=options.quiet)
    if not options.quiet:
        for path in made.not_found:
            print(
                f"warning: {path}: the person was not told from the background; check the result, "
                "or give --masks",
                file=sys.stderr,
            )
        print(_report(made))


def _request(options: Options) -> TransferRequest:
    required = {"--source FILE ...": options.source, "--pose FILE ...": options.pose}
    missing = [name for name, value in (required | {"--out": options.out}).items() if not value]
    if options.run is None:
        missing += [f"--run FOLDER or {people}" for people in missing_source(options)]
    if missing:
        raise UserError(
            f"Missing from bodyreg transfer: {'; '.join(missing)}; see bodyreg transfer --help"
        )
    require_run_or_people(options)
    if options.masks and len(options.masks) != len(options.source):
        raise UserError(
            f"--masks: {len(options.masks)} masks for {len(options.source)} sources; give one each"
        )
    if options.size is not None and not 0 < min(options.size) <= max(options.size) <= 2**13:
        raise UserError("--size must be a width and a height from 1 to 8,192")
    if options.frames is not None and options.frames < 1:
        raise UserError("--frames must be the number of frames to paint")
    if options.mesh is not None and options.mesh.suffix.lower() != ".glb":
        raise UserError(f"--mesh {options.mesh}: the file is a .glb")

    from bodyreg.runs.transfer import TransferRequest

    return TransferRequest(
        sources=options.source,
        poses=options.pose,
        out=options.out,
        people=_people(options) if options.run is None else None,
        run=options.run,
        images=options.images,
        body=body_files(options),
        masks=options.masks,
        background=options.background,
        size=options.size,
        frames=options.frames,
        details=options.details,
        mesh=options.mesh,
    )


def _people(options: Options) -> Source:
    """The people. Formats that find pictures in a folder take that of the first source."""
    found = source_of(options)
    if found.images is not None or FORMATS[found.format].pictures == "named":
        return found
    return replace(found, images=options.source[0].parent)


def _report(made: Transferred) -> str:
    stages = ", ".join(f"{stage} {1e3 * time:.0f}" for stage, time in made.seconds.items())
    total = 1e3 * sum(made.seconds.values())
    shares = ", ".join(f"{name} {share:.0%}" for name, share in made.shares.items())
    pictures = f"{made.pictures:,} picture{'s' * (made.pictures > 1)}"
    return "\n".join(
        [
            f"{pictures} in {total:.0f} ms: {stages}",
            f"colours of people: {shares}",
            *(f"results: {path}" for path in made.written),
        ]
    )
