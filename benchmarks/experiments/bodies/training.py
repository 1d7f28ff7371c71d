"""Runs one row: a training, and the errors of what it has taught."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.bodies import measure
from benchmarks.experiments.bodies.people import album, true_fits, truths
from benchmarks.experiments.bodies.rows import ROWS, Row, Size
from benchmarks.experiments.clock import Clock, Tell
from bodyreg import Body, Observations
from bodyreg.files import atomic_path
from bodyreg.lifting import (
    AdversarialConfig,
    Lifter,
    train_adversarial,
    train_distilled,
)
from bodyreg.lifting.joints import poses_of
from bodyreg.npz import save_npz
from bodyreg.regression import Album, Regressor, deform_and_learn, train_regressor
from train.deform_and_learn import Options, Recipe, recipe_of

EVERY = 200
"""Steps between two states that are kept."""

PEOPLE, LIFTERS, RESULT, ERRORS = "people", "lifters", "result.json", "errors.npz"
"""Names in the folder of the experiments, and in that of a row."""


def recipe(row: Row, size: Size) -> Recipe:
    """The options of a row as `train.deform_and_learn` reads them."""
    options = Options(
        out=Path(),
        preset="small",
        labels="accurate" if row.labels == "truth" else row.labels,
        depths="given",
        set=row.options(size),
    )
    return recipe_of(options)


def teach_lifter(name: str, size: Size, folder: Path) -> Lifter:
    """A lifter that has learnt from the 2-D poses of all people; kept in the folder."""
    path = folder / LIFTERS / f"{name}.safetensors"
    if path.exists():
        return Lifter.load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = Clock(path.with_suffix(".seconds"))
    albums = [album(people, folder / PEOPLE) for people in size.learn.values()]
    people = Observations.concatenate([one.people.keypoints_alone() for one in albums])
    config, state = size.lifters[name], path.with_suffix(".state")
    if isinstance(config, AdversarialConfig):
        lifter = train_adversarial(poses_of(people), config, state=state)
    else:
        lifter = train_distilled(Body.default(), people, config, state=state)
    lifter.save(path, seconds=round(clock(), 1))
    state.unlink(missing_ok=True)
    return Lifter.load(path)


def lifted(some: Album, lifter: Lifter | None) -> Album:
    """An album with depths, or without any."""
    people = some.people.with_depths(None) if lifter is None else lifter.lift(some.people)
    return replace(some, people=people)


def run(name: str, size: Size, folder: Path, tell: Tell = print) -> dict[str, Any]:
    """Train a row and measure it; what is finished is not repeated.

    Args:
        name: In `ROWS`.
        size: How large.
        folder: Of the experiments.
        tell: Is told of progress.

    Returns:
        What result.json holds: the row's CPU-seconds and mean errors.
    """
    row, own, body = ROWS[name], folder / name, Body.default()
    if (own / RESULT).exists():
        return json.loads((own / RESULT).read_text())
    own.mkdir(parents=True, exist_ok=True)
    clock, config = Clock(own / "seconds.json"), recipe(row, size)
    lifter = None if row.lifter == "none" else teach_lifter(row.lifter, size, folder)
    sets = [size.learn[kind] for kind in row.sets]
    albums = [lifted(album(people, folder / PEOPLE), lifter) for people in sets]
    held = {
        kind: lifted(album(people, folder / PEOPLE), lifter) for kind, people in size.held.items()
    }
    start = Regressor.new(config.architecture, config.side, row.seed)
    if row.begin:
        run(row.begin, size, folder, tell)
        start = Regressor.load(folder / row.begin / "regressor.safetensors")

    def told(step: int, losses: dict[str, float]) -> None:
        text = ", ".join(f"{loss} {value:.4f}" for loss, value in losses.items())
        tell(f"{name}: step {step}: {text}; {clock():.0f} CPU-seconds")

    if row.labels == "truth":
        true = [true_fits(people, folder / PEOPLE) for people in sets]
        regressor = train_regressor(
            body,
            start,
            measure.lessons_of_truth(albums, true, body),
            config.learning,
            config.registration,
            seed=row.seed,
            state=own / "learn.state.safetensors",
            every=EVERY,
            report=told,
        )
    else:
        regressor = deform_and_learn(
            body,
            albums,
            start,
            config,
            folder=own,
            held_out=list(held.values()),
            seed=row.seed,
            every=EVERY,
            tell=told,
        )
    regressor.save(own / "regressor.safetensors")
    errors: dict[str, np.ndarray] = {}
    for kind, people in held.items():
        true_people = truths(size.held[kind], folder / PEOPLE)
        seen = regressor.predict(
            people.in_frames(regressor.side), people.people, config.registration
        )
        few = measure.select(people, np.arange(size.refits))
        after = {
            "network": seen,
            "refined": measure.refined(seen, people, config.registration, body),
            "refitted": measure.refitted(regressor, few, config.registration, body, size.refits),
        }
        for who, fits in after.items():
            found = measure.errors_of(fits, true_people, body)
            errors |= {f"{kind}.{who}.{metric}": values for metric, values in found.items()}
    save_npz(own / ERRORS, **errors)
    result = {
        "seconds": round(clock(), 1),
        "errors": {key: float(np.nanmean(values)) for key, values in errors.items()},
    }
    with atomic_path(own / RESULT) as temporary:
        temporary.write_text(json.dumps(result, indent=1))
    tell(f"{name}: " + ", ".join(f"{k} {v:.1f}" for k, v in result["errors"].items()))
    return result
