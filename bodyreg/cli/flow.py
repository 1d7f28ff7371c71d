"""bodyreg flow: where the pixels of pictures are in other pictures of the same people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import Device, OptionalFile, OptionalFolder, Switch
from bodyreg.cli.sources import Sources, missing_source, require_run_or_people, source_of
from bodyreg.errors import UserError
from bodyreg.runs.lock import working_in

if TYPE_CHECKING:
    from bodyreg.data.pairs import Pairs
    from bodyreg.runs.flow import Flows

FITS = "fits"
"""The folder of the registration that this command has made, in the output folder."""


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `bodyreg flow`.

    Attributes:
        run: The --out folder of `bodyreg register`, `predict` or `demo`: its fits are used. Without
            it, the people of one of the options above are registered first.
        pairs: File of pairs of pictures (.json), as DeepFashion's pair_split.json: source, target.
        split: Only this split of the file ("test").
        pair: One pair instead: the names of the picture that is read, and of the one that is made.
        size: Width and height of the pictures, pixels, if neither files nor pictures (--images)
            tell.
        out: Output folder for corr/TARGET_SOURCE.corr and flow.json. If a command was killed, the
            same command finishes its work.
        visible: What is visible: points that nothing lies in front of, or all of a face that the
            source shows in some pixel, as in the paper.
        drawn: Also draw this number of pairs, evenly chosen, as flow.png.
        body: Body to fit, without --run: SMPL's .npz or .pkl, or the project's .npz. The default is
            the built-in body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Your own landmarks (.json), which replace or join those of the data sets'
            conventions.
        device: Where to register. auto takes CUDA if it can be used.
        quiet: Print nothing but errors.
    """

    run: OptionalFolder = None
    pairs: OptionalFile = None
    split: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    pair: Annotated[
        tuple[str, str] | None, tyro.conf.arg(metavar="SOURCE TARGET", help_behavior_hint="")
    ] = None
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="W H", help_behavior_hint="")] = (
        None
    )
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required)")
    ] = None
    visible: Literal["point", "face"] = "point"
    drawn: int = 0
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    device: Device = "auto"
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Register where there are no fits yet, make flows, and print what was made."""
    _check(options)
    pairs = _pairs(options)

    from bodyreg.runs.flow import FlowRequest, make_flows

    with working_in(options.out):
        folder = options.run or _register(options, command)
        request = FlowRequest(
            options.out, folder, pairs, options.images, options.size, options.visible, options.drawn
        )
        made = make_flows(request, command, quiet=options.quiet)
    if not options.quiet:
        print(_report(options.out, made))


def _check(options: Options) -> None:
    missing = ["--out FOLDER"] * (options.out is None)
    missing += ["--pairs FILE or --pair SOURCE TARGET"] * (not options.pairs and not options.pair)
    if options.run is None:
        missing += [f"--run FOLDER or {people}" for people in missing_source(options)]
    if missing:
        raise UserError(f"Missing from bodyreg flow: {'; '.join(missing)}; see bodyreg flow --help")
    if options.pairs is not None and options.pair is not None:
        raise UserError("give one of --pairs and --pair")
    if options.split is not None and options.pairs is None:
        raise UserError("--split belongs to --pairs")
    require_run_or_people(options)
    if options.drawn < 0:
        raise UserError("--drawn must be the number of pairs to draw")
    if options.size is not None and not 0 < min(options.size) <= max(options.size) <= 2**15:
        raise UserError("--size must be a width and a height from 1 to 32,768")


def _pairs(options: Options) -> Pairs:
    if options.pair is not None:
        return [options.pair]

    from bodyreg.data.pairs import read_split

    return read_split(options.pairs, options.split)


def _register(options: Options, command: str) -> Path:
    """Register the people whom options name; returns the folder of the run."""
    from bodyreg.cli.config import make_config
    from bodyreg.runs.job import Request
    from bodyreg.runs.registration import register_people

    request = Request(
        out=options.out / FITS,
        source=source_of(options),
        config=make_config("accurate", "adam", None, None, None),
        preset="accurate",
        device=options.device,
        body=body_files(options),
    )
    register_people(request, command, quiet=options.quiet)
    return request.out


def _report(out: Path, made: Flows) -> str:
    from bodyreg.runs.job import reasons

    lines = []
    if made.skipped:
        lines.append(f"skipped {made.skipped.total():,}{reasons(made.skipped)}")
    if made.finished:
        lines.append(f"{out}: the same flows are finished here; to do it again, remove this folder")
    if made.made:
        each = 1e3 * made.seconds / made.made
        lines.append(
            f"{made.made:,} of {made.pairs:,} pairs in {made.seconds:.1f} s, {each:.1f} ms each"
        )
    visible = made.shares["visible"]
    lines.append(f"{visible:.0%} of the pixels of people are visible in their sources")
    return "\n".join([*lines, f"results: {out}"])
