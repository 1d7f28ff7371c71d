"""A run on the pictures of a video: its people followed, and their motion made smooth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bodyreg.errors import UserError
from bodyreg.files import fingerprint, is_there, provenance
from bodyreg.runs.finished import FinishedRun, body_files_of, place_of
from bodyreg.runs.lock import working_in
from bodyreg.runs.progress import Clock, progress_bar
from bodyreg.runs.record import NAME, File, machine_facts, write_record

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.data import Fits, Observations


@dataclass(frozen=True)
class Tracking:
    """What is to be done.

    Attributes:
        run: The folder of a finished registration.
        out: The folder for the results.
        rate: Pictures a second.
        smoothness: Factor of the weight of accelerations.
        images: The folder of the pictures, if it is not the run's.
    """

    run: Path
    out: Path
    rate: float
    smoothness: float = 1.0
    images: Path | None = None


class Tracked(NamedTuple):
    """What a tracking came to.

    Attributes:
        people: The number of fits.
        tracks: The number of persons.
        longest: The pictures of the person who is in most.
        before, after: The mean size of the accelerations of joints about the pelvis, m/s², in the
            fits of single pictures and in the smooth ones; NaN without three pictures of a person.
    """

    people: int
    tracks: int
    longest: int
    before: float
    after: float


def track_people(request: Tracking, command: str, *, quiet: bool = False) -> Tracked:
    """Follow the people of a run over its pictures, and fit each person's pictures together.

    Args:
        request: What is to be done.
        command: The command line or the function that asks, for the record.
        quiet: Show no progress bar.

    Raises:
        UserError: the run cannot be opened or has no evidence, its pictures are no video, or the
            folder holds a run. Nothing is left half-written.
    """
    import numpy as np

    from bodyreg.data import Fits, Observations
    from bodyreg.data.tracks import follow, require_motion
    from bodyreg.registration import smooth

    if is_there(request.out / NAME):
        raise UserError(f"{request.out}: holds a run; remove it, or choose another --out")
    run, clock = FinishedRun.open(request.run, request.images), Clock()
    batches = list(run.batches())
    fits = Fits.concatenate([batch for _, batch, _ in batches])
    people = Observations.concatenate([batch for *_, batch in batches])
    if len(set(fits.id.tolist())) < len(fits):
        raise UserError(f"{request.run}: ids are not unique, so people cannot be matched")
    _require_evidence(request.run, people)
    track, moment = tracks = follow(people)
    require_motion(people, tracks, fits, run.body)
    rows = [np.flatnonzero(track == number) for number in range(track.max() + 1)]
    rows = [own[np.argsort(moment[own])] for own in rows]
    smoothed: list[Fits] = []
    with working_in(request.out), progress_bar(len(fits), quiet) as bar:
        for own in rows:
            seconds = moment[own] / request.rate
            some = fits.select(own)
            factor = request.smoothness
            smoothed.append(
                smooth(run.body, people.select(own), some, seconds, run.config, smoothness=factor)
            )
            bar.update(len(own))
        found = Fits.concatenate(smoothed).select(np.argsort(np.concatenate(rows)))
        found = replace(found, track=track, moment=moment)
        facts = provenance(command)
        found.save(request.out / "fits.npz", provenance=json.dumps(facts))
        clock.lap("tracking")
        initial, truth = request.run / "fits.npz", run.record.truth
        record = replace(
            run.record,
            **facts,
            **machine_facts(),
            source=run.source,
            body=replace(run.record.body, files=body_files_of(run.folder, run.record)),
            truth=truth and (place_of(run.folder, truth) or truth),
            people_of_earlier_starts=0,
            initial_fits=File(initial, fingerprint(initial)),
            regressor=None,
            seconds=clock.laps["tracking"],
            rate=request.rate,
        )
        write_record(request.out, record, run.config, tracks=len(rows))
    sizes = [(_accelerations(run.body, f, rows, moment, request.rate)) for f in (fits, found)]
    return Tracked(len(fits), len(rows), max(map(len, rows)), *sizes)


def _require_evidence(folder: Path, people: Observations) -> None:
    if not people.has_evidence.all():
        person = people.id[people.has_evidence.argmin()]
        raise UserError(
            f"{folder}: person {person} has no points or keypoints, which smooth fits are fitted "
            "to; name a run of bodyreg register"
        )


def _accelerations(
    body: object, fits: Fits, rows: list[np.ndarray], moment: np.ndarray, rate: float
) -> float:
    import numpy as np

    found = []
    for own in rows:
        one = fits.select(own)
        joints = one.joints(body) / abs(one.scale)[:, None, None]
        joints -= joints[:, :1]
        steps = np.diff(moment[own]) / rate
        velocity = np.diff(joints, axis=0) / steps[:, None, None]
        spans = (steps[1:] + steps[:-1]) / 2
        found.append(np.linalg.norm(np.diff(velocity, axis=0), axis=2) / spans[:, None])
    found = np.concatenate(found)
    return float(found.mean()) if len(found) else float("nan")
