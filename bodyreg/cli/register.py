"""bodyreg register: fit bodies to the people of a file, or of a folder of files."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from bodyreg.cli import ranks, runs
from bodyreg.cli.flags import (
    Device,
    Folder,
    OfPreset,
    OptionalFile,
    OptionalFolder,
    OptionalPath,
    Settings,
    Switch,
)
from bodyreg.cli.parts import Parts, pipeline
from bodyreg.cli.summary import Summary
from bodyreg.errors import UserError
from bodyreg.files import atomic_path, fingerprint, provenance

if TYPE_CHECKING:
    import numpy as np
    import torch
    from tqdm import tqdm

    from bodyreg.body import Body
    from bodyreg.cli.ranks import Ranks
    from bodyreg.data import Observations
    from bodyreg.data.stored import StoredPeople
    from bodyreg.registration import Fits, FitsById, RegistrationConfig


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg register`.

    Attributes:
        out: For the results; made when they are written. The same command finishes what a killed
            one has left in it.
        observations: People to register: bodyreg-observations-1 (.npz), or a folder of such files.
        densepose_coco: People to register: a DensePose-COCO file (.json).
        mpii_poses: People to register, from keypoints alone: MPII poses, (N, 34) pixels (.npy).
        whole_body: Of a DensePose-COCO file, only people whose whole body is in the picture.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The built-in one if left out.
        uv: DensePose's UV_Processed.mat, which gives SMPL its charts.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer and dearer ones that use curvature (lm).
        starts: Cold starts per person, at yaws around the circle.
        iterations: Iterations of a fit; with lm, those of Levenberg-Marquardt.
        set: Other fields of the configuration; `bodyreg info --preset accurate` lists them.
        initial: Fits to start from (fits.npz); people are matched by id.
        device: Where to compute; auto takes CUDA where it can be used.
        meshes: Also write a mesh per person: metres, x right, y up, z toward the viewer.
        overlays: Also draw this many of the fits, evenly chosen, as overlays.png.
        images: The pictures of a DensePose-COCO file, to draw the fits over.
        quiet: Print nothing but errors.
    """

    out: Folder
    observations: OptionalPath = None
    densepose_coco: OptionalFile = None
    mpii_poses: OptionalFile = None
    whole_body: Switch = False
    body: OptionalFile = None
    uv: OptionalFile = None
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
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


@dataclass(frozen=True)
class Job:
    """What options ask for, ready to be done part by part.

    Attributes:
        config, device, body: How people are registered, where, and what is fitted to them.
        people: Where they are read from.
        skipped: Those that the reader left out, by reason.
        initial: Fits to start from.
        grounds: Pictures to draw the shown fits over.
        inputs: Files that were read, and their fingerprints.
        parts: What has been done.
    """

    config: RegistrationConfig
    device: torch.device
    body: Body
    people: StoredPeople
    skipped: Counter[str]
    initial: FitsById | None
    grounds: list[np.ndarray] | None
    inputs: dict[str, str]
    parts: Parts

    def read(self, part: int) -> Reading:
        """What there is to know of a part's people."""
        observations, skipped = _with_evidence(self.people.read(*self.parts.range(part)))
        initial = None if self.initial is None else self.initial.of(observations.id)
        return Reading(observations, skipped, initial)


class Reading(NamedTuple):
    """A part: its people who have evidence, how many have not, and fits to start from."""

    observations: Observations
    skipped: Counter[str]
    initial: Fits | None


class Fitted(NamedTuple):
    """A part's fits, and the seconds they took."""

    fits: Fits
    seconds: float


def run(options: Options, command: str) -> None:
    """Read, register, write, and say what was done."""
    clock = runs.Clock()
    with ranks.joined() as processes:
        with processes.together():
            job = _prepare(options)
            if processes.rank == 0:
                job.parts.take_up()
        missing = processes.from_first(job.parts.missing)
        before = job.parts.summary.people
        clock.lap("preparing")
        with processes.together():
            _register(options, job, processes, missing[processes.rank :: processes.count])
        clock.lap("registering")
        if processes.rank > 0:
            return
        job.parts.look()
        summary = job.parts.summary
        summary.skipped += job.skipped
        _require_people(options, job, summary)
        facts = provenance(command, device=job.device.type)
        _write(options, job, facts)
        clock.lap("writing")
        runs.write_record(
            options.out,
            facts,
            job.config,
            job.body,
            job.inputs,
            within=job.parts.folder,
            processes=processes.count,
            parts=len(job.parts),
            people=summary.people,
            people_of_earlier_starts=before,
            skipped=dict(summary.skipped),
            mirrored=summary.mirrored,
            loss=summary.mean_loss,
            terms=summary.mean_terms,
            median_pixel=summary.median_pixels,
            median_pixel_people={name: len(h) for name, h in summary.distances.items()},
            seconds=clock.laps["registering"],
            seconds_preparing=clock.laps["preparing"],
            seconds_fitting=round(summary.seconds, 3),
            seconds_writing=clock.laps["writing"],
        )
        job.parts.remove()
    if not options.quiet:
        people, seconds = summary.people - before, clock.laps["registering"]
        print(_report(options, job, summary, processes.count, people, seconds))


