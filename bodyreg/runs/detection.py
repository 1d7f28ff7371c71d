"""From photographs to observations: a detector of keypoints looks at people, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bodyreg.data.boxes import Boxed, boxed_people, unreadable, whole_pictures
from bodyreg.data.detections import Detection, observations_of
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import BLAZEPOSE_33
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, is_there, path_inside, provenance
from bodyreg.npz import NpzReader
from bodyreg.pictures import picture_names, read_picture
from bodyreg.runs.blazepose import BlazePose
from bodyreg.runs.job import SHARDS, Request, reasons
from bodyreg.runs.progress import counted, progress_bar
from bodyreg.runs.record import NAME as RUN

Detector = Callable[[np.ndarray], Detection | None]
"""Finds the person of a picture (H, W, 3), uint8 blue, green, red, with BlazePose's joints."""

NAME = "detected.npz"
"""The file of what was detected, in the folder of a run."""

SEEN = "pictures_fingerprint"
"""The fact in it that names the pictures that were looked at."""

MARGIN = 0.1
"""Of what a detector sees round a box, on each side, over the side of the box."""

NO_PERSON = "in whose place no person was found"


def detect_people(
    folder: Path,
    names: Sequence[str] = (),
    boxes: Path | None = None,
    *,
    detector: Detector | None = None,
    quiet: bool = False,
) -> tuple[Observations, Counter[str]]:
    """Detect the people of pictures: one in each picture, or one in each box.

    Args:
        folder: The pictures.
        names: Those that are looked at; all if left out.
        boxes: A file of boxes of people, as of `read_boxes`. The detector sees the boxes, with a
            margin.
        detector: What finds a person; `BlazePose` if left out.
        quiet: Show no progress.

    Returns:
        The observations, and how many people were left out, by reason. Ids are those of
        `read_pictures` or of `read_boxes`.

    Raises:
        UserError: there are no pictures, or the boxes cannot be read.
        InstallationError: the detector is not installed.
    """
    if boxes is None:
        people, skipped = whole_pictures(folder, names)
    else:
        people, skipped = boxed_people(boxes, folder)
    if detector is None:
        with BlazePose() as blazepose:
            found, missed = _look(people, folder, blazepose, quiet)
    else:
        found, missed = _look(people, folder, detector, quiet)
    observations, in_one_place = observations_of(found, BLAZEPOSE_33, str(folder))
    return observations, skipped + missed + in_one_place


def detect_for_run(request: Request, command: str, *, quiet: bool = False) -> None:
    """Detect the people of all pictures of a run's folder, and write them into the run's folder.

    A run that was killed finds what it has detected.

    Args:
        request: Its `source` names the pictures and the file to write.
        command: For the record.
        quiet: Print nothing.

    Raises:
        UserError: as `detect_people`, no person was found, or the run's folder holds another run.
        InstallationError: as `detect_people`.
    """
    path, folder, seen = request.source.path, request.source.images, ""
    assert folder is not None
    if is_there(path):
        with NpzReader(path, kind="observations") as reader:
            seen = str(reader.texts(SEEN)) if SEEN in reader.names else ""
    pictures = fingerprint(*(folder / name for name in picture_names(folder)), within=folder)
    if seen == pictures:
        return
    if any(is_there(path.with_name(name)) for name in (path.name, RUN, SHARDS)):
        raise UserError(
            f"{path.parent}: holds another run, or people of other pictures; remove it, or choose "
            "another --out"
        )
    people, skipped = detect_people(folder, quiet=quiet)
    if not len(people):
        raise UserError(f"{folder}: no person was found{reasons(skipped)}")
    facts = {name: str(value) for name, value in provenance(command).items()}
    people.save(path, **facts, **{SEEN: pictures})
    if not quiet:
        print(summary(people, skipped), flush=True)


def summary(people: Observations, skipped: Counter[str]) -> str:
    """How many people were detected, for reading."""
    left_out = f"; left out {skipped.total():,}{reasons(skipped)}" if skipped else ""
    return f"detected {counted(len(people), 'people')}{left_out}"


def _look(
    people: Sequence[Boxed], folder: Path, detector: Detector, quiet: bool
) -> tuple[list[Detection], Counter[str]]:
    """What a detector finds where these people are, and how often it finds nothing, by reason."""
    found, missed = [], Counter[str]()
    seen, picture = "", None
    with progress_bar(len(people), quiet) as bar:
        for boxed in people:
            name = boxed.picture
            if name != seen:
                seen, picture = name, _read(folder, name)
            bar.update()
            if picture is None:
                missed[unreadable(name)] += 1
                continue
            person = _find(picture, boxed.box, detector)
            if person is None:
                missed[NO_PERSON] += 1
                continue
            height, width = picture.shape[:2]
            camera = boxed.camera._replace(picture_size=(width, height))
            found.append(replace(person, picture=name, id=boxed.id, camera=camera))
    return found, missed


def _read(folder: Path, name: str) -> np.ndarray | None:
    path = path_inside(folder, name, f"{folder}: a picture's name")
    try:
        return read_picture(path)
    except UserError:
        return None


def _find(picture: np.ndarray, box: np.ndarray, detector: Detector) -> Detection | None:
    """The person of a picture in this box."""
    corner, size = box[:2], box[2:]
    low, high = corner - MARGIN * size, corner + (1 + MARGIN) * size
    sides = picture.shape[1::-1]
    left, top = np.clip(np.floor(low), 0, sides).astype(int)
    right, bottom = np.clip(np.ceil(high), 0, sides).astype(int)
    crop = picture[top:bottom, left:right]
    found = detector(crop) if crop.size else None
    if found is None:
        return None
    rows = found.rows + np.where(found.rows[:, 2:] > 0, [left, top, 0], 0)
    return replace(found, rows=rows)
