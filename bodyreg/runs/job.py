"""A registration that was asked for, and its files once they are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bodyreg.data.formats import Source, open_people, with_evidence
from bodyreg.errors import UserError
from bodyreg.files import fingerprint
from bodyreg.runs.device import choose_device
from bodyreg.runs.fitted_shards import FittedShards
from bodyreg.runs.plain import to_plain
from bodyreg.runs.record import BodyFiles, File

if TYPE_CHECKING:
    import numpy as np
    import torch

    from bodyreg.body import Body
    from bodyreg.data import Fits, FitsById, Observations
    from bodyreg.data.stored import StoredPeople
    from bodyreg.registration import RegistrationConfig

AT_ONCE = 8192
"""People read at a time."""
PROPORTIONS = "proportions.json"
"""The file of learned proportions, in the folder of a run."""


@dataclass(frozen=True)
class Request:
    """A registration to be done.

    Attributes:
        out: The folder for the results.
        source: The people.
        config: How they are registered.
        preset: The preset that the configuration was made from.
        device: Where fits are computed: auto, cpu or cuda.
        body: The files of the body to fit.
        initial: A file of fits to start from; people are matched by id.
        meshes: The kind of mesh to write for each person: obj, ply or glb.
        overlays: The number of fits to draw.
        learn_proportions: Whether the people's usual proportions are learned first.
    """

    out: Path
    source: Source
    config: RegistrationConfig
    preset: str
    device: str = "auto"
    body: BodyFiles = field(default_factory=BodyFiles)
    initial: Path | None = None
    meshes: str | None = None
    overlays: int = 0
    learn_proportions: bool = False


@dataclass(frozen=True)
class Job:
    """A request whose files are open.

    Attributes:
        request: What is to be done.
        device: Where fits are computed.
        body: The body to fit.
        people: The people.
        skipped: Those that the reader left out, by reason.
        initial: Fits to start from.
        initial_file: Their file.
        grounds: Pictures to draw the shown fits over.
        shards: What has been done.
    """

    request: Request
    device: torch.device
    body: Body
    people: StoredPeople
    skipped: Counter[str]
    initial: FitsById | None
    initial_file: File | None
    grounds: list[np.ndarray] | None
    shards: FittedShards

    @classmethod
    def open(cls, request: Request) -> Job:
        """Open what is read. Nothing is written.

        Raises:
            UserError: something is missing or damaged, or cannot be done.
        """
        from bodyreg.data import FitsById
        from bodyreg.version import installed_version

        device, _ = choose_device(request.device)
        body, source = request.body.open(), request.source
        people, skipped = open_people(source, body)
        if not len(people):
            raise no_people(source, skipped)
        initial = initial_file = None
        if request.initial is not None:
            initial = FitsById(request.initial)
            initial_file = File(request.initial, fingerprint(request.initial))
        if request.meshes and len(set(people.ids().tolist())) < len(people):
            raise UserError(f"{source.path}: ids are not unique, so meshes cannot be named by them")
        depends_on = {
            "version": installed_version(),
            "people": people.fingerprint,
            "format": source.format,
            "switches": list(source.switches),
            "focal": to_plain(source.focal, request.out),
            "pictures": source.images is not None,
            "body": body.fingerprint,
            "landmarks": request.body.landmarks_fingerprint,
            "proportions": request.body.proportions_fingerprint,
            "initial_fits": initial_file and initial_file.fingerprint,
            "configuration": to_plain(request.config, request.out),
            "device": device.type,
            "meshes": request.meshes,
        }
        return cls(
            request=request,
            device=device,
            body=body,
            people=people,
            skipped=skipped,
            initial=initial,
            initial_file=initial_file,
            grounds=_grounds(request, people),
            shards=FittedShards(request.out / "shards", len(people), depends_on),
        )

    def in_learned_proportions(self) -> Job:
        """The same, with the proportions that `learning.learn` has left in its folder.

        Raises:
            UserError: their file is damaged.
        """
        files = replace(self.request.body, proportions=self.request.out / PROPORTIONS)
        found = {"proportions": files.proportions_fingerprint}
        return replace(
            self,
            request=replace(self.request, body=files),
            body=files.open(),
            shards=FittedShards(
                self.shards.folder, len(self.people), self.shards.depends_on | found
            ),
        )

    def read(self, shard: int) -> Reading:
        """Read a shard's people."""
        observations, skipped = with_evidence(self.people.read(*self.shards.range(shard)))
        initial = None if self.initial is None else self.initial.of(observations.id)
        return Reading(observations, skipped, initial)


class Reading(NamedTuple):
    """A shard: its people with evidence, how many have none, and fits to start from."""

    observations: Observations
    skipped: Counter[str]
    initial: Fits | None


def no_people(source: Source, skipped: Mapping[str, int]) -> UserError:
    """What to tell a user whose file has no people to register."""
    return UserError(f"{source.path}: no people to register{reasons(skipped)}")


def reasons(skipped: Mapping[str, int]) -> str:
    """The numbers of skipped people by reason, in brackets, for reading; "" if there are none."""
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
    return f" ({counts})" if counts else ""


def evenly(people: int, count: int) -> np.ndarray:
    """The positions of `count` of the people, evenly chosen."""
    import numpy as np

    return np.unique(np.linspace(0, people - 1, min(count, people)).round().astype(int))


def some_people(stored: StoredPeople, count: int) -> Observations:
    """So many of the people, evenly chosen, of those with evidence."""
    from bodyreg.data import Observations

    chosen, parts = evenly(len(stored), count), []
    for start in range(0, len(stored), AT_ONCE):
        here = chosen[(chosen >= start) & (chosen < start + AT_ONCE)]
        if len(here):
            read = stored.read(start, min(start + AT_ONCE, len(stored)))
            parts.append(read.select(here - start))
    people, _ = with_evidence(Observations.concatenate(parts) if parts else stored.read(0, 0))
    return people


def _grounds(request: Request, people: StoredPeople) -> list[np.ndarray] | None:
    """The pictures behind the fits that will be drawn."""
    source = request.source
    if source.images is None:
        return None
    from bodyreg.viz.grounds import picture_grounds

    # At least one is read, so that missing pictures are an error now and not in the report.
    chosen = evenly(len(people), max(1, request.overlays))
    drawn = people.read(0, int(chosen[-1]) + 1).select(chosen)
    if drawn.picture is None:
        raise UserError(f"{source.path}: does not name people's pictures; omit --images")
    return picture_grounds(source.images, drawn)
