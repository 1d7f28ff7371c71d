r"""Train a network that paints people in another pose, on pairs of pictures of the same people.

    bodyreg synthesize --people 2000 --formats deepfashion --out made
    python -m train.transfer --pairs made/deepfashion --preset small --out runs/painter
    python -m train.transfer --pairs made/deepfashion --preset small --kind pixel_warper \
        --generator runs/painter/painter.safetensors --out runs/warper

--kind refiner improves paintings that need no training. People are registered to the joints first,
or --fits has their fits. If the command was killed, the same command continues, and ends with the
same numbers. They depend on the number of threads, OMP_NUM_THREADS. `torchrun --nproc-per-node N
-m train.transfer ...` starts processes that share each batch. It needs `pip install
bodyreg[train]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch

from bodyreg import Body, Fits, UserError, flow
from bodyreg.data.bodies import pixels_per_metre
from bodyreg.data.deepfashion import PosePairs, read_pose_pairs
from bodyreg.flow.bodies import parts
from bodyreg.painting import (
    GeneratorConfig,
    Painter,
    PainterArchitecture,
    PaintingConfig,
    PaintingLessons,
    PaintingLossConfig,
    train_painter,
    vgg_for,
)
from bodyreg.pictures import read_picture
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.transfer.foreground import foreground_of
from train.options import Teaching, changed, run
from train.pairs import fits_of, pairs_of, require_unseen, split_facts

EXAMPLES = 6
"""Pairs whose pictures are drawn."""


@dataclass(frozen=True)
class Recipe(PaintingConfig):
    """How a new painter learns.

    Attributes:
        architecture: What it is like.
    """

    architecture: PainterArchitecture = field(default_factory=PainterArchitecture)


ALONE = PaintingLossConfig(content=0)
"""The losses that need no file."""

PRESETS = {
    "deepfashion": Recipe(),
    "market1501": Recipe(
        architecture=PainterArchitecture(
            height=128, width=64, radius=4.0, network=GeneratorConfig(levels=5, warped=4), reach=8
        )
    ),
    "small": Recipe(
        epochs=4,
        learning_rate=1e-3,
        muon=20,
        decay=True,
        held_out=0.1,
        losses=replace(ALONE, adversarial=0),
        architecture=PainterArchitecture(
            height=64,
            width=64,
            radius=2.0,
            network=GeneratorConfig(levels=5, width=16, widest=64, warped=4),
            reach=4,
        ),
    ),
    "smoke": Recipe(
        epochs=2,
        batch=4,
        held_out=0.2,
        losses=replace(ALONE, adversarial_from=2),
        architecture=PainterArchitecture(
            height=32,
            width=32,
            radius=1.5,
            network=GeneratorConfig(levels=3, width=8, widest=16, warped=2),
            reach=2,
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `python -m train.transfer`.

    Attributes:
        pairs: DeepFashion's or Market-1501's folder.
        out: Folder of painter.safetensors, of fits.npz, and of the training's state.
        split: The pairs to learn from; some of its people are held out.
        fits: The people's fits (.npz), by the order of the pictures in the folder's labels; if left
            out, people are registered.
        kind: generator: the paper's. pixel_warper: on top of --generator. refiner: of paintings
            that need no training. plain: one encoder, no flow.
        generator: The painter whose generator a pixel warper uses.
        vgg: VGG-19's weights, in torchvision's .pth or as .safetensors, for the loss of content.
        preset: deepfashion, market1501: the paper's sizes, for a GPU. small: 64 pixels, for a CPU.
            smoke: seconds.
        seed: Of everything random.
        device: Where to compute: cpu, cuda, or auto.
        set: Other fields of the recipe, as NAME=VALUE or PART.NAME=VALUE.
        curves: Folder of TensorBoard's curves and pictures.
    """

    pairs: Path
    out: Path
    split: str = "train"
    fits: Path | None = None
    kind: Literal["generator", "pixel_warper", "refiner", "plain"] = "generator"
    generator: Path | None = None
    vgg: Path | None = None
    preset: Literal["deepfashion", "market1501", "small", "smoke"] = "deepfashion"
    seed: int = 0
    device: str = "cpu"
    set: tuple[str, ...] = ()
    curves: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    return run("train.transfer", Options, __doc__, train, arguments)


