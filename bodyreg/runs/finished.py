"""A run's folder, opened again: its record, its fits, and the people they were fitted to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.data.formats import FORMATS, PICTURES
from bodyreg.data.opening import open_people
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import is_folder, is_there
from bodyreg.runs.progress import counted
from bodyreg.runs.record import BodyFiles, Record, read_record

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations, Truth
    from bodyreg.data.fits import FitsFile
    from bodyreg.data.stored import StoredPeople
    from bodyreg.registration import RegistrationConfig

AT_ONCE = 8192
"""People read at a time."""


@dataclass(frozen=True)
class FinishedRun:
    """What a run (`bodyreg register`, `predict`, `refine`, `demo`) has left in a folder.

    Attributes:
        folder: The run's folder.
        record: What run.json says.
        config: How people were registered; of a network's run, what the cameras are.
        source: Where people are read from; its files are there.
        body: The fitted body.
        people: The people.
        fits: The fits' file; its people are in the order of `people`.
    """

    folder: Path
    record: Record
    config: RegistrationConfig
    source: Source
    body: Body
    people: StoredPeople
    fits: FitsFile

    @classmethod
    def open(cls, folder: Path, images: Path | None = None) -> FinishedRun:
        """Open a run.

        Args:
            folder: The --out of the run.
            images: The pictures' folder, if it is not the run's.

        Raises:
            UserError: something is missing, has moved, or is not what the run has read.
        """
        from bodyreg.data.fits import FitsFile

        record, config = read_record(folder)
        if images is not None and not is_folder(images):
            raise UserError(f"{images}: no such folder; check --images")
        body = body_of(folder, record)
        pictures = images or _found(folder, record.source.images, "pictures")
        path = pictures if record.source.format == PICTURES else None
        path = path or _found(folder, record.source.path, "people")
        source = replace(record.source, path=path, images=pictures)
        if source.keypoints is not None:
            found = _found(folder, source.keypoints.path, "keypoints")
            keypoints = replace(source.keypoints, path=found, images=source.images)
            source = replace(source, keypoints=keypoints)
        people, _ = open_people(source, body)
        if people.fingerprint != record.people_fingerprint:
            raise UserError(f"{source.path}: has changed since the run; register again")
        return cls(folder, record, config, source, body, people, FitsFile(folder / "fits.npz"))

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def has_course(self) -> bool:
        """Whether fits can be followed along their iterations.

        Not those of networks, of videos, and with shapes of their own.
        """
        alone = self.record.regressor is None and self.record.rate is None
        return alone and not self.config.fit_shape

    @property
    def warm(self) -> bool:
        """Whether fits started from earlier ones."""
        return self.record.initial_fits is not None

    @cached_property
    def _positions(self) -> np.ndarray:
        """(N,) the position of each fit's person in `people`, which may hold more."""
        import numpy as np

        ids, wanted = self.people.ids(), self.fits.ids()
        if np.array_equal(ids, wanted):
            return np.arange(len(ids))
        order = np.argsort(ids)
        rising = ids[order]
        found = np.searchsorted(rising, wanted).clip(max=len(ids) - 1)
        if not np.array_equal(rising[found], wanted):
            raise UserError(f"{self.fits.path}: holds people that the run has not read")
        several = np.searchsorted(rising, wanted, side="right") - found > 1
        if several.any() and np.array_equal(ids[with_evidence := self._with_evidence()], wanted):
            return with_evidence
        if several.any():
            raise UserError(
                f"{self.fits.path}: several people of {self.source.path} have the id "
                f"{wanted[several.argmax()]}, and not all people have a fit, so it is not known "
                "whose fit it is; give each person an id of its own, and register again"
            )
        return order[found]

    def _with_evidence(self) -> np.ndarray:
        """The positions in `people` of those who can be fitted."""
        import numpy as np

        found = [self.people.read(*span).has_evidence for span in _spans(len(self.people))]
        return np.flatnonzero(np.concatenate(found))

    def batches(self) -> Iterator[tuple[slice, Fits, Observations]]:
        """All people, some thousands at a time: their rows, fits and observations."""
        for start, stop in _spans(len(self)):
            rows = slice(start, stop)
            yield rows, self.fits.read(start, stop), self._observations(rows)

    def doubt(self) -> np.ndarray:
        """(N,) float32 the doubt of every fit."""
        import numpy as np

        return np.concatenate([self.fits.read(*span).doubt for span in _spans(len(self))])

    def read(self, rows: np.ndarray) -> tuple[Fits, Observations]:
        """The fits and observations of these rows, in this order."""
        import numpy as np

        from bodyreg.data import Fits, Observations

        fits, observations, taken = [], [], []
        for start, stop in _spans(len(self)):
            here = rows[(rows >= start) & (rows < stop)]
            if len(here):
                batch = slice(start, stop)
                fits.append(self.fits.read(batch.start, batch.stop).select(here - start))
                observations.append(self._observations(batch).select(here - start))
                taken.append(here)
        place = {row: i for i, row in enumerate(np.concatenate(taken).tolist())}
        order = np.array([place[row] for row in rows.tolist()])
        together = Observations.concatenate(observations)
        return Fits.concatenate(fits).select(order), together.select(order)

    def initial(self, ids: np.ndarray) -> Fits | None:
        """The fits that these people were started from; None after a cold start."""
        from bodyreg.data import FitsById

        if self.record.initial_fits is None:
            return None
        path = _found(self.folder, self.record.initial_fits.path, "initial fits")
        return FitsById(path).of(ids)

    def truth(self, path: Path | None = None) -> Truth | None:
        """The truth of the run's people, in their order; None if it is not known.

        Args:
            path: A truth file; the run's own, if it has one, if left out.

        Raises:
            UserError: the file is missing or damaged, lacks a person, or is of other pictures.
        """
        from bodyreg.data import Truth
        from bodyreg.metrics.evaluate import require_people, require_same_pictures

        path = path or _found(self.folder, self.record.truth, "truth")
        if path is None:
            return None
        truth = Truth.load(path)
        place = {number: row for row, number in enumerate(truth.id.tolist())}
        ids = self.fits.ids()
        require_people(ids, place, path)
        truth = truth.select([place[number] for number in ids.tolist()])
        require_same_pictures(self.fits.frames(), truth.frame, path)
        return truth

    def grounds(self, observations: Observations, side: int) -> tuple[list[np.ndarray], bool]:
        """The backgrounds of these people in their frames, and whether these are their pictures.

        Without pictures, they are the masks of a DensePose-COCO file, or plain. A picture that
        cannot be read ends nothing: its people have a plain ground, and a warning is printed.
        """
        from bodyreg.viz.grounds import mask_grounds, plain_ground, readable_grounds

        if self.source.images is not None:
            if observations.picture is None:
                raise UserError("--images: the people of this run do not name their pictures")
            grounds, unread = readable_grounds(self.source.images, observations, side)
            if unread:
                count = f"{len(unread):,} of {counted(len(observations), 'people')}"
                why = " ".join(unread[0].split())
                print(f"warning: {count} shown without picture; {why}", file=sys.stderr)
            return grounds, True
        if FORMATS[self.source.format].masks:
            return mask_grounds(self.source.path, observations, side), False
        return [plain_ground(side)] * len(observations), False

    def _observations(self, rows: slice) -> Observations:
        at = self._positions[rows]
        first, last = int(at.min()), int(at.max()) + 1
        found = self.people.read(first, last).select(at - first)
        return found if self.record.depths else found.with_depths(None)