def _prepare(options: Options) -> Job:
    """Open what is read, and refuse what cannot be done."""
    source = _source(options)
    runs.require_writable(options.out)
    config = runs.make_config(
        options.preset, options.solver, options.starts, options.iterations, options.set
    )
    device, _ = runs.choose_device(options.device)

    from bodyreg import __version__
    from bodyreg.registration import FitsById

    body = _body(options)
    people, skipped = _people(options, body)
    initial = None if options.initial is None else FitsById(options.initial)
    if options.meshes and len(set(people.ids().tolist())) < len(people):
        raise UserError(f"{source}: ids are not unique, so meshes cannot be named by them")
    others = [path for path in (options.body, options.uv, options.initial) if path]
    prints = {str(source): people.fingerprint, **{str(p): fingerprint(p) for p in others}}
    what_parts_depend_on = {
        "version": __version__,
        "people": people.fingerprint,
        "whole_body": options.whole_body,
        "body": body.fingerprint,
        "initial_fits": prints.get(str(options.initial)),
        "configuration": runs.plain(config),
        "device": device.type,
        "meshes": options.meshes,
    }
    return Job(
        config=config,
        device=device,
        body=body,
        people=people,
        skipped=skipped,
        initial=initial,
        grounds=_grounds(options, people),
        inputs=prints,
        parts=Parts(options.out / "parts", len(people), what_parts_depend_on),
    )


def _register(options: Options, job: Job, processes: Ranks, parts: Sequence[int]) -> None:
    """Fit these parts and write them."""
    from bodyreg.registration import register

    def fit(read: Reading) -> Fitted:
        started = time.perf_counter()
        fits = register(
            job.body, read.observations, job.config, initial=read.initial, device=job.device
        )
        return Fitted(fits, time.perf_counter() - started)

    def write(part: int, read: Reading, fitted: Fitted) -> None:
        if options.meshes:
            _write_meshes(options, fitted.fits, job)
        summary = Summary.of(fitted.fits, read.observations, job.body, read.skipped, fitted.seconds)
        job.parts.write(part, fitted.fits, summary)

    with runs.progress_bar(len(job.people), options.quiet) as bar:
        _show(job.parts, bar)
        for _ in pipeline(parts, job.read, fit, write):
            if processes.trouble:
                break
            _show(job.parts, bar)
        _show(job.parts, bar)


def _show(parts: Parts, bar: tqdm) -> None:
    """Bring the bar to what all processes have finished."""
    if bar.disable:
        return
    parts.look()
    if parts.people_done:
        bar.set_postfix(loss=f"{parts.mean_loss:.4g}", refresh=False)
    bar.update(parts.people_done - bar.n)


def _require_people(options: Options, job: Job, summary: Summary) -> None:
    """Refuse to write results of nobody, or of only some."""
    if job.parts.missing:
        raise UserError(
            f"{job.parts.path(job.parts.missing[0])}: is missing or damaged; give the same command "
            "again to finish"
        )
    if not summary.people:
        job.parts.remove()
        with contextlib.suppress(OSError):
            options.out.rmdir()
        raise UserError(f"{_source(options)}: nobody to register{_reasons(summary.skipped)}")


def _write(options: Options, job: Job, facts: dict[str, Any]) -> None:
    """Join the parts, and draw."""
    from bodyreg.registration.fits import join_fits

    join_fits(
        options.out / "fits.npz",
        job.parts.paths(),
        within=job.parts.folder,
        provenance=json.dumps(facts),
    )
    if options.overlays:
        _draw(options, job)


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


