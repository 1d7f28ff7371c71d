"""What a run learns of its people before it fits them: their usual proportions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import is_there, provenance
from bodyreg.runs.job import PROPORTIONS, some_people
from bodyreg.runs.record import NAME
from bodyreg.runs.shards import difference

if TYPE_CHECKING:
    from bodyreg.runs.job import Job

PEOPLE = 2000
"""People who are fitted to learn from, evenly chosen: enough for proportions to 0.2 %."""


def learn(job: Job, command: str, *, quiet: bool) -> None:
    """Learn the proportions of a job's people, and write them into its folder.

    A run that was killed finds what it has learned.

    Args:
        job: Its body has no proportions yet.
        command: For the record.
        quiet: Show no progress bar.

    Raises:
        UserError: the folder holds another run, or nothing can be learned.
    """
    from bodyreg.data import write_proportions
    from bodyreg.registration import learn_proportions

    folder, made_of = job.request.out, job.shards.depends_on
    path, theirs = folder / PROPORTIONS, learned_of(folder)
    if is_there(path) and theirs == made_of:
        return
    if is_there(path) or is_there(folder / NAME) or job.shards.begun:
        raise UserError(
            f"{folder}: holds another run ({difference(made_of, theirs)}); remove it, or choose "
            "another --out"
        )
    people = some_people(job.people, PEOPLE)
    if not quiet:
        print(f"learning proportions from {len(people):,} people", flush=True)
    found = learn_proportions(
        job.body, people, job.request.config, device=job.device, progress=not quiet
    )
    write_proportions(
        path,
        found.segment_scale,
        job.body,
        within=job.shards.folder,
        **provenance(command, device=job.device.type),
        made_of=made_of,
        limbs={name: round(scale, 4) for name, scale in found.limbs.items()},
        people=found.people,
    )


def learned_of(folder: Path) -> Any:
    """What learned proportions in a folder depend on, by their untrusted file; None if unknown.

    Raises:
        UserError: the file is damaged.
    """
    if not is_there(folder / PROPORTIONS):
        return None
    content = load_json(folder / PROPORTIONS)
    return content.get("made_of") if isinstance(content, dict) else None
