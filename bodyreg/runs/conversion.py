"""Fits written for other tools."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bodyreg.errors import UserError
from bodyreg.files import (
    atomic_path,
    identities,
    is_file,
    is_folder,
    require_other,
    require_writable,
    writing,
)
from bodyreg.pictures import number_of
from bodyreg.runs.finished import AT_ONCE, FinishedRun, body_of
from bodyreg.runs.lock import working_in
from bodyreg.runs.record import NAME, BodyFiles, Record, read_record

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data.fits import Fits
    from bodyreg.exchange import Motion

FORMATS = {"smpl": "bodyreg-smpl-1", "mhr": "bodyreg-mhr-1"}
"""Of the .npz files."""
RATE = 30.0
"""Pictures a second, where nothing tells."""
MIRRORED = "mirrored"
"""Why a person is left out of files that know only rotations."""
UNFINISHED = ".bodyreg-unfinished"
"""The folder of files before all are written, in the folder for a file of each person."""


@dataclass(frozen=True)
class Conversion:
    """What is to be written.

    Attributes:
        fits: The folder of a run, or a file of fits.
        to: What is written.
        out: A folder for glb and bvh, with a file for each person; else a file.
        people: Ids, or numbers of tracks in a video; all people if it is empty.
        rate: Pictures a second of a video; by default what the run says, else `RATE`.
        body: The files of the body, if no run.json beside the fits says it.
        vertices: Whether smpl has SMPL's vertices, too.
        images: The folder of the pictures, if it is not the run's.
        annotations: A COCO file that has the numbers of the pictures.
    """

    fits: Path
    to: Literal["glb", "bvh", "smpl", "mhr", "coco"]
    out: Path
    people: tuple[int, ...] = ()
    rate: float | None = None
    body: BodyFiles = field(default_factory=BodyFiles)
    vertices: bool = False
    images: Path | None = None
    annotations: Path | None = None


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        people: The number of people.
        skipped: How many people were left out, by reason.
    """

    people: int
    skipped: Counter[str]


def convert(request: Conversion, facts: dict[str, Any]) -> Converted:
    """Write fits for other tools.

    Args:
        request: What is to be written.
        facts: What made the files.

    Raises:
        UserError: something is missing or damaged, an id is not there or, if files are named by
            ids, there twice; all people are left out; or a file cannot be written.
    """
    with _Opened(request) as opened:
        if request.to in ("glb", "bvh"):
            with working_in(request.out):
                try:
                    _clear(request.out)
                    return _write_motions(opened)
                finally:
                    _clear(request.out)
        opened.require_other(request.out)
        return _write_coco(opened) if request.to == "coco" else _write_arrays(opened, facts)


