"""What commands that fit people share: options, and what they print at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bodyreg.cli.flags import Device, OptionalFile, Settings, Switch
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.runs.job import Request
    from bodyreg.runs.registration import Outcome
    from bodyreg.runs.summary import Summary

MESHES = ("obj", "ply", "glb")

Checkpoint = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(required)")]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Options of a run.

    Attributes:
        out: Output folder, one for each run. If a command was killed, the same command finishes
            its work.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The default is the built-in
            body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: Your own landmarks (.json), which replace or join those of the data sets'
            conventions.
        device: Where to compute. auto takes CUDA if it can be used.
        meshes: Also write a mesh for each person: metres, x right, y up, z toward the viewer. obj,
            ply: plain. glb: with skeleton and skin, as `bodyreg convert` writes it.
        overlays: Also draw this number of fits as overlays.png: over the picture with its keypoints
            (red) and dense points (dark), and from the side, with limbs that are in doubt in
            orange. Doubtful fits come first, the worst of them; the others are evenly chosen.
        quiet: Print nothing but errors.
    """

    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required)")
    ] = None
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    device: Device = "auto"
    meshes: Annotated[
        str | None,
        tyro.conf.arg(metavar="|".join(MESHES), help_behavior_hint=""),
    ] = None
    overlays: int = 0
    quiet: Switch = False


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Options of a registration.

    Attributes:
        proportions: Usual proportions of the people (.json), which an earlier run has learned.
        fit_shape: Also fit the shape of each person who has dense points: child or adult, woman or
            man, slim or heavy. It takes about 30 times as long.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer but costlier steps that use curvature (lm).
        set: Other fields of the configuration. `bodyreg info --preset accurate` lists them.
    """

    proportions: OptionalFile = None
    fit_shape: Switch = False
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
    set: Settings = None


def require_given(command: str, options: Any) -> None:
    """Refuse a command on pictures without the pictures, its network, or a folder for results.

    Raises:
        UserError: naming all that is missing.
    """
    required = {
        "PICTURES": options.pictures,
        "--checkpoint FILE": options.checkpoint,
        "--out FOLDER": options.out,
    }
    missing = "; ".join(name for name, value in required.items() if not value)
    if missing:
        raise UserError(f"Missing from bodyreg {command}: {missing}; see bodyreg {command} --help")


def check_run(options: Run) -> None:
    """Refuse options of a run that cannot be.

    Raises:
        UserError: naming the option.
    """
    if options.overlays < 0:
        raise UserError("--overlays must be the number of fits to draw")
    if options.meshes not in (None, *MESHES):
        raise UserError(f"--meshes {options.meshes}: choose one of {', '.join(MESHES)}")


def report(
    request: Request, outcome: Outcome, stages: Mapping[str, float] = MappingProxyType({})
) -> str:
    """What a user wants to know at the end of a run.

    Args:
        request: What was to be done.
        outcome: What it came to.
        stages: Milliseconds that a person took in stages before the run.
    """
    from bodyreg.runs.job import PROPORTIONS, reasons
    from bodyreg.runs.progress import counted, predicting_speed, speed

    lines, summary = [], outcome.summary
    if summary is None:
        ending = "to do it again, remove this folder"
        if request.overlays:
            ending = f"{request.out / 'overlays.png'} shows its fits; {ending}"
        return f"{request.out}: the same run is finished here; {ending}"
    predicts = request.regressor is not None
    if summary.skipped:
        lines.append(f"skipped {summary.skipped.total():,}{reasons(summary.skipped)}")
    if outcome.earlier:
        lines.append(f"fitted before: {counted(outcome.earlier, 'people')}")
    if outcome.people:
        work = outcome.people, outcome.seconds
        if predicts:
            rates = predicting_speed(*work, outcome.device)
        else:
            warm = request.initial is not None
            rates = speed(*work, request.config, outcome.device, warm=warm)
        lines.append(rates + (f", {outcome.processes} processes" * (outcome.processes > 1)))
    if request.learn_proportions:
        lines.append(f"proportions: {_learned(request.out / PROPORTIONS)}")
    if request.source.keypoints is not None:
        joined = f"{summary.with_keypoints:,} of {counted(summary.people, 'people')}"
        lines.append(f"keypoints of {request.source.keypoints.path}: found for {joined}")
    if request.config.depth_weight and not predicts:
        used = f"{summary.with_depths:,} of {counted(summary.people, 'people')}"
        lines.append(f"depths of keypoints: used for {used}")
    lines.append(f"cameras: {_cameras(summary.cameras, request)}")
    if not predicts:
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
    if request.config.fit_shape:
        lines.append(
            f"shapes: fitted for {summary.shaped:,} of {counted(summary.people, 'people')}"
        )
    if summary.exchanged:
        lines.append(f"left and right of evidence exchanged: for {summary.exchanged:,}")
    if summary.rejected:
        lines.append(f"evidence that disagrees left out: for {summary.rejected:,}")
    if summary.doubtful:
        lines.append(f"doubtful fits: {_doubtful(summary)}")
    if summary.mirrored:
        lines.append(
            f"mirrored fits (determinant of the rotation, or scale, below 0): {summary.mirrored:,}"
        )
    if request.overlays and request.source.images is None:
        lines.append("overlays.png shows no pictures: to see them, give their folder as --images")
    if stages := {**stages, **summary.median_stages}:
        times = ", ".join(f"{name} {time:.3g} ms" for name, time in stages.items())
        lines.append(f"median time of a person: {times}")
    return "\n".join([*lines, f"results: {request.out}"])


def _doubtful(summary: Summary) -> str:
    """How many fits are doubtful, and why."""
    from bodyreg.data.fits import REASONS

    why = ", ".join(f"{REASONS[name]} {n:,}" for name, n in summary.doubtful.most_common())
    return f"{summary.doubtful.total():,} of {summary.people:,} ({why})"


def _learned(path: Path) -> str:
    """The limbs whose usual lengths differ from the body's, and the file that has them."""
    from bodyreg.data.json_files import load_json

    scales = load_json(path)["limbs"].items()
    limbs = [f"{name} x {scale:.3f}" for name, scale in scales if round(scale, 3) != 1]
    return f"{', '.join(limbs) or 'as the body has them'} ({path})"


def _cameras(counts: Mapping[str, int], request: Request) -> str:
    unknown = "found by the fits"
    if request.regressor is not None or not request.config.find_focal:
        unknown = "assumed"
    elif request.initial is not None:
        unknown = "of the initial fits"
    words = {
        "known": "focal length known for",
        "assumed": f"focal length {unknown} for",
        "weak": "no perspective for",
    }
    return ", ".join(f"{what} {counts[name]:,}" for name, what in words.items() if counts[name])
