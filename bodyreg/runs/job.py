"""A run that was asked for, by registration or by a network, and its files once they are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bodyreg.data.formats import FORMATS
from bodyreg.data.opening import open_people, with_evidence
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import fingerprint
from bodyreg.runs import fitted_shards
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
    from bodyreg.regression import Regressor

AT_ONCE = 8192
"""People read at a time."""
LOOKED_AT = 8
"""People whose pictures are looked at before the fits, at least."""
NOT_SEEN = "not seen by the network"
"""Why a person is left out of a refinement."""
NOT_PLACED = "without a start"
"""Why a person is left out whom another tool has not placed in space."""
SHARDS = "shards"
"""The folder of what a run has done so far, in its folder."""
PROPORTIONS = "proportions.json"
"""The file of learned proportions, in the folder of a run."""


@dataclass(frozen=True)
class Request:
    """A run to be done: people are registered, or a network sees them.

    Attributes:
        out: The folder for the results.
        source: The people.
        config: How they are registered; of a network's run, what the cameras are.
        preset: The preset that the configuration was made from.
        device: Where fits are computed: auto, cpu or cuda.
        body: The files of the body to fit.
        initial: A file of fits to start from; people are matched by id.
        placed: Keypoints in space of another tool: `initial` is then the file to which the body's
            fits to them are written first. People who are not in them are left out.
        refines: Whether people who are not in `initial` are left out; else they are an error.
        regressor: A file of a network, which sees the people in their pictures. They are then not
            registered.
        meshes: The kind of mesh to write for each person: obj, ply or glb.
        overlays: The number of fits to draw.
        learn_proportions: Whether the people's usual proportions are learned first.
        detects: Whether people are first detected in the pictures of `source`, into its file.
    """

    out: Path
    source: Source
    config: RegistrationConfig
    preset: str
    device: str = "auto"
    body: BodyFiles = field(default_factory=BodyFiles)
    initial: Path | None = None
    placed: Path | None = None
    refines: bool = False
    regressor: Path | None = None
    meshes: str | None = None
    overlays: int = 0
    learn_proportions: bool = False
    detects: bool = False


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
        regressor: The network that sees the people, on the device.
        regressor_file: Its file.
        shards: What has been done.
    """

    request: Request
    device: torch.device
    body: Body
    people: StoredPeople
    skipped: Counter[str]
    initial: FitsById | None
    initial_file: File | None
    regressor: Regressor | None
    regressor_file: File | None
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
            raise no_people(request, skipped)
        initial = initial_file = None
        if request.initial is not None:
            initial = FitsById(request.initial)
            initial_file = File(request.initial, fingerprint(request.initial))
        regressor = regressor_file = None
        if request.regressor is not None:
            regressor = open_regressor(request.regressor, body, device)
            regressor_file = File(request.regressor, fingerprint(request.regressor))
        named = "meshes cannot be named" if request.meshes else "fits cannot be found"
        unique = request.meshes or regressor is not None
        if unique and len(set(people.ids().tolist())) < len(people):
            raise UserError(f"{source.path}: ids are not unique, so {named} by them")
        _check_pictures(request, people)
        depends_on = {
            "version": installed_version(),
            "people": people.fingerprint,
            "format": source.format,
            "switches": list(source.switches),
            "points": source.points,
            "keypoints": source.keypoints
            and [
                source.keypoints.format,
                *source.keypoints.switches,
            ],
            "focal": to_plain(source.focal, request.out),
            "pictures": source.images is not None,
            "body": body.fingerprint,
            "charts": request.body.charts_fingerprint,
            "landmarks": request.body.landmarks_fingerprint,
            "proportions": request.body.proportions_fingerprint,
            "initial_fits": initial_file and initial_file.fingerprint,
            "configuration": to_plain(request.config, request.out),
            "device": device.type,
            "meshes": request.meshes,
        }
        size = fitted_shards.PEOPLE_PER_SHARD
        if request.config.fit_shape:
            size = fitted_shards.SHAPES_PER_SHARD
        if regressor_file is not None:
            depends_on["regressor"] = regressor_file.fingerprint
            size = fitted_shards.PICTURES_PER_SHARD
        return cls(
            request=request,
            device=device,
            body=body,
            people=people,
            skipped=skipped,
            initial=initial,
            initial_file=initial_file,
            regressor=regressor,
            regressor_file=regressor_file,
            shards=FittedShards(request.out / SHARDS, len(people), depends_on, size),
        )

    def depending_on(self, more: Mapping[str, Any]) -> Job:
        """The same, where what is done depends on more values, plain ones for JSON."""
        return replace(self, shards=self.shards.of(self.shards.depends_on | more))

    def in_learned_proportions(self) -> Job:
        """The same, with the proportions that `learning.learn` has left in its folder.

        Raises:
            UserError: their file is damaged.
        """
        files = replace(self.request.body, proportions=self.request.out / PROPORTIONS)
        job = self.depending_on({"proportions": files.proportions_fingerprint})
        return replace(job, request=replace(self.request, body=files), body=files.open())

    def read(self, shard: int) -> Reading:
        """Read a shard's people."""
        import numpy as np

        observations, skipped = self.people.read(*self.shards.range(shard)), Counter[str]()
        if FORMATS[self.request.source.format].evidence:
            observations, skipped = with_evidence(observations)
        reason = NOT_SEEN if self.request.refines else self.request.placed and NOT_PLACED
        if reason and self.initial is not None:
            known = np.isin(observations.id, self.initial.ids())
            skipped[reason] += int((~known).sum())
            observations = observations.select(known)
        initial = None if self.initial is None else self.initial.of(observations.id)
        return Reading(observations, +skipped, initial)