class _Opened:
    """The fits of a request and their body."""

    def __init__(self, request: Conversion) -> None:
        from bodyreg.data.fits import FitsFile

        self.request = request
        folder = request.fits if is_folder(request.fits) else request.fits.parent
        if is_folder(request.fits) or is_file(folder / NAME):
            if request.body != BodyFiles():
                raise UserError(f"{folder / NAME} names the body of these fits; omit --body")
            record, _ = read_record(folder)
            self.body: Body = body_of(folder, record)
            rate, files = record.rate, _files_of(folder, record)
        else:
            rate, files = None, list(vars(request.body).values())
            self.body = request.body.open()
        self.rate = request.rate or rate or RATE
        self._folder = folder
        file = folder / "fits.npz" if is_folder(request.fits) else request.fits
        self._read = identities([file, folder / NAME, request.annotations, *files])
        self.fits = FitsFile(file)
        self._tracks = self.fits.tracks()
        self.rows = self._chosen()

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *exception: object) -> None:
        self.fits.__exit__(*exception)

    def require_other(self, out: Path) -> None:
        """Refuse to write over a file that is read, or that lies in a folder that is read."""
        require_other(out, self._read, inside=True)

    def _chosen(self) -> np.ndarray:
        """(M,) the rows of the people that are wanted, rising."""
        import numpy as np

        names, people = self.names, self.request.people
        missing = set(people) - set(names.tolist())
        if missing:
            raise UserError(
                f"--people {min(missing)}: {self.request.fits} has no "
                f"{'person of this id' if self._tracks is None else 'track of this number'}"
            )
        rows = np.flatnonzero(np.isin(names, people)) if people else np.arange(len(names))
        if not len(rows):
            raise UserError(f"{self.request.fits}: holds no fits")
        return rows

    @property
    def followed(self) -> bool:
        """Whether fits tell who is who in a video."""
        return self._tracks is not None

    @property
    def names(self) -> np.ndarray:
        """(N,) what persons are named by: the tracks of a video, else ids."""
        return self.fits.ids() if self._tracks is None else self._tracks

    def batches(self) -> Iterator[tuple[np.ndarray, Fits]]:
        """The rows and the fits of the people that are wanted, some thousands at a time."""
        for start in range(0, len(self.fits), AT_ONCE):
            rows = self.rows[(self.rows >= start) & (self.rows < start + AT_ONCE)]
            if len(rows):
                fits = self.fits.read(start, min(start + AT_ONCE, len(self.fits)))
                yield rows, fits.select(rows - start)

    def motions(self, *, whole: bool) -> Iterator[tuple[str, np.ndarray, Motion]]:
        """Each person: the name of a file, the rows of its fits in order, and its motion.

        Args:
            whole: Whether poses are interpolated where a person was not seen for a while.
        """
        import numpy as np

        from bodyreg.data import Fits
        from bodyreg.exchange import motion_of

        if self._tracks is None:
            for rows, fits in self.batches():
                for place, number in enumerate(fits.id.tolist()):
                    yield str(number), rows[[place]], motion_of(self.body, fits.select([place]))
            return
        fits = Fits.concatenate([batch for _, batch in self.batches()])
        assert fits.track is not None and fits.moment is not None
        for number in np.unique(fits.track).tolist():
            own = np.flatnonzero(fits.track == number)
            own = own[np.argsort(fits.moment[own], kind="stable")]
            some = fits.select(own)
            moments = some.moment if whole else None
            yield str(number), self.rows[own], motion_of(self.body, some, moments)

    def pictures(self) -> np.ndarray:
        """(M,) the names of the pictures of the people that are wanted.

        Raises:
            UserError: there is no run, its people do not name their pictures, or it has not read a
                person of the file, or several of one id.
        """
        import numpy as np

        if not is_file(self._folder / NAME):
            raise UserError(
                f"{self.request.fits}: only a run knows people's pictures; name its folder"
            )
        # Of these fits, which may be other ones than the run's own.
        run = replace(FinishedRun.open(self._folder, self.request.images), fits=self.fits)
        names = [people.picture for *_, people in run.batches()]
        if any(name is None for name in names):
            raise UserError(f"{self._folder}: its people do not name their pictures")
        found = np.concatenate(names)[self.rows]
        if (found == "").any():
            person = self.fits.ids()[self.rows][(found == "").argmax()]
            raise UserError(f"{self._folder}: the picture of person {person} is not known")
        return found


def _write_motions(opened: _Opened) -> Converted:
    from bodyreg.exchange import to_bvh, to_glb

    request, skipped = opened.request, Counter[str]()
    unfinished, written = request.out / UNFINISHED, list[Path]()
    ids = opened.fits.ids()[opened.rows].tolist()
    if not opened.followed and len(set(ids)) < len(ids):
        raise UserError(f"{request.fits}: ids are not unique, so files cannot be named by them")
    for name, rows, motion in opened.motions(whole=True):
        if request.to == "bvh" and motion.mirrored:
            skipped[MIRRORED] += len(rows)
            continue
        path = request.out / f"{name}.{request.to}"
        opened.require_other(path)
        require_writable(path)
        with writing(path):
            unfinished.mkdir(exist_ok=True)
            if request.to == "glb":
                (unfinished / path.name).write_bytes(to_glb(motion, opened.rate))
            else:
                text = to_bvh(motion, opened.rate)
                (unfinished / path.name).write_text(text, encoding="ascii")
        written.append(path)
    _require(len(written), request)
    for path in written:
        with writing(path):
            os.replace(unfinished / path.name, path)
    return Converted(len(written), +skipped)


