"""People whose keypoints another tool has found in space, as fits that a registration starts from.

Other tools have rigs of their own. So their pose is not copied: the body is fitted to the keypoints
that they have seen in the picture and placed in space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.data import read_keypoints
from bodyreg.data.keypoint_files import keypoint_files
from bodyreg.data.opening import open_people
from bodyreg.data.partners import matches
from bodyreg.data.sam3d import is_sam3d
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, is_folder, is_there, provenance
from bodyreg.npz import NpzReader
from bodyreg.runs.device import choose_device
from bodyreg.runs.job import AT_ONCE, SHARDS, Request
from bodyreg.runs.record import NAME as RUN

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations
    from bodyreg.data.stored import StoredPeople

NAME = "initial.npz"
"""The file of these fits, in the folder of a run."""

MADE_OF = "made_of"
"""The fact in it that names what it depends on."""


def is_placed(path: Path) -> bool:
    """Whether a file, or a folder of files, has keypoints in space, and no fits.

    Raises:
        UserError: it cannot be read.
    """
    return is_folder(path) or is_sam3d(path)


def place_for_run(request: Request, command: str) -> None:
    """Fit the body to keypoints in space, and write these fits into the run's folder.

    A fit belongs to the person of the run whose box in the same picture overlaps most. A run that
    was killed finds the file again.

    Args:
        request: Its `placed` has the keypoints, its `initial` is the file to write.
        command: For the record.

    Raises:
        UserError: something is missing or damaged, no person of the run is in the keypoints, or
            the run's folder holds another run.
    """
    path, placed = request.initial, request.placed
    assert path is not None and placed is not None
    body = request.body.open()
    people, _ = open_people(request.source, body)
    made_of = {
        "keypoints": fingerprint(*keypoint_files(placed)),
        "people": people.fingerprint,
        "body": body.fingerprint,
        "configuration": repr(request.config),
    }
    if is_there(path) and _made_of(path) == made_of:
        return
    if any(is_there(path.with_name(name)) for name in (path.name, RUN, SHARDS)):
        raise UserError(
            f"{path.parent}: holds another run, or one with another start; remove it, or choose "
            "another --out"
        )
    seen, _ = read_keypoints(placed, request.source.images)
    if seen.keypoint_depth is None:
        raise UserError(f"{placed}: has no places of keypoints in space; give SAM 3D Body's files")
    fits = _fits(request, body, people, seen)
    facts = provenance(command, device=choose_device(request.device)[0].type)
    fits.save(path, provenance=json.dumps(facts), **{MADE_OF: json.dumps(made_of)})


def _fits(request: Request, body: Body, people: StoredPeople, seen: Observations) -> Fits:
    """The fits of the people of a run who are seen, in their frames and with their ids."""
    import numpy as np

    from bodyreg.data import Observations
    from bodyreg.registration import register

    pairs = list(_pairs(people, seen))
    rows = np.concatenate([rows for _, rows in pairs]) if pairs else np.zeros(0, np.int64)
    if not len(rows):
        raise UserError(
            f"{request.placed}: none of its people is one of {request.source.path}: their pictures "
            "have other names, or their places in the pictures do not overlap"
        )
    both = Observations.concatenate([found for found, _ in pairs])
    device, _ = choose_device(request.device)
    placed = register(body, seen.select(rows), request.config, device=device)
    return replace(placed.in_frames(both.frame), id=both.id)


def _pairs(people: StoredPeople, seen: Observations) -> Iterator[tuple[Observations, np.ndarray]]:
    """People of the run, some thousands at a time, and the rows of the same people in `seen`."""
    for start in range(0, len(people), AT_ONCE):
        some = people.read(start, min(start + AT_ONCE, len(people)))
        mine, theirs = matches(some, seen)
        if len(mine):
            yield some.select(mine), theirs


def _made_of(path: Path) -> object:
    with NpzReader(path, kind="fits") as reader:
        found = str(reader.texts(MADE_OF)) if MADE_OF in reader.names else "null"
    try:
        return json.loads(found)
    except ValueError:
        return None