def train(options: Options, command: str) -> None:
    """Train a painter. Of several processes, the first one writes it and the fits."""
    body, teaching = Body.default(), Teaching.of(options, command, options.device)
    preset = PRESETS[options.preset]
    preset = replace(preset, architecture=replace(preset.architecture, kind=options.kind))
    recipe = changed(preset, options.set)
    architecture = recipe.architecture
    if architecture.kind != options.kind:
        raise UserError(f"--set architecture.kind: give --kind {architecture.kind} instead")
    vgg = vgg_for(recipe.losses, options.vgg)
    below = None if options.generator is None else Painter.load(options.generator)
    start = Painter.new(architecture, options.seed, below)
    people = read_pose_pairs(options.pairs)
    fits = fits_of(people, options.fits, body, teaching.device)
    lessons = lessons_of(people, fits, options.split, body, architecture)
    learnt, held_out = lessons.split(recipe.held_out, options.seed)
    split = split_facts(learnt.pairs, held_out.pairs)
    if below is not None and options.generator is not None:
        require_unseen(options.generator, below.facts, learnt.pairs, held_out.pairs)
    if options.kind == "refiner":
        learnt, held_out = painted(learnt), painted(held_out)
    with teaching.curves() as writer:
        painter = train_painter(
            start,
            learnt,
            recipe,
            vgg=vgg,
            seed=options.seed,
            device=teaching.device,
            state=options.out / "state.safetensors",
            curves=writer,
            report=teaching.tell,
            watch=teaching.watch(watcher(held_out)),
        )
    teaching.keep_fits(fits, options.out / "fits.npz")
    path = options.out / "painter.safetensors"
    teaching.keep(painter, path, "painter", len(learnt), "pairs", **split)


def lessons_of(
    people: PosePairs, fits: Fits, split: str, body: Body, architecture: PainterArchitecture
) -> PaintingLessons:
    """The pairs of a split whose people have fits.

    Raises:
        UserError: as `pairs_of`, or the pictures have different sizes.
    """
    pairs = pairs_of(people, split, fits.id)
    used, places = np.unique(pairs, return_inverse=True)
    rows = {person: row for row, person in enumerate(fits.id.tolist())}
    size = architecture.height, architecture.width
    pictures = torch.empty(len(used), 3, *size, dtype=torch.uint8)
    own: tuple[int, int] | None = None
    for place, number in enumerate(used.tolist()):
        picture = read_picture(people.picture(number))
        own = own or picture.shape[:2]
        if picture.shape[:2] != own:
            raise UserError(
                f"{people.picture(number)}: {picture.shape[1]} x {picture.shape[0]} pixels, "
                f"expected {own[1]} x {own[0]} as of the others"
            )
        small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        pictures[place] = torch.from_numpy(small[..., ::-1].copy()).permute(2, 0, 1)
    assert own is not None
    of_pairs = flow.Lessons.of(
        body,
        fits.select([rows[number] for number in used.tolist()]),
        people.joints[used],
        places.reshape(-1, 2),
        own,
        size,
    )
    return PaintingLessons(of_pairs, pictures, architecture.radius)


def painted(lessons: PaintingLessons) -> PaintingLessons:
    """The same lessons with paintings that need no training."""
    sources = np.unique(lessons.pairs.pairs[:, 0])
    bodies = lessons.pairs.right.select(sources)
    silhouettes = parts(lessons.pairs.body, bodies, lessons.pairs.size).numpy() > 0
    foreground = np.zeros((len(lessons.pictures), *lessons.pairs.size), bool)
    for source, silhouette, fine in zip(
        sources.tolist(), silhouettes, pixels_per_metre(bodies), strict=True
    ):
        picture = np.ascontiguousarray(lessons.pictures[source].permute(1, 2, 0).numpy())
        foreground[source] = foreground_of(picture, silhouette, fine)
    return lessons.painted(foreground)


def watcher(held_out: PaintingLessons) -> Callable[[int, Painter, Curves], dict[str, float]]:
    """Measures pairs that are held out, and draws some: source, painted, target."""

    def watch(step: int, painter: Painter, writer: Curves) -> dict[str, float]:
        if writer is not NO_CURVES and len(held_out):
            writer.add_image("held out", sheet(painter, held_out), step, dataformats="HWC")
        errors = painter.errors(held_out) if len(held_out) else {}
        return {f"held out {name}": error for name, error in errors.items()}

    return watch


def sheet(painter: Painter, lessons: PaintingLessons) -> np.ndarray:
    """(H, W, 3) uint8 red, green, blue: a row of pairs, each the source, as painted, the target."""
    some = np.arange(min(EXAMPLES, len(lessons)))
    few = lessons.select(some)
    source, target = torch.from_numpy(few.pairs.pairs.T)
    columns = [lessons.pictures[source], painter.paint(few), lessons.pictures[target]]
    if few.paintings is not None:
        columns.insert(1, few.paintings)
    rows = torch.cat([torch.cat(list(column), 1) for column in columns], 2)
    return rows.permute(1, 2, 0).numpy()


if __name__ == "__main__":
    sys.exit(main())
