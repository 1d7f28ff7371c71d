r"""Train a network that tells flow and visibility between two pictures of a person by their joints.

    bodyreg synthesize --people 6000 --formats deepfashion --out made
    python -m train.flow --pairs-of made/deepfashion --truth made/deepfashion/truth.npz \
        --out runs/flow
    python -m train.flow --pairs-of made/deepfashion --truth made/deepfashion/truth.npz \
        --preset correction --out runs/correction

Bodies are registered to the joints first, or --fits has them. Without --truth their flow is the
right one. If the command was killed, the same command continues, and ends with the same numbers.
They depend on the number of threads, OMP_NUM_THREADS. `torchrun --nproc-per-node N -m train.flow
...` starts processes that share each batch. It needs `pip install bodyreg[train]`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from bodyreg import Body, Fits, UserError
from bodyreg.data.deepfashion import PosePairs, read_pose_pairs
from bodyreg.data.truth import Truth
from bodyreg.flow import (
    FlowArchitecture,
    FlowAugmentation,
    FlowLearningConfig,
    FlowLossConfig,
    FlowRegressor,
    Lessons,
    body_joints,
    train_flow,
)
from bodyreg.flow.learning import Watch
from bodyreg.pictures import read_picture
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.viz.flow import flow_picture, pair_tile, visibility_picture
from train.options import Teaching, changed, run
from train.pairs import fits_of, pairs_of, require_unseen, split_facts

DRAWN = 8
"""Pairs that are held out whose flow is drawn."""


@dataclass(frozen=True)
class Recipe(FlowLearningConfig):
    """How a new network learns.

    Attributes:
        architecture: What it is like.
        joints: What it sees: `detected`, the data set's joints, or `fitted`, those of the bodies,
            where the data set has a joint.
    """

    architecture: FlowArchitecture = field(default_factory=FlowArchitecture)
    joints: Literal["detected", "fitted"] = "detected"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.joints not in ("detected", "fitted"):
            raise UserError(f"joints '{self.joints}' are unknown; choose detected or fitted")


SMALL = Recipe(
    epochs=8,
    batch=16,
    learning_rate=1e-3,
    muon=20,
    halved_every=2,
    losses=FlowLossConfig(full_size_weight=0.64),
    augmentation=FlowAugmentation(across=5, down=3),
    architecture=FlowArchitecture("unet", 5, 16, 64, 64, 2.0),
)

PRESETS = {
    "deepfashion": Recipe(joints="fitted"),
    "market1501": Recipe(
        architecture=FlowArchitecture("unet_v2", 4, height=128, width=64, radius=4.0),
        augmentation=FlowAugmentation(across=5, down=5),
    ),
    "small": SMALL,
    "correction": replace(SMALL, architecture=replace(SMALL.architecture, corrects=True)),
    "smoke": Recipe(
        epochs=1,
        learning_rate=1e-3,
        held_out=0.4,
        augmentation=FlowAugmentation(across=2, down=1),
        architecture=FlowArchitecture("unet", 3, 4, 32, 32, 1.5),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `python -m train.flow`.

    Attributes:
        pairs_of: Folder of DeepFashion or Market-1501, as for `bodyreg flow`.
        out: Folder of flow.safetensors, of fits.npz, and of the training's state.
        split: The pairs to learn from.
        fits: Bodies fitted to the pictures (.npz), by their places in the file of joints; if left
            out, bodies are registered to the joints.
        truth: The true bodies of made people (.npz), likewise, whose flow is the right one.
        start: A flow regressor's file, from which learning goes on, instead of a new network.
        preset: deepfashion, market1501: the paper's. small: 64 pixels, for a CPU. correction: the
            same, of the flow of fits. smoke: seconds.
        seed: Of everything random.
        device: Where to compute: cpu, cuda, or auto.
        set: Other fields of the recipe, as NAME=VALUE or PART.NAME=VALUE.
        curves: Folder of TensorBoard's curves and pictures.
    """

    pairs_of: Path
    out: Path
    split: str = "train"
    fits: Path | None = None
    truth: Path | None = None
    start: Path | None = None
    preset: Literal["deepfashion", "market1501", "small", "correction", "smoke"] = "small"
    seed: int = 0
    device: str = "cpu"
    set: tuple[str, ...] = ()
    curves: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    return run("train.flow", Options, __doc__, train, arguments)


