"""A run: people are fitted in shards, by one process or several, into a folder."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bodyreg.errors import UserError
from bodyreg.files import is_there, provenance
from bodyreg.runs import ranks
from bodyreg.runs.detection import detect_for_run
from bodyreg.runs.drawings import draw, write_meshes
from bodyreg.runs.fitted_shards import FittedShards, pipeline
from bodyreg.runs.job import Fitted, Job, Reading, Request, no_people
from bodyreg.runs.learning import learn
from bodyreg.runs.lock import working_in
from bodyreg.runs.placed import place_for_run
from bodyreg.runs.prediction import predict
from bodyreg.runs.progress import Clock, progress_bar
from bodyreg.runs.record import NAME, FittedBody, Record, machine_facts, made_of, write_record
from bodyreg.runs.seen import seen_by
from bodyreg.runs.shards import difference
from bodyreg.runs.summary import Summary

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from bodyreg.runs.ranks import Ranks


REGISTRATION = "registration"
"""The stage of a refinement that follows the prediction."""


class Outcome(NamedTuple):
    """What a registration came to.

    Attributes:
        summary: Of all people; None if the folder held this run, finished, and nobody was fitted.
        people: The number of people who were fitted now.
        earlier: The number of people who were fitted by earlier starts of the same run.
        seconds: The time of the fits, reading and writing included.
        device: Where they were computed.
        processes: The number of processes that shared the work.
    """

    summary: Summary | None
    people: int
    earlier: int
    seconds: float
    device: torch.device
    processes: int


def register_people(request: Request, command: str, *, quiet: bool = False) -> Outcome | None:
    """Fit the people of a file; write fits.npz, run.json, and pictures and meshes if wanted.

    They are registered, or a network sees them in their pictures. The work is done in shards, by
    as many processes as torchrun has started. A run that was killed goes on where it was. A
    finished run is not done again; overlays, if wanted, are drawn of its fits. The folder is locked
    meanwhile.

    Args:
        request: What is to be done.
        command: The command line or the function that asks, for the record.
        quiet: Show no progress bar.

    Returns:
        What it came to; None in every process but the first.

    Raises:
        UserError: something is missing or damaged, cannot be done or cannot be written, another
            run works in the folder, or the folder holds another one. Nothing is left half-written.
        InstallationError: people are to be detected, and the detector is not installed.
    """
    clock = Clock()
    with ranks.joined() as processes, contextlib.ExitStack() as lock:
        with processes.together():
            if processes.rank == 0:
                lock.enter_context(working_in(request.out))
                if request.detects:
                    detect_for_run(request, command, quiet=quiet)
                if request.placed is not None:
                    place_for_run(request, command)
        with processes.together():
            job = Job.open(request)
            seen = seen_by(job) if processes.rank == 0 else {}
        job = job.depending_on(processes.from_first(seen))
        with processes.together():
            if request.learn_proportions and processes.rank == 0:
                learn(job, command, quiet=quiet)
        with processes.together():
            if request.learn_proportions:
                job = job.in_learned_proportions()
            finished = False
            if processes.rank == 0:
                finished = _is_finished(job)
                job.shards.take_up()
        if processes.from_first(finished):
            if processes.rank == 0:
                if request.overlays:
                    draw(job)
                job.shards.remove()  # a process that is killed at the very end leaves them
            outcome = Outcome(None, 0, len(job.people), 0.0, job.device, processes.count)
            return outcome if processes.rank == 0 else None
        missing = processes.from_first(job.shards.missing)
        earlier = job.shards.summary.people
        clock.lap("preparing")
        with processes.together():
            _fit(job, processes, missing[processes.rank :: processes.count], quiet)
        clock.lap("registering")
        if processes.rank > 0:
            return None
        summary = _finish(job, command, clock, earlier, processes.count)
    people, seconds = summary.people - earlier, clock.laps["registering"]
    return Outcome(summary, people, earlier, seconds, job.device, processes.count)


def _is_finished(job: Job) -> bool:
    """Whether the folder holds this run, finished.

    Raises:
        UserError: it holds another run.
    """
    from bodyreg.data.fits import FitsFile

    folder, theirs = job.request.out, None
    if not is_there(folder / NAME):
        return False
    with contextlib.suppress(UserError):
        theirs = made_of(folder)
    if theirs != job.shards.depends_on:
        raise UserError(
            f"{folder}: holds another run ({difference(job.shards.depends_on, theirs)}); remove "
            "it, or choose another --out"
        )
    if not is_there(folder / "fits.npz"):
        return False
    with contextlib.suppress(UserError), FitsFile(folder / "fits.npz") as fits:
        return len(fits) > 0
    return False  # a damaged file is written again


def _fit(job: Job, processes: Ranks, shards: Sequence[int], quiet: bool) -> None:
    """Fit these shards and write them."""
    fit = _register if job.regressor is None else predict

    def write(shard: int, read: Reading, fitted: Fitted) -> None:
        if job.request.meshes:
            write_meshes(job, fitted.fits)
        summary = Summary.of(
            fitted.fits,
            fitted.observations,
            job.body,
            read.skipped + fitted.skipped,
            fitted.seconds,
            fitted.stages,
        )
        job.shards.write(shard, fitted.fits, summary)

    with progress_bar(len(job.people), quiet) as bar:
        _show(job.shards, bar)
        for _ in pipeline(shards, job.read, lambda read: fit(job, read), write):
            if processes.trouble:
                break
            _show(job.shards, bar)
        _show(job.shards, bar)


def _register(job: Job, read: Reading) -> Fitted:
    """Register a shard's people."""
    from bodyreg.registration import register

    started, config = time.perf_counter(), job.request.config
    fits = register(job.body, read.observations, config, initial=read.initial, device=job.device)
    seconds = time.perf_counter() - started
    stages = {}
    if job.request.refines and len(fits):
        stages[REGISTRATION] = [1e3 * seconds / len(fits)]
    return Fitted(fits, read.observations, seconds, Counter(), stages)


