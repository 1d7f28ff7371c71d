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

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bodyreg import Body, Fits, register
from bodyreg.lifting import Lifter
from bodyreg.regression import Album, LearningConfig, Lessons, train_regressor
from train.options import (
    PAPERS,
    SMALL,
    NetworkOptions,
    NewNetwork,
    Teaching,
    changed,
    held_out_of,
    in_pictures,
    run,
    start_of,
)
from train.watching import watcher


@dataclass(frozen=True)
class Recipe(NewNetwork, LearningConfig):
    """How a new network learns."""


PRESETS = {
    "small": Recipe(**vars(SMALL)),
    "paper": Recipe(**vars(LearningConfig.paper()) | vars(PAPERS)),
}


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of `python -m train.regress`.

    Attributes:
        out: Folder of regressor.safetensors, of labels.npz, and of the training's state.
        fits: The people's fits (.npz); if left out, people are registered.
        lifter: A lifter's file; gives keypoints depths before people are registered.
        preset: small: 64 pixels, for a CPU. paper: ResNet-50, 224 pixels, 50 epochs.
    """

    out: Path
    fits: Path | None = None
    lifter: Path | None = None
    preset: Literal["small", "paper"] = "small"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    return run("train.regress", Options, __doc__, train, arguments)


def train(options: Options, command: str) -> None:
    """Train a regressor. Of several processes, the first one writes it and its labels."""
    body, teaching = Body.default(), Teaching.of(options, command, options.device)
    recipe = changed(PRESETS[options.preset], options.set)
    start = start_of(options, recipe, PRESETS[options.preset])
    images, people = in_pictures(options, body)
    if options.lifter is not None:
        people = Lifter.load(options.lifter).lift(people)
    if options.fits is None:
        labels = register(body, people, device=teaching.device)
    else:
        labels = Fits.load(options.fits)
    album = Album.of(images, people, start.side)
    lessons = Lessons.of(body, album, labels)
    held_out = held_out_of(options, body, start.side)
    with teaching.curves() as writer:
        regressor = train_regressor(
            body,
            start,
            lessons,
            recipe,
            seed=options.seed,
            device=teaching.device,
            state=options.out / "state.safetensors",
            curves=writer,
            report=teaching.tell,
            watch=teaching.watch(watcher(body, held_out, album)),
        )
    teaching.keep_fits(labels, options.out / "labels.npz")
    path = options.out / "regressor.safetensors"
    teaching.keep(regressor, path, "regressor", len(people), "people")


if __name__ == "__main__":
    sys.exit(main())