def train(options: Options, command: str) -> None:
    """Train a flow regressor. Of several processes, the first one writes it and the fits."""
    body, teaching = Body.default(), Teaching.of(options, command, options.device)
    recipe = changed(PRESETS[options.preset], options.set)
    start = start_of(options, recipe)
    data = read_pose_pairs(options.pairs_of)
    fits = fits_of(data, options.fits, body, teaching.device)
    lessons, held_out = lessons_of(options, recipe, body, data, fits, start.architecture)
    if options.start is not None:
        require_unseen(options.start, start.facts, lessons, held_out)
    with teaching.curves() as writer:
        regressor = train_flow(
            start,
            lessons,
            recipe,
            seed=options.seed,
            device=teaching.device,
            state=options.out / "state.safetensors",
            curves=writer,
            report=teaching.tell,
            watch=teaching.watch(watcher(held_out)),
        )
    teaching.keep_fits(fits, options.out / "fits.npz")
    path = options.out / "flow.safetensors"
    split = split_facts(lessons, held_out)
    teaching.keep(regressor, path, "flow regressor", len(lessons), "pairs", **split)


def start_of(options: Options, recipe: Recipe) -> FlowRegressor:
    """The network that is taught."""
    if options.start is None:
        return FlowRegressor.new(recipe.architecture, options.seed)
    if recipe.architecture != PRESETS[options.preset].architecture:
        raise UserError("--start has its own network; leave out --set architecture")
    return FlowRegressor.load(options.start)


def lessons_of(
    options: Options,
    recipe: Recipe,
    body: Body,
    data: PosePairs,
    fits: Fits,
    architecture: FlowArchitecture,
) -> tuple[Lessons, Lessons]:
    """The pairs to learn from, and those that are held out.

    Pictures without a fit, and without a true body if there are some, are left out.
    """
    if architecture.corrects and options.truth is None:
        raise UserError("a network that corrects fits learns from true bodies; give --truth")
    known, right = fits.id, fits
    if options.truth is not None:
        truth = Truth.load(options.truth)
        if truth.body != body.fingerprint:
            raise UserError(f"{options.truth}: of another body")
        known = np.intersect1d(fits.id, truth.id)
        right = truth.select(_rows(truth.id, known))
    fits = fits.select(_rows(fits.id, known))
    if options.truth is None:
        known, right = fits.id, fits
    inside = (known >= 0) & (known < len(data))
    if not inside.all():
        raise UserError(f"the bodies' ids must be places in the file of joints, below {len(data)}")
    place = np.full(len(data), -1)
    place[known] = np.arange(len(known))
    pairs = place[pairs_of(data, options.split, known)]
    joints = data.joints[known]
    if recipe.joints == "fitted":
        joints = np.where(np.isnan(joints), np.nan, body_joints(body, fits))
    picture = read_picture(data.picture(int(known[pairs[0, 0]]))).shape[:2]
    lessons = Lessons.of(
        body,
        right,
        joints,
        pairs,
        picture,
        architecture.size,
        fitted=None if options.truth is None else fits,
    )
    if not architecture.corrects:
        lessons, held_out = lessons.split(recipe.held_out, options.seed)
        return replace(lessons, fitted=None), held_out
    return lessons.split(recipe.held_out, options.seed)


def watcher(held_out: Lessons) -> Watch:
    """Measures pairs that are held out, and draws some of them if curves are written."""

    def watch(step: int, regressor: FlowRegressor, curves: Curves) -> dict[str, float]:
        if not len(held_out):
            return {}
        if curves is not NO_CURVES:
            curves.add_image("held out", drawn(regressor, held_out), step, dataformats="HWC")
        return {f"held out {name}": e for name, e in regressor.errors(held_out).items()}

    return watch


def drawn(regressor: FlowRegressor, lessons: Lessons) -> np.ndarray:
    """(H, W, 3) uint8 red, green, blue: right flow and visibility, and the network's, by rows."""
    lesson = lessons.lesson(torch.arange(min(DRAWN, len(lessons))))
    given = lesson.given if regressor.architecture.corrects else ()
    guess = regressor.guess(lesson.joints, *given)
    tiles = []
    for pair in range(len(lesson.flow)):
        pictures = []
        for flow, kinds in ((lesson.flow, lesson.visibility), (guess.flow, guess.visibility)):
            plain, kind = flow[pair].permute(1, 2, 0).numpy(), kinds[pair].numpy()
            pictures += [flow_picture(plain, kind), visibility_picture(kind)]
        tiles.append(pair_tile(pictures)[..., ::-1])
    return np.concatenate(tiles)


def _rows(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Positions of wanted ids; the first one of each."""
    order = np.argsort(ids, kind="stable")
    return order[np.searchsorted(ids[order], wanted)]


if __name__ == "__main__":
    sys.exit(main())