def _show(shards: FittedShards, bar: tqdm) -> None:
    """Bring the bar to what all processes have finished."""
    if bar.disable:
        return
    shards.look()
    if math.isfinite(shards.mean_loss):
        bar.set_postfix(loss=f"{shards.mean_loss:.4g}", refresh=False)
    bar.update(shards.people_done - bar.n)


def _finish(job: Job, command: str, clock: Clock, earlier: int, processes: int) -> Summary:
    """Join the shards, write the record, and draw."""
    from bodyreg.data.fits_files import join_fits

    request, shards = job.request, job.shards
    shards.look()
    shards.require()
    summary = shards.summary
    summary.skipped += job.skipped
    if not summary.people:
        shards.remove()
        raise no_people(request, summary.skipped)
    facts = provenance(command, device=job.device.type)
    join_fits(
        request.out / "fits.npz",
        shards.paths(),
        within=shards.folder,
        provenance=json.dumps(facts),
    )
    clock.lap("writing")
    record = Record(
        **facts,
        **machine_facts(),
        source=request.source,
        people_fingerprint=job.people.fingerprint,
        depths=True,
        body=FittedBody(
            job.body.name,
            job.body.fingerprint,
            request.body,
            request.body.charts_fingerprint,
            request.body.landmarks_fingerprint,
            request.body.proportions_fingerprint,
        ),
        initial_fits=job.initial_file,
        truth=None,
        preset=request.preset,
        people=summary.people,
        people_of_earlier_starts=earlier,
        skipped=dict(summary.skipped),
        seconds=clock.laps["registering"],
        regressor=job.regressor_file,
    )
    write_record(
        request.out,
        record,
        request.config,
        within=shards.folder,
        made_of=shards.depends_on,
        processes=processes,
        shards=len(shards),
        cameras=dict(summary.cameras),
        mirrored=summary.mirrored,
        exchanged=summary.exchanged,
        rejected=summary.rejected,
        doubtful=dict(summary.doubtful),
        loss=summary.mean_loss,
        terms=summary.mean_terms,
        median_pixel=summary.median_pixels,
        median_deviation=summary.median_deviations,
        median_stage=summary.median_stages,
        median_pixel_people={name: len(h) for name, h in summary.distances.items()},
        seconds_preparing=clock.laps["preparing"],
        seconds_fitting=round(summary.seconds, 3),
        seconds_writing=clock.laps["writing"],
    )
    if request.overlays:
        draw(job)
    shards.remove()
    return summary
