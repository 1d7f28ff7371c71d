"""Painting: networks that are trained for it, and what needs no training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import flow
from benchmarks.experiments.clock import Clock, Tell
from benchmarks.experiments.transfer import lessons, people
from benchmarks.experiments.transfer.results import EVERY, SECONDS, STATE, Result, keep
from benchmarks.experiments.transfer.rows import PAINTED, PAINTING_ROWS, PaintingRow, Size
from bodyreg import Body
from bodyreg.flow import Lessons
from bodyreg.metrics.images import flat_silhouette, image_errors
from bodyreg.npz import save_npz
from bodyreg.painting import Painter, PaintingLessons, train_painter
from train.options import changed
from train.transfer import PRESETS, Recipe

PAINTER, ERRORS = "painter.safetensors", "errors.npz"

REGIONS = ("person", "visible", "hidden")
METRICS = [f"{metric}_{region}" for metric in ("l1", "ssim") for region in REGIONS]

Errors = dict[str, np.ndarray]
"""Name of a metric -> (P,), of pairs."""

FLAT, UNTRAINED = "flat silhouette", "painting without training"


def recipe(row: PaintingRow, size: Size) -> Recipe:
    """The options of a row as `train.transfer` reads them. All of its steps are one epoch."""
    options = ("epochs=1", "held_out=0", *size.painting_set, *row.set)
    return changed(PRESETS["small"], options)


def run(name: str, size: Size, folder: Path, tell: Tell) -> None:
    """Train a row and measure it."""
    row, own = PAINTING_ROWS[name], folder / name
    own.mkdir(parents=True, exist_ok=True)
    clock, config = Clock(own / SECONDS), recipe(row, size)
    below = Painter.load(folder / row.begin / PAINTER) if row.begin else None
    start = Painter.new(replace(config.architecture, kind=row.kind), row.seed, below)
    load = lessons.to_refine if row.kind == "refiner" else lessons.to_learn
    learnt = load(size, row.bodies, folder)
    learnt = learnt.select(in_turn(len(learnt), row.steps(size) * config.batch, row.seed))

    def told(step: int, numbers: dict[str, float]) -> None:
        tell(f"{name}: step {step}: colour {numbers['colour']:.4f}; {clock():.0f} CPU-seconds")

    painter = train_painter(
        start, learnt, config, seed=row.seed, state=own / STATE, every=EVERY, report=told
    )
    painter.save(own / PAINTER)
    held = lessons.held_out(size, row.bodies, folder)
    errors = measured(painter.paint(held), held, size, folder)
    save_npz(own / ERRORS, **errors)
    means = {metric: float(np.nanmean(values)) for metric, values in errors.items()}
    keep(own, Result(clock(), row.steps(size), means))
    tell(f"{name}: " + ", ".join(f"{what} {error:.3f}" for what, error in means.items()))


def in_turn(pairs: int, wanted: int, seed: int) -> np.ndarray:
    """(wanted,) positions of pairs: all of them in random order, again and again."""
    random = np.random.default_rng(seed)
    rounds = [random.permutation(pairs) for _ in range(-(-wanted // pairs))]
    return np.concatenate(rounds)[:wanted]


def measured(painted: Tensor, held: PaintingLessons, size: Size, folder: Path) -> Errors:
    """Errors of pictures (P, 3, H, W) uint8 of the people who are held out, on the person alone.

    The person is what is dressed; `visible` and `hidden` are parts of the true body.
    """
    _, foreground = people.pictures(size.held_out, folder)
    true = people.load(size.held_out, folder)
    seen = Lessons.of(
        Body.default(), true.truth, true.noisy, held.pairs.pairs, (flow.SIDE, flow.SIDE),
        held.pairs.size,
    )  # fmt: skip
    found = []
    for row, (_, target) in enumerate(held.pairs.pairs):
        kind = seen.lesson(torch.tensor([row])).visibility[0].numpy()
        pictures = [x.permute(1, 2, 0).numpy() for x in (painted[row], held.pictures[target])]
        found.append(image_errors(*pictures, foreground[target], kind))
    return {name: np.array([errors[name] for errors in found]) for name in METRICS}


def untrained(size: Size, folder: Path) -> dict[str, Errors]:
    """Name -> errors of what needs no training: paintings by both bodies, flat silhouettes."""
    found = {}
    for bodies, name in PAINTED.items():
        held = lessons.held_out(size, bodies, folder)
        assert held.paintings is not None
        found[name] = measured(held.paintings, held, size, folder)
    _, foreground = people.pictures(size.held_out, folder)
    flat = [
        flat_silhouette(held.pictures[target].permute(1, 2, 0).numpy(), foreground[target])
        for target in held.pairs.pairs[:, 1]
    ]
    pictures = torch.from_numpy(np.stack(flat)).permute(0, 3, 1, 2)
    return found | {FLAT: measured(pictures, held, size, folder)}
