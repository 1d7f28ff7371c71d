"""The options of `bodyreg register`, and what they ask for: opened, checked, ready to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import tyro

from bodyreg.cli.flags import (
    Device,
    Folder,
    OfPreset,
    OptionalFile,
    OptionalFolder,
    OptionalPath,
    Settings,
    Switch,
)
from bodyreg.errors import UserError
from bodyreg.files import fingerprint
from bodyreg.runs import record
from bodyreg.runs.fitted_shards import FittedShards

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

    from bodyreg.body import Body
    from bodyreg.data import Fits, FitsById, Observations
    from bodyreg.data.stored import StoredPeople
    from bodyreg.registration import RegistrationConfig


INPUTS = ("observations", "densepose_coco", "mpii", "human36m", "openpose", "deepfashion")
"""The options that name people to register."""


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg register`.

    Attributes:
        out: For the results; made when they are written. The same command finishes what a killed
            one has left in it.
        observations: People to register: bodyreg-observations-1 (.npz), or a folder of such files.
        densepose_coco: People to register: a DensePose-COCO file (.json).
        mpii: Keypoints of people to register: MPII's .mat, HRNet's .json of it, or a .npy.
        human36m: Keypoints of people to register: VideoPose3D's 2-D poses, or SPIN's .npz.
        openpose: Keypoints of people to register: a folder of OpenPose's *_keypoints.json.
        deepfashion: Keypoints of people to register: the folder of DeepFashion or Market-1501.
        whole_body: Of a DensePose-COCO file, only people whose whole body is in the picture.
        body: Body to fit: SMPL's .npz or .pkl, or the project's .npz. The built-in one if left out.
        uv: DensePose's UV_Processed.mat, which gives SMPL its charts.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer and dearer ones that use curvature (lm).
        starts: Cold starts per person, at yaws around the circle.
        iterations: Iterations of a fit; with lm, those of Levenberg-Marquardt.
        set: Other fields of the configuration; `bodyreg info --preset accurate` lists them.
        initial: Fits to start from (fits.npz); people are matched by id.
        device: Where to compute; auto takes CUDA where it can be used.
        meshes: Also write a mesh per person: metres, x right, y up, z toward the viewer.
        overlays: Also draw this many of the fits, evenly chosen, as overlays.png.
        images: The folder of the pictures that people are in, to draw the fits over: here, and in
            what `bodyreg report` and `bodyreg view` make of the run.
        quiet: Print nothing but errors.
    """

    out: Folder
    observations: OptionalPath = None
    densepose_coco: OptionalFile = None
    mpii: OptionalFile = None
    human36m: OptionalFile = None
    openpose: OptionalFolder = None
    deepfashion: OptionalFolder = None
    whole_body: Switch = False
    body: OptionalFile = None
    uv: OptionalFile = None
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
    starts: OfPreset = None
    iterations: OfPreset = None
    set: Settings = ()
    initial: OptionalFile = None
    device: Device = "auto"
    meshes: Annotated[
        Literal["obj", "ply", "glb"] | None,
        tyro.conf.arg(metavar="obj|ply|glb", help_behavior_hint=""),
    ] = None
    overlays: int = 0
    images: OptionalFolder = None
    quiet: Switch = False


@dataclass(frozen=True)
class Job:
    """What options ask for, ready to be done shard by shard.

    Attributes:
        config, device, body: How people are registered, where, and what is fitted to them.
        people: Where they are read from.
        skipped: Those that the reader left out, by reason.
        initial: Fits to start from.
        grounds: Pictures to draw the shown fits over.
        inputs: Files that were read, and their fingerprints.
        shards: What has been done.
    """

    config: RegistrationConfig
    device: torch.device
    body: Body
    people: StoredPeople
    skipped: Counter[str]
    initial: FitsById | None
    grounds: list[np.ndarray] | None
    inputs: dict[str, str]
    shards: FittedShards

    def read(self, shard: int) -> Reading:
        """What there is to know of a shard's people."""
        observations, skipped = _with_evidence(self.people.read(*self.shards.range(shard)))
        initial = None if self.initial is None else self.initial.of(observations.id)
        return Reading(observations, skipped, initial)


class Reading(NamedTuple):
    """A shard: its people who have evidence, how many have not, and fits to start from."""

    observations: Observations
    skipped: Counter[str]
    initial: Fits | None


