"""bodyreg register: fit bodies to the people of a file, or of a folder of files."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bodyreg.errors import UserError
from bodyreg.files import provenance
from bodyreg.runs import ranks, record
from bodyreg.runs.drawings import draw, write_meshes
from bodyreg.runs.fitted_shards import FittedShards, pipeline
from bodyreg.runs.job import Job, Options, Reading, prepare, reasons, source_of
from bodyreg.runs.summary import Summary

if TYPE_CHECKING:
    from tqdm import tqdm

    from bodyreg.data import Fits
    from bodyreg.runs.ranks import Ranks


class Fitted(NamedTuple):
    """A shard's fits, and the seconds they took."""

    fits: Fits
    seconds: float


def run(options: Options, command: str) -> None:
    """Read, register, write, and say what was done."""
    clock = record.Clock()
    with ranks.joined() as processes:
        with processes.together():
            job = prepare(options)
            if processes.rank == 0:
                job.shards.take_up()
        missing = processes.from_first(job.shards.missing)
        before = job.shards.summary.people
        clock.lap("preparing")
        with processes.together():
            _register(options, job, processes, missing[processes.rank :: processes.count])
        clock.lap("registering")
        if processes.rank > 0:
            return
        job.shards.look()
        summary = job.shards.summary
        summary.skipped += job.skipped
        _require_people(options, job, summary)
        facts = provenance(command, device=job.device.type)
        _write(options, job, facts)
        clock.lap("writing")
        record.write_record(
            options.out,
            facts,
            job.config,
            job.body,
            job.inputs,
            within=job.shards.folder,
            options=record.plain_options(options),
            processes=processes.count,
            shards=len(job.shards),
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
        job.shards.remove()
    if not options.quiet:
        people, seconds = summary.people - before, clock.laps["registering"]
        print(_report(options, job, summary, processes.count, people, seconds))


def _register(options: Options, job: Job, processes: Ranks, shards: Sequence[int]) -> None:
    """Fit these shards and write them."""
    from bodyreg.registration import register

    def fit(read: Reading) -> Fitted:
        started = time.perf_counter()
        fits = register(
            job.body, read.observations, job.config, initial=read.initial, device=job.device
        )
        return Fitted(fits, time.perf_counter() - started)

    def write(shard: int, read: Reading, fitted: Fitted) -> None:
        if options.meshes:
            write_meshes(options, fitted.fits, job)
        summary = Summary.of(fitted.fits, read.observations, job.body, read.skipped, fitted.seconds)
        job.shards.write(shard, fitted.fits, summary)

    with record.progress_bar(len(job.people), options.quiet) as bar:
        _show(job.shards, bar)
        for _ in pipeline(shards, job.read, fit, write):
            if processes.trouble:
                break
            _show(job.shards, bar)
        _show(job.shards, bar)


def _show(shards: FittedShards, bar: tqdm) -> None:
    """Bring the bar to what all processes have finished."""
    if bar.disable:
        return
    shards.look()
    if shards.people_done:
        bar.set_postfix(loss=f"{shards.mean_loss:.4g}", refresh=False)
    bar.update(shards.people_done - bar.n)


def _require_people(options: Options, job: Job, summary: Summary) -> None:
    """Refuse to write results of nobody, or of only some."""
    if job.shards.missing:
        path = job.shards.path(job.shards.missing[0])
        raise UserError(f"{path}: is missing or damaged; give the same command again to finish")
    if not summary.people:
        job.shards.remove()
        with contextlib.suppress(OSError):
            options.out.rmdir()
        raise UserError(f"{source_of(options)}: nobody to register{reasons(summary.skipped)}")


def _write(options: Options, job: Job, facts: dict[str, Any]) -> None:
    """Join the shards, and draw."""
    from bodyreg.data.fits import join_fits

    join_fits(
        options.out / "fits.npz",
        job.shards.paths(),
        within=job.shards.folder,
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
        speed = record.speed(people, seconds, job.config, job.device, warm=warm)
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
