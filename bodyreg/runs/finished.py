"""A run's folder, opened again: its record, its fits, and the people they were fitted to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from bodyreg.errors import UserError
from bodyreg.runs import job

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
    """What `bodyreg register` or `bodyreg demo` left in a folder.

    Attributes:
        folder: The run's.
        record: What run.json holds.
        options: Those that people and body are read by; their files are there.
        config: How people were registered.
        body: The fitted body.
        people: Where people are read from.
        fits: The fits' file; its people are in the order of `people`.
    """

    folder: Path
    record: dict[str, Any]
    options: job.Options
    config: RegistrationConfig
    body: Body
    people: StoredPeople
    fits: FitsFile

    @classmethod
    def open(cls, folder: Path, images: Path | None = None) -> FinishedRun:
        """Open a run.

        Args:
            folder: Of `bodyreg register --out` or `bodyreg demo --out`.
            images: The pictures' folder, if it is not the one of the run.

        Raises:
            UserError: something is missing, has moved, or is not what the run has read.
        """
        from bodyreg.data.fits import FitsFile

        record = _record(folder)
        options = _options(folder, record)
        if images is not None and not images.is_dir():
            raise UserError(f"{images}: no such folder; check --images")
        options = replace(options, images=images or options.images, overlays=1)
        config = _config(folder, record)
        body = job.open_body(options)
        source = job.source_of(options)
        if body.fingerprint != record["body"]["fingerprint"]:
            raise UserError(f"{options.body}: is not the body of this run; register again")
        people, _ = job.open_people(options, body)
        if people.fingerprint not in record["inputs"].values():
            raise UserError(f"{source}: has changed since the run; register again")
        return cls(folder, record, options, config, body, people, FitsFile(folder / "fits.npz"))

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def warm(self) -> bool:
        """Whether fits started from earlier ones."""
        return self.options.initial is not None

    @cached_property
    def _positions(self) -> np.ndarray:
        """(N,) where each fit's person stands in `people`, which may hold more."""
        import numpy as np

        ids, wanted = self.people.ids(), self.fits.ids()
        if np.array_equal(ids, wanted):
            return np.arange(len(ids))
        order = np.argsort(ids, kind="stable")
        found = np.searchsorted(ids[order], wanted).clip(max=len(ids) - 1)
        if not np.array_equal(ids[order][found], wanted):
            raise UserError(f"{self.folder / 'fits.npz'}: holds people that the run has not read")
        return order[found]

    def batches(self) -> Iterator[tuple[slice, Fits, Observations]]:
        """All people, some thousands at a time: their rows, fits and observations."""
        for start in range(0, len(self), AT_ONCE):
            rows = slice(start, min(start + AT_ONCE, len(self)))
            yield rows, self.fits.read(rows.start, rows.stop), self._observations(rows)

    def read(self, rows: np.ndarray) -> tuple[Fits, Observations]:
        """The fits and observations of these rows, in this order."""
        import numpy as np

        from bodyreg.data import Fits, Observations

        fits, observations, taken = [], [], []
        for start in range(0, len(self), AT_ONCE):
            here = rows[(rows >= start) & (rows < start + AT_ONCE)]
            if len(here):
                batch = slice(start, min(start + AT_ONCE, len(self)))
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

        return FitsById(self.options.initial).of(ids) if self.warm else None

    def truth(self, path: Path | None) -> Truth | None:
        """The truth of the run's people, in their order: of a file, or of what the run has made.

        Raises:
            UserError: the file is missing or damaged, or lacks somebody.
        """
        from bodyreg.data import Truth
        from bodyreg.metrics.evaluate import require_people

        made = self.record.get("truth")
        if path is None and made is None:
            return None
        truth = Truth.load(path or _found(self.folder, self.record, "truth", Path(made)))
        place = {number: row for row, number in enumerate(truth.id.tolist())}
        ids = self.fits.ids()
        require_people(ids, place)
        return truth.select([place[number] for number in ids.tolist()])

    def grounds(self, observations: Observations, side: int) -> tuple[list[np.ndarray], bool]:
        """What lies behind these people in their frames, and whether it is their pictures.

        Without pictures, it is the masks of a DensePose-COCO file, or nothing.
        """
        from bodyreg.viz.grounds import mask_grounds, picture_grounds, plain_ground

        if self.options.images is not None:
            if observations.picture is None:
                raise UserError("--images: this run's people do not say which picture is theirs")
            return picture_grounds(self.options.images, observations, side), True
        if self.options.densepose_coco is not None:
            return mask_grounds(self.options.densepose_coco, observations, side), False
        return [plain_ground(side)] * len(observations), False

    def _observations(self, rows: slice) -> Observations:
        at = self._positions[rows]
        first, last = int(at.min()), int(at.max()) + 1
        found = self.people.read(first, last).select(at - first)
        if self.record.get("without_depth"):
            found.keypoint_depth = None
        return found


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        known = {"options", "config", "body", "inputs", "version", "command"} <= record.keys()
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no run.json here; name the --out folder of a finished run"
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); register again") from error
    if not known:
        raise UserError(f"{path}: was written by another version of bodyreg; register again")
    return record


def _options(folder: Path, record: dict[str, Any]) -> job.Options:
    """The run's options, with paths to where the files are now."""
    kinds = get_type_hints(job.Options)
    values = record["options"]
    strange = sorted(values.keys() - kinds.keys())
    if strange:
        raise UserError(
            f"{folder / 'run.json'}: option '{strange[0]}' is not known to this version of "
            "bodyreg; register again"
        )
    values = dict(values)
    for name, value in record["options"].items():
        if value is not None and Path in (kinds[name], *get_args(kinds[name])):
            values[name] = folder if name == "out" else _found(folder, record, name, Path(value))
    return job.Options(**values)


def _found(folder: Path, record: dict[str, Any], name: str, path: Path) -> Path:
    """A file or folder where the run has read it, or, of a run that has moved, in its folder.

    Raises:
        UserError: it is at neither place.
    """
    former = Path(record["options"]["out"])
    inside = path.relative_to(former) if path.is_relative_to(former) else path.name
    for place in (path, folder / inside):
        if place.exists():
            return place
    raise UserError(
        f"{path}: the run has read --{name.replace('_', '-')} from here, and it is gone; put it "
        f"back, or put it into {folder}"
    )


def _config(folder: Path, record: dict[str, Any]) -> RegistrationConfig:
    from bodyreg.registration import RegistrationConfig

    kinds = {f.name: type(f.default) for f in fields(RegistrationConfig)}
    if record["config"].keys() != kinds.keys():
        raise UserError(
            f"{folder / 'run.json'}: its configuration is of another version of bodyreg; "
            "register again"
        )
    return RegistrationConfig(**{n: kinds[n](v) for n, v in record["config"].items()})
