"""Pairs of pictures to learn to paint from, and those that are held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import flow
from benchmarks.experiments.bodies.people import as_fits
from benchmarks.experiments.clock import Clock
from benchmarks.experiments.transfer import people
from benchmarks.experiments.transfer.people import Bodies, People
from benchmarks.experiments.transfer.results import SECONDS
from benchmarks.experiments.transfer.rows import PAINTED, Size
from bodyreg import Body, Fits
from bodyreg.flow import Lessons
from bodyreg.npz import load_npz, save_npz
from bodyreg.painting import PaintingLessons
from bodyreg.synthetic.people import sample_person
from train.transfer import PRESETS

PAINTINGS = "paintings.npz"


def held_out(size: Size, bodies: Bodies, folder: Path) -> PaintingLessons:
    """All pairs of the people to measure errors of, with paintings that need no training."""
    every = flow.pairs_of(1).shape[0]
    found, foreground = lessons(size.held_out, size, bodies, every, folder)
    return painted(found, foreground, size.held_out)


def to_learn(size: Size, bodies: Bodies, folder: Path) -> PaintingLessons:
    """The pairs to learn from, without paintings."""
    return lessons(size.learn, size, bodies, size.painting_pairs, folder)[0]


def to_refine(size: Size, bodies: Bodies, folder: Path) -> PaintingLessons:
    """The same with the paintings that `paint` has kept."""
    kept = load_npz(folder / PAINTED[bodies] / PAINTINGS, kind="paintings")
    arrays = {name: torch.from_numpy(kept[name]) for name in ("paintings", "provenance")}
    return replace(to_learn(size, bodies, folder), **arrays)


def paint(bodies: Bodies, size: Size, folder: Path) -> None:
    """Paint the pairs to learn from without training; what is there is not repeated."""
    path = folder / PAINTED[bodies] / PAINTINGS
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = Clock(path.parent / SECONDS)
    found, foreground = lessons(size.learn, size, bodies, size.painting_pairs, folder)
    found = painted(found, foreground, size.learn)
    assert found.paintings is not None and found.provenance is not None
    save_npz(path, paintings=found.paintings.numpy(), provenance=found.provenance.numpy())
    clock()


def painted(found: PaintingLessons, foreground: np.ndarray, some: People) -> PaintingLessons:
    """Pairs of people with paintings that need no training; true bodies are each person's own."""
    right = found.pairs.right
    if isinstance(right, Fits):
        return found.painted(foreground)
    person = found.pairs.pairs[:, 0] // flow.VIEWS
    parts = []
    for number in range(some.count):
        body = sample_person(Body.default(), some.seed, number).body
        few = found.select(np.flatnonzero(person == number))
        few = replace(few, pairs=replace(few.pairs, body=body, right=as_fits(right)))
        parts.append(few.painted(foreground))
    paintings, provenance = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("paintings", "provenance")
    )
    return replace(found, paintings=paintings, provenance=provenance)


def lessons(
    some: People, size: Size, bodies: Bodies, of_each: int, folder: Path
) -> tuple[PaintingLessons, np.ndarray]:
    """Pairs of people, so many of each, and the (N, H, W) bool pixels that show them."""
    made = people.load(some, folder)
    pictures, foreground = people.pictures(some, folder)
    pairs = Lessons.of(
        Body.default(),
        made.truth if bodies == "truth" else people.fits(some, folder, bodies),
        made.noisy,
        some.pairs(of_each),
        (flow.SIDE, flow.SIDE),
        (size.side, size.side),
    )
    return PaintingLessons(pairs, pictures, PRESETS["small"].architecture.radius), foreground
