"""What is known without a network: mean bodies, lifting alone, and fits to the annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.bodies import measure
from benchmarks.experiments.bodies.people import album, truths
from benchmarks.experiments.bodies.rows import ROUNDS, Size
from benchmarks.experiments.bodies.training import PEOPLE, lifted, teach_lifter
from benchmarks.experiments.clock import Clock
from benchmarks.lifting import Study
from bodyreg import Body, Observations, RegistrationConfig, register
from bodyreg.data import Truth
from bodyreg.files import atomic_path
from bodyreg.lifting import Lifter
from bodyreg.metrics import joint_errors
from bodyreg.regression import Album
from bodyreg.regression.outputs import as_fits, mean_parameters, parameters_of

FLOOR = "floor.json"

PRESETS = ("paper", "accurate")


def run(size: Size, folder: Path) -> dict[str, Any]:
    """Measure what needs no network; what is there is not repeated.

    Returns:
        `lifters`: CPU-seconds by name. `labels`: errors of fits to the people to learn from, by
        preset, lifter and kind. `long`: as of `long_registration`, by kind. `errors`: mean errors
        by row and kind.
    """
    path, body = folder / FLOOR, Body.default()
    if path.exists():
        return json.loads(path.read_text())
    clock = Clock(folder / "floor.seconds")
    lifters: dict[str, Lifter | None] = {"none": None}
    lifters |= {name: teach_lifter(name, size, folder) for name in size.lifters}
    learn = {kind: album(people, folder / PEOPLE) for kind, people in size.learn.items()}
    held = {kind: album(people, folder / PEOPLE) for kind, people in size.held.items()}
    true = {kind: truths(people, folder / PEOPLE) for kind, people in size.held.items()}
    accurate = RegistrationConfig.preset("accurate")
    labels: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for preset in PRESETS:
        config = RegistrationConfig.preset(preset)
        for name, lifter in lifters.items():
            for kind, some in learn.items():
                fits = register(body, lifted(some, lifter).people, config)
                labels[f"{preset}, {name}, {kind}"] = means(joint_errors(fits, some.joints, body))
                if (preset, name) == ("paper", "robust"):
                    mean = measure.mean_body(fits, held[kind], body, accurate)
                    row = errors.setdefault("mean of the labels", {})
                    row[kind] = means(measure.errors_of(mean, true[kind], body))
            row = errors.setdefault(f"{preset}, {name}", {})
            for kind, some in held.items():
                fits = register(body, lifted(some, lifter).people, config)
                row[kind] = means(measure.errors_of(fits, true[kind], body))
    for kind, some in held.items():
        flat = mean_parameters().expand(len(some), -1).contiguous()
        start = as_fits(parameters_of(flat), some.people, accurate)
        errors.setdefault("T-pose", {})[kind] = means(measure.errors_of(start, true[kind], body))
        for name, lifter in lifters.items():
            row = errors.setdefault(f"lifting, {name}", {})
            row[kind] = lifting_alone(some.people, true[kind], lifter)
    result = {
        "lifters": {name: lifters[name].facts["seconds"] for name in size.lifters},
        "labels": labels,
        "long": {
            kind: long_registration(lifted(some, lifters["robust"]), body)
            for kind, some in learn.items()
        },
        "errors": errors,
        "seconds": round(clock(), 1),
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1))
    return result


def long_registration(some: Album, body: Body) -> list[float]:
    """MPJPE of labels that begin at those of the round before, not at what a network sees."""
    config = RegistrationConfig.preset("paper")
    fits, found = None, []
    for _ in range(ROUNDS):
        fits = register(body, some.people, config, initial=fits)
        found.append(means(joint_errors(fits, some.joints, body))["bone_mpjpe"])
    return found


def lifting_alone(
    people: Observations, true: list[Truth], lifter: Lifter | None
) -> dict[str, float]:
    """Errors of the keypoints of people who show all, with the depths of a lifter."""
    found, first = [], 0
    for part in true:
        study = Study("", people.select(slice(first, first + len(part))), part)
        first += len(part)
        if count := int(study.whole.sum()):
            found.append((count, *study.of_lifter(lifter)))
    counts, *errors = np.array(found).T.reshape(3, -1)
    names = ("bone_mpjpe", "pa_mpjpe")
    return {
        name: float((counts * e).sum() / counts.sum())
        for name, e in zip(names, errors, strict=True)
    }


def means(errors: measure.Errors) -> dict[str, float]:
    """Means over people."""
    return {name: float(np.nanmean(values)) for name, values in errors.items()}
