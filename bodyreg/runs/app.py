"""Files that a user has dropped, registered: what the page of `bodyreg app` shows."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.formats import FORMATS
from bodyreg.data.opening import open_people
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import provenance
from bodyreg.pictures import read_picture
from bodyreg.registration import RegistrationConfig
from bodyreg.runs.conversion import Conversion, convert
from bodyreg.runs.detection import NAME as DETECTED
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.job import Request, reasons
from bodyreg.runs.record import BodyFiles
from bodyreg.runs.registration import register_people
from bodyreg.viz.app import Shown
from bodyreg.viz.doubt import uncertain_joints
from bodyreg.viz.overlay import fit_tiles

MOST_PEOPLE = 8
"""People of a picture who are fitted: those of the largest frames."""
KEPT = 8
"""Pictures whose results are kept."""
UNCERTAIN = 4
"""Joints whose deviations are told: the largest."""
SIDE = 420
"""Of one picture of a fit, pixels."""
COMMAND = "bodyreg app"


def _kinds() -> dict[str, tuple[str, tuple[str, ...]]]:
    kinds: dict[str, tuple[str, tuple[str, ...]]] = {}
    for form in FORMATS.values():
        if form.evidence and not form.nested:
            kinds[f"{form.name}: {form.what}"] = form.name, ()
            for switch, what in form.switches.items():
                kinds[f"{form.name}: {form.what.rstrip('.')}; {what}."] = form.name, (switch,)
    return kinds


KINDS = _kinds()
"""Description -> format and switches of the kinds of files that can be dropped beside a picture."""


@dataclass(frozen=True)
class Uploads:
    """Fits what users drop, each in a folder of its own.

    Attributes:
        folder: For all of them.
        body: The files of the body to fit.
        device: Where to compute: auto, cpu or cuda.
    """

    folder: Path
    body: BodyFiles = field(default_factory=BodyFiles)
    device: str = "auto"

    def fit(self, picture: Path | None, files: Sequence[Path], kind: str) -> list[Shown]:
        """Register the people of a picture, as `bodyreg register` and `bodyreg convert` do.

        Args:
            picture: The picture.
            files: What a detector has written: a file, or those of a folder. Without them one
                person is detected in the picture.
            kind: What kind of files that is, one of `KINDS`.

        Returns:
            The people, those of the largest frames first; at most `MOST_PEOPLE`.

        Raises:
            UserError: something is missing, damaged or not of this picture. No message has a path
                of this machine.
            InstallationError: there are no files, and the project's own detector is not installed.
        """
        self._forget()
        place = self.folder / f"fit-{secrets.token_hex(8)}"
        place.mkdir(parents=True)
        try:
            return _fit(place, picture, files, kind, self.body, self.device)
        except UserError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise UserError(_without_folder(str(error), place)) from None
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _forget(self) -> None:
        """Remove the oldest results."""
        places = sorted(self.folder.glob("fit-*"), key=lambda place: place.stat().st_mtime_ns)
        for place in places[: max(0, len(places) - KEPT + 1)]:
            shutil.rmtree(place, ignore_errors=True)


def _fit(
    place: Path,
    picture: Path | None,
    files: Sequence[Path],
    kind: str,
    body: BodyFiles,
    device: str,
) -> list[Shown]:
    if picture is None:
        raise UserError("the picture is missing; drop one")
    if kind not in KINDS:
        raise UserError("the kind of the detector's file is missing; choose one")
    images, run = place / "picture", place / "run"
    _copy([picture], images)
    name = _name(picture)
    read_picture(images / name)
    if files:
        form, switches = KINDS[kind]
        source = Source(form, _file_of(files, place / "files", form), images / name, switches)
        people = place / "people.npz"
        _people(source, name, body.open()).save(people)
    else:
        people = run / DETECTED
    request = Request(
        out=run,
        source=Source("observations", people, images),
        config=RegistrationConfig.preset("accurate"),
        preset="accurate",
        device=device,
        body=body,
        detects=not files,
    )
    register_people(request, COMMAND, quiet=True)
    convert(Conversion(run, "glb", place), provenance(COMMAND))
    finished = FinishedRun.open(run)
    ((_, fits, observations),) = finished.batches()
    grounds, _ = finished.grounds(observations, SIDE)
    tiles = fit_tiles(finished.body, fits, observations, grounds, SIDE)
    return [
        Shown(
            str(number),
            cv2.cvtColor(tile, cv2.COLOR_BGR2RGB),
            _doubts(finished.body, fits, row),
            place / f"{number}.glb",
        )
        for row, (number, tile) in enumerate(zip(fits.id.tolist(), tiles, strict=True))
    ]


def _doubts(body: Body, fits: Fits, row: int) -> str:
    """Why a fit is doubtful, if it is, and its least certain joints, a line each."""
    lines = [f"doubtful: {reason}" for reason in fits.reasons(row)]
    if fits.joint_deviation is not None:
        lines += uncertain_joints(body, fits.joint_deviation[row])[:UNCERTAIN]
    return "\n".join(lines)


def _without_folder(text: str, folder: Path) -> str:
    """A message that names files as the user has named them."""
    for place in (*(folder / name for name in ("picture", "files")), folder):
        text = text.replace(f"{place}{os.sep}", "").replace(str(place), "what was dropped")
    return text


def _copy(files: Sequence[Path], folder: Path) -> None:
    names = [_name(file) for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice}: two files have this name; drop one of them")
    folder.mkdir()
    for file, name in zip(files, names, strict=True):
        shutil.copyfile(file, folder / name)


def _name(file: Path | str) -> str:
    """The name of a file without its folders, which slashes or backslashes separate."""
    return PurePosixPath(str(file).replace("\\", "/")).name


def _file_of(files: Sequence[Path], folder: Path, form: str) -> Path:
    """The file or folder that a reader of this format opens: copies of these files."""
    reads = FORMATS[form].reads
    if "FOLDER" not in reads and len(files) > 1:
        raise UserError(f"a detector's file of the kind {form} is one file; drop one")
    _copy(files, folder)
    return folder if "FILE" not in reads or len(files) > 1 else folder / _name(files[0])


def _people(source: Source, picture: str, body: Body) -> Observations:
    """The people of this picture.

    People of a file that names no pictures are taken to be in it.

    Raises:
        UserError: as `open_people`, or the picture shows none of them.
    """
    stored, skipped = open_people(source, body)
    found = stored.read(0, len(stored))
    if found.picture is None or not found.picture.any():
        found = replace(found, picture=np.full(len(found), picture))
    base = [_name(name) for name in found.picture.tolist()]
    same = np.array([name == picture for name in base], bool)
    if not same.any():
        same = np.array([_letters(name) == _letters(picture) for name in base], bool)
    found = found.select(np.flatnonzero(same))
    if not len(found):
        names = ", ".join(sorted(set(base))[:3])
        told = f"; it has people of {names}" if names else reasons(skipped)
        raise UserError(f"{source.path}: has no people of {picture}{told}")
    largest = np.argsort(-found.frame[:, 2], kind="stable")[:MOST_PEOPLE]
    count = np.arange(1, len(largest) + 1)
    return replace(found.select(largest), id=count, picture=np.full(len(largest), picture))


def _letters(name: str) -> str:
    """A picture's name without brackets, spaces and the like, which Gradio takes away."""
    return "".join(filter(str.isalnum, name))