def _people(options: Options, body: Body) -> tuple[StoredPeople, Counter[str]]:
    """Where people are read from, and how many its reader left out, by reason."""
    from bodyreg.data import (
        ObservationsInMemory,
        open_observations,
        read_densepose_coco,
        read_mpii_poses,
    )

    source = _source(options)
    if options.observations is not None:
        people, skipped = open_observations(source, body), Counter()
    else:
        if options.densepose_coco is not None:
            read = read_densepose_coco(source, body, whole_body=options.whole_body)
        else:
            read = read_mpii_poses(source)
        observations, skipped = _with_evidence(*read)
        people = ObservationsInMemory(observations, fingerprint(source))
    if not len(people):
        raise UserError(f"{source}: nobody to register{_reasons(skipped)}")
    return people, skipped


def _with_evidence(
    observations: Observations, skipped: Mapping[str, int] = MappingProxyType({})
) -> tuple[Observations, Counter[str]]:
    """The people who have evidence, and how many were skipped, by reason."""
    from bodyreg.data.densepose_coco import NO_EVIDENCE

    skipped, evidence = Counter(skipped), observations.has_evidence
    if not evidence.all():
        skipped[NO_EVIDENCE] += int((~evidence).sum())
        observations = observations.select(evidence)
    return observations, skipped


def _grounds(options: Options, people: StoredPeople) -> list[np.ndarray] | None:
    if options.images is None:
        return None
    from bodyreg.viz.overlay import picture_grounds

    shown = people.read(0, len(people)).select(_shown(options, len(people)))
    return picture_grounds(options.densepose_coco, options.images, shown)


def _write_meshes(options: Options, fits: Fits, job: Job) -> None:
    import trimesh

    for person, number in enumerate(fits.id.tolist()):
        fit = fits.select([person])
        vertices = fit.vertices(job.body)[0]
        vertices[:, :2] -= fit.translation[0]
        mesh = trimesh.Trimesh(vertices / fit.scale[0], job.body.faces, process=False)
        path = options.out / "meshes" / f"{number}.{options.meshes}"
        with atomic_path(path, within=job.parts.folder) as temporary:
            mesh.export(temporary)


def _shown(options: Options, people: int) -> np.ndarray:
    """Positions of the people to draw, evenly chosen."""
    import numpy as np

    return np.unique(np.linspace(0, people - 1, options.overlays).round().astype(int))


def _draw(options: Options, job: Job) -> None:
    import numpy as np

    from bodyreg.data import Observations
    from bodyreg.registration import Fits
    from bodyreg.viz.overlay import fit_sheet, write_picture

    last = np.cumsum(job.parts.counts)
    shown = _shown(options, last[-1])
    of_part = np.searchsorted(last, shown, side="right")
    fits, observations = [], []
    for part in np.unique(of_part).tolist():
        chosen = shown[of_part == part] - (last[part] - job.parts.counts[part])
        fits.append(Fits.load(job.parts.path(part)).select(chosen))
        observations.append(job.read(part).observations.select(chosen))
    drawn = Fits.concatenate(fits)
    captions = [
        (str(number), f"loss {loss:.3g}") for number, loss in zip(drawn.id, drawn.loss, strict=True)
    ]
    title = f"{len(drawn)} of {last[-1]:,} fits"
    page = fit_sheet(
        job.body, drawn, Observations.concatenate(observations), captions, title, job.grounds
    )
    # Half-written, it lies where everything that is not finished does.
    write_picture(job.parts.folder / "overlays.png", page)
    os.replace(job.parts.folder / "overlays.png", options.out / "overlays.png")


def _report(
    options: Options, job: Job, summary: Summary, processes: int, people: int, seconds: float
) -> str:
    """What a user wants to know at the end; `people` were fitted now, in these seconds."""
    lines = []
    if summary.skipped:
        lines.append(f"skipped {summary.skipped.total():,}{_reasons(summary.skipped)}")
    if people < summary.people:
        lines.append(f"{summary.people - people:,} people had been fitted before")
    if people:
        warm = job.initial is not None
        speed = runs.speed(people, seconds, job.config, job.device, warm=warm)
        lines.append(speed + (f", {processes} processes" if processes > 1 else ""))
    lines.append(f"mean loss: {summary.mean_loss:.4g}")
    for name, pixels in summary.median_pixels.items():
        lines.append(
            f"median distance of {name}: {pixels:.2f} px of a 256-pixel frame "
            f"({100 * pixels / 256:.2f} % of its side)"
        )
    if summary.mirrored:
        lines.append(f"mirrored fits (rotation of determinant -1): {summary.mirrored:,}")
    return "\n".join([*lines, f"results: {options.out}"])


def _reasons(skipped: Mapping[str, int]) -> str:
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
    return f" ({counts})" if counts else ""
