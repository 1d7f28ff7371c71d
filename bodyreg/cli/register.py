"""bodyreg register: fit bodies to the people of a file."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli import runs
from bodyreg.cli.flags import (
    Device,
    Folder,
    OfPreset,
    OptionalFile,
    OptionalFolder,
    Settings,
    Switch,
)
from bodyreg.errors import UserError
from bodyreg.files import provenance

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Observations
    from bodyreg.registration import Fits


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg register`.

    Attributes:
        out: For the results; made when they are written.
        observations: People to register: bodyreg-observations-1 (.npz).
        densepose_coco: People to register: a DensePose-COCO file (.json).
        mpii_poses: People to register, from keypoints alone: MPII poses, (N, 34) pixels (.npy).
        whole_body: Of a DensePose-COCO file, only people whose whole body is in the picture.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The built-in one if left out.
        uv: DensePose's UV_Processed.mat, which gives SMPL its charts.
        preset: Losses, weights and schedule: accurate, or the paper's.
        starts: Cold starts per person, at yaws around the circle.
        iterations: Iterations of a fit.
        set: Other fields of the configuration; `bodyreg info --preset accurate` lists them.
        initial: Fits to start from (fits.npz); people are matched by id.
        device: Where to compute; auto takes CUDA where it can be used.
        meshes: Also write a mesh per person: metres, x right, y up, z toward the viewer.
        overlays: Also draw this many of the fits, evenly chosen, as overlays.png.
        images: The pictures of a DensePose-COCO file, to draw the fits over.
        quiet: No progress bar and no summary.
    """

    out: Folder
    observations: OptionalFile = None
    densepose_coco: OptionalFile = None
    mpii_poses: OptionalFile = None
    whole_body: Switch = False
    body: OptionalFile = None
    uv: OptionalFile = None
    preset: Literal["accurate", "paper"] = "accurate"
    starts: OfPreset = None
    iterations: OfPreset = None
    set: Settings = ()
    initial: OptionalFile = None
    device: Device = "auto"
    meshes: Annotated[
        Literal["obj", "ply"] | None, tyro.conf.arg(metavar="obj|ply", help_behavior_hint="")
    ] = None
    overlays: int = 0
    images: OptionalFolder = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Read, register, write, and say what was done."""
    source = _source(options)
    runs.require_writable(options.out)
    config = runs.make_config(options.preset, options.starts, options.iterations, options.set)
    device, _ = runs.choose_device(options.device)

    started = time.perf_counter()
    body = _body(options)
    observations, skipped = _read(options, body)
    initial = _initial(options)
    if options.meshes and len(set(observations.id.tolist())) < len(observations):
        raise UserError(f"{source}: ids are not unique, so meshes cannot be named by them")
    grounds = _grounds(options, observations)
    reading = time.perf_counter() - started

    done = runs.run_registration(body, observations, config, device, initial, quiet=options.quiet)

    started = time.perf_counter()
    facts = provenance(command, device=str(device))
    done.fits.save(options.out / "fits.npz", provenance=json.dumps(facts))
    if options.meshes:
        _write_meshes(options.out / "meshes", done, body, options.meshes)
    if options.overlays:
        _draw(options, done, body, observations, grounds)
    distances = _distances(done, body, observations)
    inputs = [path for path in (source, options.body, options.uv, options.initial) if path]
    writing = time.perf_counter() - started
    runs.write_record(
        options.out,
        facts,
        done,
        body,
        inputs,
        skipped,
        seconds_reading=round(reading, 3),
        seconds_writing=round(writing, 3),
        median_pixel=distances,
    )
    if not options.quiet:
        _summarise(options, done, skipped, distances)


def _source(options: Options) -> Path:
    given = [
        path
        for path in (options.observations, options.densepose_coco, options.mpii_poses)
        if path is not None
    ]
    if len(given) != 1:
        raise UserError("give one of --observations, --densepose-coco and --mpii-poses")
    if options.densepose_coco is None and (options.whole_body or options.images):
        raise UserError("--whole-body and --images belong to --densepose-coco")
    if options.overlays < 0 or (options.images and not options.overlays):
        raise UserError("--overlays must be how many fits to draw; --images needs it")
    return given[0]


def _body(options: Options) -> Body:
    from bodyreg.body import Body

    if options.body is not None:
        return Body.load(options.body, uv=options.uv)
    if options.uv is not None:
        raise UserError("--uv belongs to SMPL; give it with --body")
    return Body.default()


def _read(options: Options, body: Body) -> tuple[Observations, Counter[str]]:
    from bodyreg.data import Observations, read_densepose_coco, read_mpii_poses
    from bodyreg.data.densepose_coco import NO_EVIDENCE

    skipped: Counter[str] = Counter()
    if options.densepose_coco is not None:
        observations, skipped = read_densepose_coco(
            options.densepose_coco, body, whole_body=options.whole_body
        )
    elif options.mpii_poses is not None:
        observations, skipped = read_mpii_poses(options.mpii_poses)
    else:
        observations = Observations.load(options.observations)
        observations.check(body, source=str(options.observations))
    evidence = observations.has_evidence
    if not evidence.all():
        skipped[NO_EVIDENCE] += int((~evidence).sum())
        observations = observations.select(evidence)
    if not len(observations):
        raise UserError(f"{_source(options)}: nobody to register{_reasons(skipped)}")
    return observations, skipped


def _initial(options: Options) -> Fits | None:
    from bodyreg.registration import Fits

    return None if options.initial is None else Fits.load(options.initial)


def _grounds(options: Options, observations: Observations) -> list[np.ndarray] | None:
    if options.images is None:
        return None
    from bodyreg.viz.overlay import picture_grounds

    shown = observations.select(_shown(options, len(observations)))
    return picture_grounds(options.densepose_coco, options.images, shown)


def _write_meshes(folder: Path, done: runs.Run, body: Body, suffix: str) -> None:
    import trimesh

    from bodyreg.files import atomic_path

    for person, number in enumerate(done.fits.id.tolist()):
        fit = done.fits.select([person])
        vertices = fit.vertices(body)[0]
        vertices[:, :2] -= fit.translation[0]
        mesh = trimesh.Trimesh(vertices / fit.scale[0], body.faces, process=False)
        with atomic_path(folder / f"{number}.{suffix}") as temporary:
            mesh.export(temporary)


def _shown(options: Options, people: int) -> np.ndarray:
    """Positions of the people to draw, evenly chosen."""
    import numpy as np

    return np.unique(np.linspace(0, people - 1, options.overlays).round().astype(int))


def _draw(
    options: Options,
    done: runs.Run,
    body: Body,
    observations: Observations,
    grounds: list[np.ndarray] | None,
) -> None:
    from bodyreg.viz.overlay import fit_sheet, write_picture

    shown = _shown(options, len(observations))
    fits = done.fits.select(shown)
    captions = [
        (str(number), f"loss {loss:.3g}") for number, loss in zip(fits.id, fits.loss, strict=True)
    ]
    title = f"{len(fits)} of {len(done.fits):,} fits"
    page = fit_sheet(body, fits, observations.select(shown), captions, title, grounds)
    write_picture(options.out / "overlays.png", page)


def _distances(done: runs.Run, body: Body, observations: Observations) -> dict[str, float]:
    import numpy as np

    from bodyreg.metrics.reprojection import reprojection_error

    errors = reprojection_error(done.fits, observations, body)
    return {
        name: round(float(np.median(error[np.isfinite(error)])), 3)
        for name, error in errors.items()
        if np.isfinite(error).any()
    }


def _summarise(
    options: Options, done: runs.Run, skipped: Counter[str], distances: dict[str, float]
) -> None:
    if skipped:
        print(f"skipped {sum(skipped.values()):,}{_reasons(skipped)}")
    print(done.speed)
    for name, pixels in distances.items():
        print(
            f"median distance of {name}: {pixels:.2f} px of a 256-pixel frame "
            f"({100 * pixels / 256:.2f} % of its side)"
        )
    mirrored = int(done.fits.mirrored.sum())
    if mirrored:
        print(f"mirrored fits (rotation of determinant -1): {mirrored:,}")
    print(f"results: {options.out}")


def _reasons(skipped: Counter[str]) -> str:
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
    return f" ({counts})" if counts else ""
