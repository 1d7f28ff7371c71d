r"""Train a network that sees bodies in pictures, on fits of the same people.

    bodyreg synthesize --people 4000 --formats densepose-coco --out made
    python -m train.regress --densepose-coco made/densepose-coco/densepose.json \
        --images made/densepose-coco/images --out runs/net

People are registered first, or --fits has their fits. If the command was killed, the same command
continues, and ends with the same numbers. They depend on the number of threads, OMP_NUM_THREADS.
`torchrun --nproc-per-node N -m train.regress ...` starts processes that share each batch. It needs
`pip install bodyreg[train]`.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from bodyreg import Body, Fits, Observations, UserError, register
from bodyreg.cli.sources import Sources, missing_source, source_of
from bodyreg.data.formats import open_people
from bodyreg.errors import InstallationError
from bodyreg.files import provenance
from bodyreg.lifting import Lifter
from bodyreg.regression import Architecture, LearningConfig, Lessons, Regressor, train_regressor
from bodyreg.runs import ranks
from bodyreg.runs.device import choose_device
from bodyreg.training import curves
from train.lift import changed, tell_losses


@dataclass(frozen=True)
class Recipe(LearningConfig):
    """How a new network learns.

    Attributes:
        architecture: The network.
        side: Pixels of its pictures.
    """

    architecture: Architecture = field(default_factory=lambda: Architecture("small"))
    side: int = 64


RESNET = Architecture("resnet50")
PRESETS = {
    "small": Recipe(),
    "paper": Recipe(**vars(LearningConfig.paper()), architecture=RESNET, side=224),
}


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `python -m train.regress`.

    Attributes:
        out: Folder of regressor.safetensors, of labels.npz, and of the training's state.
        fits: The people's fits (.npz); if left out, people are registered.
        lifter: A lifter's file; gives keypoints depths before people are registered.
        preset: small: 64 pixels, for a CPU. paper: ResNet-50, 224 pixels, 50 epochs.
        weights: ImageNet's weights of ResNet-50, in torchvision's .pth or as .safetensors.
        start: A regressor's file, from which learning goes on, instead of a new network.
        seed: Of everything random.
        device: Where to compute: cpu, cuda, or auto.
        set: Other fields of the recipe, as NAME=VALUE or PART.NAME=VALUE: epochs=50,
            architecture.width=32, losses.dense_weight=2 ...
        curves: Folder of TensorBoard's curves.
    """

    out: Path
    fits: Path | None = None
    lifter: Path | None = None
    preset: Literal["small", "paper"] = "small"
    weights: Path | None = None
    start: Path | None = None
    seed: int = 0
    device: str = "cpu"
    set: tuple[str, ...] = ()
    curves: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Options, prog="train.regress", description=__doc__, args=arguments)
    try:
        with ranks.joined() as processes, processes.together():
            train(options, shlex.join(["python", "-m", "train.regress", *arguments]))
    except ranks.FailedElsewhereError:
        return 2
    except (UserError, InstallationError) as error:
        print(f"train.regress: error: {error}", file=sys.stderr)
        return 2
    return 0


def train(options: Options, command: str) -> None:
    """Train a regressor. Of several processes, the first one writes it and its labels."""
    body, begin = Body.default(), time.process_time()
    device, _ = choose_device(options.device)
    recipe = changed_within(PRESETS[options.preset], options.set)
    start = start_of(options, recipe)
    people, labels = taught(options, body, device)
    assert options.images is not None
    lessons = Lessons.of(body, options.images, people, labels, start.side)
    facts = provenance(command, seed=options.seed, device=str(device))
    first = ranks.rank() == 0
    if first:
        labels.save(options.out / "labels.npz", **facts)
    with curves(options.curves if first else None) as writer:
        regressor = train_regressor(
            body,
            start,
            lessons,
            recipe,
            seed=options.seed,
            device=device,
            state=options.out / "state.safetensors",
            curves=writer,
            report=tell_losses if first else tell_nothing,
        )
    if not first:
        return
    path = options.out / "regressor.safetensors"
    regressor.save(path, **facts, people=len(people))
    seconds = time.process_time() - begin
    print(f"{len(people):,} people, {seconds:.0f} CPU-seconds; regressor: {path}")


def start_of(options: Options, recipe: Recipe) -> Regressor:
    """The network that is taught."""
    if options.start is None:
        start = Regressor.new(recipe.architecture, recipe.side, options.seed)
        if options.weights is not None:
            start.network.load_backbone(options.weights)
        return start
    start, preset = Regressor.load(options.start), PRESETS[options.preset]
    if options.weights is not None:
        raise UserError("--weights are for a new network; leave out --weights or --start")
    if (recipe.architecture, recipe.side) != (preset.architecture, preset.side):
        raise UserError("--start has its own network; leave out --set architecture and side")
    return start


def taught(options: Options, body: Body, device: torch.device) -> tuple[Observations, Fits]:
    """The people that the options name, and their fits."""
    if missing := missing_source(options):
        raise UserError(f"{missing[0]} must name the people to learn from")
    if options.images is None:
        raise UserError("--images must name the folder of the people's pictures")
    stored, _ = open_people(source_of(options), body)
    people = stored.read(0, len(stored))
    people = people.select(people.has_evidence)
    if options.lifter is not None:
        people = Lifter.load(options.lifter).lift(people)
    if options.fits is not None:
        return people, Fits.load(options.fits)
    return people, register(body, people, device=device)


def changed_within(config: Any, settings: Sequence[str]) -> Any:
    """A configuration with fields changed by NAME=VALUE; fields within a field by FIELD.NAME."""
    for setting in settings:
        name, _, rest = setting.partition(".")
        part = getattr(config, name, None)
        if is_dataclass(part):
            config = replace(config, **{name: changed_within(part, [rest])})
            continue
        if is_dataclass(getattr(config, setting.partition("=")[0], None)):
            raise UserError(f"--set {setting}: has fields of its own; set them by FIELD.NAME=VALUE")
        config = changed(config, [setting])
    return config


def tell_nothing(step: int, numbers: dict[str, float]) -> None:
    """Leave it to the first process."""


if __name__ == "__main__":
    sys.exit(main())
