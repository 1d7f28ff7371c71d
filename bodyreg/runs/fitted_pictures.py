"""The body of the person in a picture, by the picture's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.data.formats import Source, open_people
from bodyreg.errors import UserError
from bodyreg.pictures import without_suffix
from bodyreg.runs.finished import FinishedRun

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations
    from bodyreg.runs.record import BodyFiles


@dataclass(frozen=True, eq=False)
class Bodies:
    """The bodies of people in pictures: those of a run, or registered when they are asked for.

    Attributes:
        body: The fitted body.
        where: What tells where people are, for messages.
        people: The people, whose pictures have names.
        fits: Their fits; None = to be registered.
    """

    body: Body
    where: Path
    people: Observations | None
    fits: Fits | None

    @classmethod
    def open(
        cls, people: Source | None, run: Path | None, images: Path | None, files: BodyFiles
    ) -> Bodies:
        """The bodies of a run, or of the people of a source.

        Args:
            people: The source; None if there is a run, or if poses need no evidence.
            run: The folder of a finished run.
            images: The folder of pictures, if it is not the run's.
            files: The body's files, without a run.

        Raises:
            UserError: as `FinishedRun.open` and `open_people`.
        """
        from bodyreg.data import Fits, Observations

        if run is not None:
            found = FinishedRun.open(run, images)
            batches = list(found.batches())
            fits = Fits.concatenate([batch for _, batch, _ in batches])
            seen = Observations.concatenate([batch for *_, batch in batches])
            return cls(found.body, run, seen, fits)
        body = files.open()
        assert people is not None
        stored, _ = open_people(people, body)
        return cls(body, people.path, stored.read(0, len(stored)), None)

    def fit(self, picture: Path, size: tuple[int, int]) -> Fits:
        """The fit of the largest person in a picture.

        Args:
            picture: The picture; its people are found by its name, with or without its folders.
            size: Its width and height, pixels.

        Raises:
            UserError: no person is known to be in it.
        """
        row = self._row(picture)
        if self.fits is not None:
            return self.fits.select([row])
        assert self.people is not None
        return registered(self.body, self.people.select([row]), size)

    def _row(self, picture: Path) -> int:
        import numpy as np

        assert self.people is not None
        names = self._names()
        for start in range(len(picture.parts)):
            wanted = without_suffix("/".join(picture.parts[start:]))
            rows = np.array([i for i, name in enumerate(names) if name == wanted], int)
            if len(rows):
                return int(rows[self.people.frame[rows, 2].argmax()])
        known = ", ".join(dict.fromkeys(filter(None, names[:3])))
        rest = f"its pictures are named {known} ..." if known else "it names no pictures (--images)"
        raise UserError(f"{self.where}: knows no person in '{picture.name}'; {rest}")

    def _names(self) -> Sequence[str]:
        people = self.people
        assert people is not None
        names: np.ndarray = people.id if people.picture is None else people.picture
        return [without_suffix(str(name)).replace("\\", "/") for name in names.tolist()]


def registered(body: Body, people: Observations, size: tuple[int, int]) -> Fits:
    """The fit of one person in a picture of this size (width, height)."""
    import numpy as np

    from bodyreg.registration import register

    own = people.picture_size
    if own is None or not own.all():
        people = replace(people, picture_size=np.array([size], np.int32))
    return register(body, people)
