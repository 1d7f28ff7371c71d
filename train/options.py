"""What recipes share: options that name people, fields of configurations, and what they print."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bodyreg import Body, Fits, Observations, UserError
from bodyreg.cli import process
from bodyreg.cli.parsing import parse
from bodyreg.cli.sources import Sources, missing_source, source_of
from bodyreg.data.opening import open_people
from bodyreg.data.source import Source
from bodyreg.data.truth import TruthFile
from bodyreg.files import provenance
from bodyreg.metrics import true_joints
from bodyreg.metrics.evaluate import require_people
from bodyreg.regression import Album, Architecture, LearningConfig, LossConfig, Regressor
from bodyreg.runs import ranks
from bodyreg.runs.device import choose_device
from bodyreg.training.curves import Curves, curves

LARGEST_SEED = 2**32 - 1
AT_ONCE = 256
"""People of a truth file that are read in one step."""


@dataclass(frozen=True)
class NewNetwork:
    """The network of a recipe.

    Attributes:
        architecture: What it is like.
        side: Pixels of its pictures.
    """

    architecture: Architecture = field(
        default_factory=lambda: Architecture("small", six_numbers=True)
    )
    side: int = 64


SMALL = LearningConfig(muon=20.0, losses=LossConfig(parameter_weight=50.0, position_weight=5.0))
"""How a small network learns best (docs/experiments.md)."""

PAPERS = NewNetwork(Architecture("resnet50"), 224)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Sources):
    """Options of recipes that teach a network.

    Attributes:
        weights: ImageNet's weights of ResNet-50, in torchvision's .pth or as .safetensors.
        start: A regressor's file, from which learning goes on, instead of a new network.
        held_out: A data set whose errors are measured: its format, its path, the folder of its
            pictures, and the file of its truth. May name several, one after the other.
        seed: Of everything random.
        device: Where to compute: cpu, cuda, or auto.
        set: Other fields of the recipe, as NAME=VALUE or PART.NAME=VALUE.
        curves: Folder of TensorBoard's curves.
    """

    weights: Path | None = None
    start: Path | None = None
    held_out: tuple[tuple[str, Path, Path, Path], ...] = ()
    seed: int = 0
    device: str = "cpu"
    set: tuple[str, ...] = ()
    curves: Path | None = None


def run(
    name: str,
    kind: Any,
    description: str,
    train: Callable[[Any, str], None],
    arguments: Sequence[str] | None,
) -> int:
    """Run a recipe, in all its processes; returns the exit status.

    Args:
        name: Of its module.
        kind: The dataclass of its options.
        description: Its help.
        train: Is called with the options and the command line.
        arguments: Of the command line; the process's own if left out.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)

    def recipe() -> int:
        options = parse(kind, f"python -m {name}", description, arguments)
        if not 0 <= options.seed <= LARGEST_SEED:
            raise UserError(f"--seed {options.seed}: must be 0 to {LARGEST_SEED:,}")
        with ranks.joined() as processes, processes.together():
            train(options, shlex.join(["python", "-m", name, *arguments]))
        return 0

    return process.run(name, recipe)