class Reading(NamedTuple):
    """A shard: its people, how many were left out for want of evidence, and fits to start from."""

    observations: Observations
    skipped: Counter[str]
    initial: Fits | None


class Fitted(NamedTuple):
    """The fits of a shard.

    Attributes:
        fits: The fits.
        observations: Their people.
        seconds: The time they took.
        skipped: How many people of the shard have no fit, by reason.
        stages: Stage -> the milliseconds that it took for a person, of every batch of pictures.
    """

    fits: Fits
    observations: Observations
    seconds: float
    skipped: Counter[str]
    stages: Mapping[str, Sequence[float]]


def open_regressor(path: Path, body: Body, device: torch.device) -> Regressor:
    """A network of people with this body, on a device.

    Raises:
        UserError: the file is missing or damaged, or its network has learnt another body.
    """
    from bodyreg.regression import Regressor

    regressor = Regressor.load(path)
    if regressor.body and regressor.body != body.fingerprint:
        raise UserError(
            f"{path}: has learnt another body ({regressor.body}) than '{body.name}' "
            f"({body.fingerprint}); give its body with --body"
        )
    regressor.network.to(device)
    return regressor


def no_people(request: Request, skipped: Mapping[str, int]) -> UserError:
    """What to tell a user whose file has no people to fit."""
    verb = "register" if request.regressor is None else "see"
    return UserError(f"{request.source.path}: no people to {verb}{reasons(skipped)}")


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


def _check_pictures(request: Request, people: StoredPeople) -> None:
    """Refuse people whose pictures are wanted, and none can be read: now, and not in the report.

    One readable picture is enough: people are drawn without those that cannot be read. A network
    leaves people out whose pictures it cannot see.
    """
    from bodyreg.viz.grounds import picture_grounds

    source = request.source
    if source.images is None:
        return
    refusal = None
    # Alone, because people of files of any size may lie between them. Some are read, also if none
    # is drawn.
    for row in evenly(len(people), max(LOOKED_AT, request.overlays)).tolist():
        person = people.read(row, row + 1)
        if person.picture is None:
            ending = "; omit --images" if request.regressor is None else ""
            raise UserError(f"{source.path}: does not name people's pictures{ending}")
        if request.regressor is None and person.picture[0]:
            try:
                picture_grounds(source.images, person)
            except UserError as error:
                refusal = refusal or error
            else:
                return
    if refusal is not None:
        raise refusal
