"""Pictures by their names, and the bodies of the people in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.data.opening import open_people
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import is_file, path_inside
from bodyreg.pictures import without_suffix
from bodyreg.runs.finished import FinishedRun

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations
    from bodyreg.runs.record import BodyFiles


@dataclass(frozen=True, eq=False)
class FittedPictures:
    """The pictures of N people, and the fit of the largest person in each.

    Pictures go by their names with and without a suffix. People whose pictures have no names go by
    their ids. Fits are those of a run, or people are registered when they are asked for.

    Attributes:
        body: The fitted body.
        where: What tells where people are, for messages.
        images: The folder of pictures, or None.
        names: (N) of each person's picture.
        sizes: (N, 2) int64 width and height of each person's picture; 0 = not known.
        people: N fits of a run, or N observations to be registered.
    """

    body: Body
    where: Path
    images: Path | None
    names: list[str]
    sizes: np.ndarray
    people: Fits | Observations

    @classmethod
    def of_run(cls, run: FinishedRun, size: tuple[int, int] | None = None) -> FittedPictures:
        """The pictures of a finished run.

        Args:
            run: The run.
            size: Width and height of pictures whose size is not known otherwise.
        """
        import numpy as np

        from bodyreg.data import Fits

        parts, names, each = [], [], []
        for _, fits, observations in run.batches():
            parts.append(fits)
            names += _names(observations)
            each.append(_sizes(observations))
        sizes = np.concatenate(each)
        sizes[(sizes == 0).any(axis=1)] = size or (0, 0)
        people = Fits.concatenate(parts)
        return cls(run.body, run.folder, run.source.images, names, sizes, people)

    @classmethod
    def to_register(cls, source: Source, files: BodyFiles) -> FittedPictures:
        """The pictures of people who are registered when they are asked for.

        Args:
            source: The people.
            files: The body's files.

        Raises:
            UserError: as `open_people`.
        """
        body = files.open()
        stored, _ = open_people(source, body)
        people = stored.read(0, len(stored))
        return cls(body, source.path, source.images, _names(people), _sizes(people), people)

    def row(self, name: str) -> int | None:
        """The largest person in a picture, by its name; None if there is no such picture."""
        return self._rows.get(name.replace("\\", "/"))

    def fit(self, picture: Path, size: tuple[int, int]) -> Fits:
        """The fit of the largest person in a picture.

        Args:
            picture: The picture; its people are found by its name, with or without its folders.
            size: Its width and height, pixels.

        Raises:
            UserError: no person is known to be in it, or the picture has another size.
        """
        from bodyreg.data import Fits

        whole = ("/".join(picture.parts[start:]) for start in range(len(picture.parts)))
        # Without the suffix a name may be that of another picture, too.
        names = (name for part in whole for name in (part, without_suffix(part)))
        row = next((row for row in map(self.row, names) if row is not None), None)
        if row is None:
            raise UserError(f"{self.where}: knows no person in '{picture.name}'; {self.named}")
        known = tuple(self.sizes[row].tolist())
        if all(known) and known != size:
            raise UserError(
                f"{picture}: has {size[0]} x {size[1]} pixels, but {self.where} knows its person "
                f"in {known[0]} x {known[1]}; give that picture"
            )
        person = self.people.select([row])
        return person if isinstance(person, Fits) else registered(self.body, person, size)

    def file(self, picture: Path) -> Path:
        """The file of a picture that a user has named: where its path says, or in `images`."""
        if self.images is None or is_file(picture):
            return picture
        inside = self.images / picture
        return inside if is_file(inside) else picture

    def picture(self, row: int) -> np.ndarray:
        """The picture (h, w, 3) of a person, of a folder of pictures."""
        from bodyreg.pictures import read_picture

        of = f"{self.images}: a picture's name"
        return read_picture(path_inside(self.images, self.names[row], of))

    @property
    def named(self) -> str:
        """What the pictures are named, for messages."""
        known = ", ".join(dict.fromkeys(filter(None, self.names[:3])))
        return f"its pictures are named {known} ..." if known else "it names no pictures (--images)"

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Name, with and without a suffix -> the largest person."""
        import numpy as np

        rows: dict[str, int] = {}
        for row in np.argsort(-self.people.frame[:, 2], kind="stable").tolist():
            name = self.names[row].replace("\\", "/")
            rows.setdefault(name, row)
            rows.setdefault(without_suffix(name), row)
        return rows


def registered(body: Body, people: Observations, size: tuple[int, int]) -> Fits:
    """The fit of one person in a picture of this size (width, height)."""
    import numpy as np

    from bodyreg.registration import register

    own = people.picture_size
    if own is None or not own.all():
        people = replace(people, picture_size=np.array([size], np.int32))
    return register(body, people)


def _names(people: Observations) -> list[str]:
    names = people.id if people.picture is None else people.picture
    return [str(name) for name in names.tolist()]


def _sizes(people: Observations) -> np.ndarray:
    import numpy as np

    own = people.picture_size
    return np.zeros((len(people), 2), np.int64) if own is None else own.astype(np.int64)