def _spans(count: int) -> Iterator[tuple[int, int]]:
    """Where parts of some thousands begin and end, one after the other."""
    for start in range(0, count, AT_ONCE):
        yield start, min(start + AT_ONCE, count)


def body_files_of(folder: Path, record: Record) -> BodyFiles:
    """The files of the body that a run has fitted, where they are now.

    Raises:
        UserError: one is missing.
    """
    files = record.body.files
    return BodyFiles(
        _found(folder, files.path, "body"),
        _found(folder, files.uv, "charts of the body"),
        _found(folder, files.landmarks, "landmarks"),
        _found(folder, files.proportions, "proportions"),
    )


def body_of(folder: Path, record: Record) -> Body:
    """The body that a run has fitted.

    Raises:
        UserError: its files are missing or have changed.
    """
    files = body_files_of(folder, record)
    body = files.open()
    if body.fingerprint != record.body.fingerprint:
        if files.path is None:
            raise UserError(
                f"{folder}: the built-in body of this version is not that of this run; register "
                "again"
            )
        raise UserError(f"{files.path}: is not the body of this run; register again")
    if record.body.charts_fingerprint not in (None, files.charts_fingerprint):
        raise UserError(f"{files.uv}: has changed since the run; register again")
    if files.landmarks_fingerprint != record.body.landmarks_fingerprint:
        raise UserError(f"{files.landmarks}: has changed since the run; register again")
    if files.proportions_fingerprint != record.body.proportions_fingerprint:
        raise UserError(f"{files.proportions}: has changed since the run; register again")
    return body


def place_of(folder: Path, path: Path) -> Path | None:
    """Where a file or folder is: where the run has read it, or in the folder of a moved run.

    None if it is at neither place.
    """
    return next((place for place in (path, folder / path.name) if is_there(place)), None)


def _found(folder: Path, path: Path | None, what: str) -> Path | None:
    """As `place_of`.

    Raises:
        UserError: it is at neither place.
    """
    if path is None:
        return None
    if (place := place_of(folder, path)) is not None:
        return place
    elsewhere = ", or name their folder with --images" if what == "pictures" else ""
    raise UserError(
        f"{path}: the run has read its {what} here, but nothing is there now; put it back, or put "
        f"it into {folder}{elsewhere}"
    )