def prepare(options: Options) -> Job:
    """Open what is read, without writing anything.

    Raises:
        UserError: something is missing or damaged, or cannot be done.
    """
    source = source_of(options)
    record.require_writable(options.out)
    config = record.make_config(
        options.preset, options.solver, options.starts, options.iterations, options.set
    )
    device, _ = record.choose_device(options.device)

    from bodyreg import __version__
    from bodyreg.data import FitsById

    body = open_body(options)
    people, skipped = open_people(options, body)
    initial = None if options.initial is None else FitsById(options.initial)
    if options.meshes and len(set(people.ids().tolist())) < len(people):
        raise UserError(f"{source}: ids are not unique, so meshes cannot be named by them")
    others = [path for path in (options.body, options.uv, options.initial) if path]
    prints = {str(source): people.fingerprint, **{str(p): fingerprint(p) for p in others}}
    what_shards_depend_on = {
        "version": __version__,
        "people": people.fingerprint,
        "whole_body": options.whole_body,
        "body": body.fingerprint,
        "initial_fits": prints.get(str(options.initial)),
        "configuration": record.plain(config),
        "device": device.type,
        "meshes": options.meshes,
    }
    return Job(
        config=config,
        device=device,
        body=body,
        people=people,
        skipped=skipped,
        initial=initial,
        grounds=_grounds(options, people),
        inputs=prints,
        shards=FittedShards(options.out / "shards", len(people), what_shards_depend_on),
    )


def source_of(options: Options) -> Path:
    """The file or folder that people are read from.

    Raises:
        UserError: there is not exactly one, or other options do not fit it.
    """
    given = [path for path in (getattr(options, name) for name in INPUTS) if path is not None]
    if len(given) != 1:
        flags = [f"--{name.replace('_', '-')}" for name in INPUTS]
        raise UserError(f"give one of {', '.join(flags[:-1])} and {flags[-1]}")
    if options.densepose_coco is None and options.whole_body:
        raise UserError("--whole-body belongs to --densepose-coco")
    if options.overlays < 0:
        raise UserError("--overlays must be how many fits to draw")
    return given[0]


def open_body(options: Options) -> Body:
    """The body that options name."""
    from bodyreg.body import Body

    if options.body is not None:
        return Body.load(options.body, uv=options.uv)
    if options.uv is not None:
        raise UserError("--uv belongs to SMPL; give it with --body")
    return Body.default()


def open_people(options: Options, body: Body) -> tuple[StoredPeople, Counter[str]]:
    """Where people are read from, and how many its reader left out, by reason."""
    from bodyreg.data import ObservationsInMemory, open_observations
    from bodyreg.data.formats import files_of, read_people

    source = source_of(options)
    if options.observations is not None:
        people, skipped = open_observations(source, body), Counter()
    else:
        kind = next(name for name in INPUTS if getattr(options, name) is not None)
        read = read_people(kind, source, body, whole_body=options.whole_body, images=options.images)
        observations, skipped = _with_evidence(*read)
        people = ObservationsInMemory(observations, fingerprint(*files_of(kind, source)))
    if not len(people):
        raise UserError(f"{source}: nobody to register{reasons(skipped)}")
    return people, skipped


def _with_evidence(
    observations: Observations, skipped: Mapping[str, int] = MappingProxyType({})
) -> tuple[Observations, Counter[str]]:
    """The people who have evidence, and how many were skipped, by reason."""
    from bodyreg.data.densepose_coco import NO_EVIDENCE

    skipped, evidence = Counter(skipped), observations.has_evidence
    if not evidence.all():
        skipped[NO_EVIDENCE] += int((~evidence).sum())
        observations = observations.select(evidence)
    return observations, skipped


def _grounds(options: Options, people: StoredPeople) -> list[np.ndarray] | None:
    if options.images is None:
        return None
    from bodyreg.viz.grounds import picture_grounds

    # One at least, to be told now if the pictures are not there.
    chosen = shown(len(people), max(1, options.overlays))
    drawn = people.read(0, int(chosen[-1]) + 1).select(chosen)
    if drawn.picture is None:
        raise UserError(f"{source_of(options)}: does not name people's pictures; omit --images")
    return picture_grounds(options.images, drawn)


def shown(people: int, count: int) -> np.ndarray:
    """Positions of `count` of the people, evenly chosen."""
    import numpy as np

    return np.unique(np.linspace(0, people - 1, count).round().astype(int))


def reasons(skipped: Mapping[str, int]) -> str:
    """How many were skipped by reason, in brackets, for reading; nothing if nobody was."""
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
    return f" ({counts})" if counts else ""
