"""The people of a source: opened, those without evidence left out, pictures and cameras joined."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bodyreg.data.formats import FORMATS
from bodyreg.data.source import Source
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data.observations import Observations
    from bodyreg.data.stored import StoredPeople

AT_ONCE = 1024
"""People whose pictures are looked at together."""


def open_people(source: Source, body: Body) -> tuple[StoredPeople, Counter[str]]:
    """Open the people of a source, and count those that cannot be registered, by reason.

    Args:
        source: The people.
        body: The body that dense points lie on.

    Raises:
        UserError: as the reader of the format; or this version has no such format, the format has
            no such switch, or its pictures are needed and not given.
    """
    from bodyreg.data.stored import ObservationsInPictures, ObservationsOfFocal
    from bodyreg.files import is_file

    people, skipped = _opened(source, body)
    if source.images is not None:
        folder = source.images.parent if is_file(source.images) else source.images
        people = ObservationsInPictures(people, folder)
    if source.focal is None:
        return people, skipped
    if source.focal.unit == "mm" and len(people) and not _has_sizes(people):
        advice = "give the pictures (--images)"
        if source.images is not None:
            advice = f"{source.images} has none of them, or they are damaged or WebP; check it"
        raise UserError(
            f"{source.path}: does not hold the sizes of its pictures, which a focal length in "
            f"millimetres needs; {advice}, or give pixels (--focal 1145)"
        )
    return ObservationsOfFocal(people, source.focal), skipped


def _has_sizes(people: StoredPeople) -> bool:
    """Whether the size of anyone's picture is known."""
    starts = range(0, len(people), AT_ONCE)
    some = (people.read(start, min(start + AT_ONCE, len(people))) for start in starts)
    return any(found.picture_size is not None for found in some)


def _opened(source: Source, body: Body) -> tuple[StoredPeople, Counter[str]]:
    """The people that a source's own files tell of, and how many they leave out, by reason."""
    from bodyreg.data.partners import with_keypoints_of
    from bodyreg.data.stored import ObservationsInMemory, open_observations
    from bodyreg.files import fingerprint, is_folder

    form = FORMATS.get(source.format)
    if form is None or not set(source.switches) <= set(form.switches):
        words = " ".join([source.format, *source.switches])
        raise UserError(f"{source.path}: this version cannot read '{words}'; update bodyreg")
    if form.pictures == "needed" and source.images is None:
        raise UserError(f"{source.path}: cannot be read without its pictures; give --images")
    if form.read is None:
        return open_observations(source.path, body), Counter()
    observations, skipped = form.read(source, body)
    if form.evidence:
        observations, skipped = with_evidence(observations, skipped)
    # In a folder the name of a file says which picture it is of.
    within = source.path if is_folder(source.path) else None
    print_of_files = fingerprint(*form.files(source), within=within)
    if source.keypoints is not None:
        others, more = _opened(source.keypoints, body)
        observations, unmatched = with_keypoints_of(
            observations, others.read(0, len(others)), str(source.keypoints.path)
        )
        skipped += more + unmatched
        both = print_of_files + others.fingerprint
        print_of_files = hashlib.sha256(both.encode()).hexdigest()
    return ObservationsInMemory(observations, print_of_files), skipped


def with_evidence(
    observations: Observations, skipped: Mapping[str, int] = MappingProxyType({})
) -> tuple[Observations, Counter[str]]:
    """Leave out people without evidence, and count them under their reason."""
    from bodyreg.data.densepose_coco import NO_EVIDENCE

    skipped, evidence = Counter(skipped), observations.has_evidence
    if not evidence.all():
        skipped[NO_EVIDENCE] += int((~evidence).sum())
        observations = observations.select(evidence)
    return observations, skipped
