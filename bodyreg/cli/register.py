"""bodyreg register: fit bodies to the people of a file, or of a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.config import make_config
from bodyreg.cli.flags import Device, OfPreset, OptionalFile, Settings, Switch
from bodyreg.cli.sources import Sources, missing_source, source_of
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.runs.job import Request
    from bodyreg.runs.registration import Outcome

MESHES = ("obj", "ply", "glb")


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `bodyreg register`.

    Attributes:
        out: Output folder, one for each run. If a command was killed, the same command finishes
            its work.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The default is the built-in
            body.
        uv: DensePose's UV_Processed.mat, which gives SMPL its charts.
        landmarks: Your own landmarks (.json), which replace or join those of the data sets'
            conventions.
        proportions: Usual proportions of the people (.json), which an earlier run has learned.
        learn_proportions: Learn usual proportions of the people first. They are written to
            proportions.json in the output folder. Helps where limbs are shorter or longer than the
            body's in the mean of all people: those who stand then bend their knees less.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer but costlier steps that use curvature (lm).
        starts: Number of directions that a person's fit starts from; the best result is kept.
        iterations: Iterations of a fit; with lm, its Levenberg-Marquardt steps.
        set: Other fields of the configuration. `bodyreg info --preset accurate` lists them.
        initial: Fits to start from (fits.npz); people are matched by id.
        device: Where to compute. auto takes CUDA if it can be used.
        meshes: Also write a mesh for each person: metres, x right, y up, z toward the viewer.
        overlays: Also draw this number of fits, evenly chosen, as overlays.png.
        quiet: Print nothing but errors.
    """

    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required)")
    ] = None
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    proportions: OptionalFile = None
    learn_proportions: Switch = False
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
    starts: OfPreset = None
    iterations: OfPreset = None
    set: Settings = None
    initial: OptionalFile = None
    device: Device = "auto"
    meshes: Annotated[
        str | None,
        tyro.conf.arg(metavar="|".join(MESHES), help_behavior_hint=""),
    ] = None
    overlays: int = 0
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Register, and print what was done."""
    request = _request(options)

    from bodyreg.runs.registration import register_people

    outcome = register_people(request, command, quiet=options.quiet)
    if outcome is not None and not options.quiet:
        print(_report(request, outcome))


def _request(options: Options) -> Request:
    missing = missing_source(options)
    if options.out is None or missing:
        missing = ["--out FOLDER"] * (options.out is None) + missing
        raise UserError(
            f"Missing from bodyreg register: {'; '.join(missing)}; see bodyreg register --help"
        )
    if options.proportions is not None and options.learn_proportions:
        raise UserError("give one of --proportions and --learn-proportions")
    source = source_of(options)
    body = replace(body_files(options), proportions=options.proportions)
    if options.overlays < 0:
        raise UserError("--overlays must be the number of fits to draw")
    if options.meshes not in (None, *MESHES):
        raise UserError(f"--meshes {options.meshes}: choose one of {', '.join(MESHES)}")
    config = make_config(
        options.preset, options.solver, options.starts, options.iterations, options.set
    )

    from bodyreg.runs.job import Request

    return Request(
        out=options.out,
        source=source,
        config=config,
        preset=options.preset,
        device=options.device,
        body=body,
        initial=options.initial,
        meshes=options.meshes,
        overlays=options.overlays,
        learn_proportions=options.learn_proportions,
    )


def _report(request: Request, outcome: Outcome) -> str:
    """What a user wants to know at the end."""
    from bodyreg.runs.job import PROPORTIONS, reasons
    from bodyreg.runs.progress import counted, speed

    lines, summary = [], outcome.summary
    if summary is None:
        return f"{request.out}: the same run is finished here; to do it again, remove this folder"
    if summary.skipped:
        lines.append(f"skipped {summary.skipped.total():,}{reasons(summary.skipped)}")
    if outcome.earlier:
        lines.append(f"fitted before: {counted(outcome.earlier, 'people')}")
    if outcome.people:
        warm = request.initial is not None
        rates = speed(outcome.people, outcome.seconds, request.config, outcome.device, warm=warm)
        lines.append(rates + (f", {outcome.processes} processes" * (outcome.processes > 1)))
    if request.learn_proportions:
        lines.append(f"proportions: {request.out / PROPORTIONS}")
    if request.config.depth_weight:
        used = f"{summary.with_depths:,} of {counted(summary.people, 'people')}"
        lines.append(f"depths of keypoints: used for {used}")
    lines.append(f"cameras: {_cameras(summary.cameras)}")
    lines.append(f"mean loss: {summary.mean_loss:.4g}")
    for name, pixels in summary.median_pixels.items():
        lines.append(
            f"median distance of {name}: {pixels:.2f} px of a 256-pixel frame "
            f"({100 * pixels / 256:.2f} % of its side)"
        )
    if deviations := summary.median_deviations:
        lines.append(
            f"median standard deviation of joints: {deviations['across']:.0f} mm across the view, "
            f"{deviations['along']:.0f} mm along it"
        )
    if summary.mirrored:
        lines.append(f"mirrored fits (rotation of determinant -1): {summary.mirrored:,}")
    if request.overlays and request.source.images is None:
        lines.append("overlays.png shows no pictures: to see them, give their folder as --images")
    return "\n".join([*lines, f"results: {request.out}"])


def _cameras(counts: Mapping[str, int]) -> str:
    words = {
        "known": "focal length known",
        "assumed": "focal length found by the fits",
        "weak": "no perspective",
    }
    return ", ".join(f"{counts[name]:,} {what}" for name, what in words.items() if counts[name])
