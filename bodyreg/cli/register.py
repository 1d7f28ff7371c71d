"""bodyreg register: fit bodies to the people of a file, or of a folder of files."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bodyreg.cli import ranks, runs
from bodyreg.cli.drawings import draw, write_meshes
from bodyreg.cli.job import Job, Options, Reading, prepare, reasons, source_of
from bodyreg.cli.parts import Parts, pipeline
from bodyreg.cli.summary import Summary
from bodyreg.errors import UserError
from bodyreg.files import provenance

if TYPE_CHECKING:
    from tqdm import tqdm

    from bodyreg.cli.ranks import Ranks
    from bodyreg.data import Fits


class Fitted(NamedTuple):
    """A part's fits, and the seconds they took."""

    fits: Fits
    seconds: float


def run(options: Options, command: str) -> None:
    """Read, register, write, and say what was done."""
    clock = runs.Clock()
    with ranks.joined() as processes:
        with processes.together():
            job = prepare(options)
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
            options=runs.plain_options(options),
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
            write_meshes(options, fitted.fits, job)
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
        raise UserError(f"{source_of(options)}: nobody to register{reasons(summary.skipped)}")


def _write(options: Options, job: Job, facts: dict[str, Any]) -> None:
    """Join the parts, and draw."""
    from bodyreg.data.fits import join_fits

    join_fits(
        options.out / "fits.npz",
        job.parts.paths(),
        within=job.parts.folder,
        provenance=json.dumps(facts),
    )
    if options.overlays:
        draw(options, job)


def _report(
    options: Options, job: Job, summary: Summary, processes: int, people: int, seconds: float
) -> str:
    """What a user wants to know at the end; `people` were fitted now, in these seconds."""
    lines = []
    if summary.skipped:
        lines.append(f"skipped {summary.skipped.total():,}{reasons(summary.skipped)}")
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
