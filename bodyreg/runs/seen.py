"""What a run sees of pictures: a later start of the same run must see the same."""

from __future__ import annotations

import contextlib
from typing import Any

from bodyreg.data.formats import PICTURES
from bodyreg.data.stored import pictures_fingerprint
from bodyreg.errors import UserError
from bodyreg.files import is_there
from bodyreg.runs.job import Job
from bodyreg.runs.learning import learned_of
from bodyreg.runs.record import NAME, made_of

SEEN = "content_of_pictures"
"""Its name among the values that a run depends on."""


def seen_by(job: Job) -> dict[str, str]:
    """What a job depends on beside its people's files: what it sees of their pictures.

    A network sees the pictures' content. A registration sees their sizes and focal lengths.

    Returns:
        Nothing where there are no pictures, and where the pictures are the people's files. Nothing
        either where an earlier start of the job, by an older version, has not kept it.

    Raises:
        UserError: a picture's name leads out of the folder.
    """
    source = job.request.source
    if source.images is None or source.format == PICTURES:
        return {}
    earlier = _earlier(job)
    if earlier and SEEN not in earlier:
        return {}
    content = job.regressor is not None
    return {SEEN: pictures_fingerprint(job.people, source.images, content=content)}


def _earlier(job: Job) -> Any:
    """What an earlier start in the job's folder depends on; None if that is not known.

    It is untrusted. Where it is damaged, the job is refused later.
    """
    folder, found = job.request.out, None
    with contextlib.suppress(UserError):
        if is_there(folder / NAME):
            found = made_of(folder)
        else:
            found = job.shards.label() or learned_of(folder)
    return found if isinstance(found, dict) else None