def _write_arrays(opened: _Opened, facts: dict[str, Any]) -> Converted:
    import numpy as np

    from bodyreg.npz import save_npz

    request = opened.request
    found, kept, skipped = [], [], Counter[str]()
    for _, rows, motion in opened.motions(whole=False):
        if request.to == "smpl" and motion.mirrored:
            skipped[MIRRORED] += len(rows)
        else:
            found.append(_arrays_of(motion, request))
            kept.append(rows)
    _require(len(kept), request)
    arrays = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    rows = np.concatenate(kept)
    ids = opened.fits.ids()[rows]
    if opened.followed:
        arrays["track"] = opened.names[rows]
    made = {"format": FORMATS[request.to], "provenance": json.dumps(facts)}
    save_npz(request.out, id=ids, **arrays, **made)
    return Converted(len(ids), +skipped)


def _arrays_of(motion: Motion, request: Conversion) -> dict[str, np.ndarray]:
    """Name -> a row for each pose."""
    from bodyreg.exchange import mhr_vertices, smpl_parameters, smpl_vertices

    if request.to == "mhr":
        return {"vertices": mhr_vertices(motion)}
    vertices = {"vertices": smpl_vertices(motion)} if request.vertices else {}
    return smpl_parameters(motion) | vertices


def _write_coco(opened: _Opened) -> Converted:
    import numpy as np

    from bodyreg.exchange import keypoint_results

    request = opened.request
    numbers = _numbers(opened.pictures().tolist(), request.annotations)
    results: list[dict[str, Any]] = []
    for rows, fits in opened.batches():
        results += keypoint_results(opened.body, fits, numbers[np.searchsorted(opened.rows, rows)])
    with atomic_path(request.out) as temporary:
        temporary.write_text(json.dumps(results, allow_nan=False), encoding="ascii")
    return Converted(len(results), Counter())


def _numbers(pictures: Sequence[str], annotations: Path | None) -> np.ndarray:
    """(N,) the numbers of pictures: those of a COCO file, or those with which their names end.

    Raises:
        UserError: the file does not name a picture, or a name has no number, or two names have one.
    """
    import numpy as np

    from bodyreg.data.coco import load_coco

    known: dict[str, int | None]
    if annotations is not None:
        images = load_coco(annotations).imgs.values()
        known = {str(image.get("file_name")): image["id"] for image in images}
        advice = f"{annotations} has no picture of this name"
    else:
        known = {name: number_of(name) for name in pictures}
        advice = "its name has no number; give --annotations, a COCO file that has the pictures"
    missing = next((name for name in pictures if known.get(name) is None), None)
    if missing is not None:
        raise UserError(f"picture '{missing}': {advice}")
    names = {name: known[name] for name in pictures}
    if len(set(names.values())) < len(names):
        raise UserError(
            "several pictures have names that end with the same number; give --annotations, a COCO "
            "file that has the pictures"
        )
    return np.array([names[name] for name in pictures])


def _clear(folder: Path) -> None:
    """Remove what a command that was killed has left."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _files_of(folder: Path, record: Record) -> list[Path | None]:
    """What a run has read, apart from pictures: where it was, or in the folder of a moved run."""
    files = [*vars(record.body.files).values(), *record.source.paths, record.truth]
    files += [file.path for file in (record.initial_fits, record.regressor) if file]
    return [place for path in files if path for place in (path, folder / path.name)]


def _require(people: int, request: Conversion) -> None:
    if not people:
        raise UserError(
            f"{request.fits}: all people are mirrored, which {request.to} cannot hold; write glb"
        )