@dataclass(frozen=True)
class Teaching:
    """A recipe's training in this process. Of several, only the first one writes and tells.

    Attributes:
        device: Where to compute.
        facts: What makes the network, plain values.
        first: Whether this is the first process.
        folder: Of TensorBoard's curves, if any.
        begin: CPU-seconds of this process before the training.
    """

    device: torch.device
    facts: dict[str, Any]
    first: bool
    folder: Path | None
    begin: float

    @classmethod
    def of(cls, options: Any, command: str, device: str = "cpu") -> Teaching:
        """By a recipe's options, its command line and the name of a device.

        Raises:
            UserError: there is no such device.
        """
        chosen, _ = choose_device(device)
        facts = provenance(command, seed=options.seed, device=str(chosen))
        return cls(chosen, facts, ranks.rank() == 0, options.curves, time.process_time())

    def curves(self) -> AbstractContextManager[Curves]:
        """A section that writes curves."""
        return curves(self.folder if self.first else None)

    def tell(self, step: int, numbers: dict[str, float]) -> None:
        """Print the losses of a step."""
        if self.first:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            print(f"step {step:,}: {losses}", flush=True)

    def watch(self, watch: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
        """What a loop calls to watch its network."""
        return watch if self.first else lambda *_: {}

    def keep_fits(self, fits: Fits, path: Path) -> None:
        """Write the fits that have taught.

        It is called after the training, which refuses a folder that holds another run.
        """
        if self.first:
            fits.save(path, **self.facts)

    def keep(
        self, network: Any, path: Path, what: str, number: int, unit: str, **facts: Any
    ) -> None:
        """Write what has learnt, and print where it is and what it cost.

        Args:
            network: With `save`.
            path: Its file.
            what: Its name, such as painter.
            number: How many it has learnt from.
            unit: Of them, such as pairs.
            facts: Further facts of the network.
        """
        if self.first:
            network.save(path, **self.facts, **facts, **{unit: number})
            seconds = time.process_time() - self.begin
            print(f"{number:,} {unit}, {seconds:.0f} CPU-seconds; {what}: {path}")


def people_of(options: Any, body: Body, others: str = "") -> Observations:
    """The people that the options name, those with evidence.

    Args:
        options: With those of `Sources`.
        body: The body that their points lie on.
        others: Other options that can name people, for the message.
    """
    if missing := missing_source(options):
        raise UserError(f"{missing[0]}{others} must name the people to learn from")
    return _read(source_of(options), body)


def in_pictures(options: NetworkOptions, body: Body) -> tuple[Path, Observations]:
    """The folder of the pictures that the options name, and the people in them."""
    people = people_of(options, body)
    if options.images is None:
        raise UserError("--images must name the folder of the people's pictures")
    return options.images, people


def another(form: str, path: Path, images: Path, body: Body) -> tuple[Path, Observations]:
    """The folder of the pictures, and the people, of a data set that is named by its format."""
    return images, _read(Source(format=form, path=path, images=images), body)


def held_out_of(options: NetworkOptions, body: Body, side: int) -> list[Album]:
    """The data sets whose errors are measured."""
    albums = []
    for form, path, images, truth in options.held_out:
        folder, people = another(form, path, images, body)
        albums.append(Album.of(folder, people, side, joints_of(truth, people, body)))
    return albums


def joints_of(path: Path, people: Observations, body: Body) -> np.ndarray:
    """(N, 25, 3) true joints of people, as of `metrics.true_joints`, from a file of their truth."""
    with TruthFile(path) as file:
        place = {person: row for row, person in enumerate(file.ids().tolist())}
        require_people(people.id, place, path)
        parts = [
            true_joints(file.read(first, min(first + AT_ONCE, len(file))), body)
            for first in range(0, len(file), AT_ONCE)
        ]
    return np.concatenate(parts)[[place[person] for person in people.id.tolist()]]


def start_of(options: NetworkOptions, recipe: Any, preset: NewNetwork) -> Regressor:
    """The network that is taught.

    Args:
        options: Name a file, or weights.
        recipe: With the fields of `NewNetwork`.
        preset: Their values before the user has changed any.
    """
    if options.start is None:
        start = Regressor.new(recipe.architecture, recipe.side, options.seed)
        if options.weights is not None:
            start.network.load_backbone(options.weights)
        return start
    start = Regressor.load(options.start)
    if options.weights is not None:
        raise UserError("--weights are for a new network; leave out --weights or --start")
    if (recipe.architecture, recipe.side) != (preset.architecture, preset.side):
        raise UserError("--start has its own network; leave out --set architecture and side")
    return start


def changed(config: Any, settings: Sequence[str]) -> Any:
    """A configuration with fields changed by NAME=VALUE; fields within a field by FIELD.NAME."""
    for setting in settings:
        name, _, rest = setting.partition(".")
        part = getattr(config, name, None)
        if is_dataclass(part):
            config = replace(config, **{name: changed(part, [rest])})
            continue
        name, _, text = setting.partition("=")
        known = [field.name for field in fields(config)]
        if name not in known:
            raise UserError(f"--set {setting}: no field; choose one of {', '.join(known)}")
        if is_dataclass(getattr(config, name)):
            raise UserError(f"--set {setting}: has fields of its own; set them by FIELD.NAME=VALUE")
        config = replace(config, **{name: _value(setting, getattr(config, name), text)})
    return config


def _value(setting: str, before: Any, text: str) -> Any:
    """The value that a text is, of the kind of the one before."""
    try:
        if isinstance(before, bool):
            return {"true": True, "false": False}[text]
        if isinstance(before, tuple):
            return tuple(float(part) for part in text.split(",") if part)
        return type(before)(text)
    except (ValueError, TypeError, KeyError):
        raise UserError(f"--set {setting}: not a value of {setting.partition('=')[0]}") from None


def _read(source: Source, body: Body) -> Observations:
    stored, _ = open_people(source, body)
    people = stored.read(0, len(stored))
    return people.select(people.has_evidence)
