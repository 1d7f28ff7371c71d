"""People of other bodies than the template: what a choice of templates by residual would gain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bodyreg import Body, register
from bodyreg.metrics.surface import pixel_error, vertex_error
from bodyreg.metrics.table import CUT, OCCLUDED

if TYPE_CHECKING:
    from benchmarks.hard.study import Study

TEMPLATES: dict[str, dict[str, float]] = {
    "adult: the built-in body": {},
    "infant": {"child": 1.3},
    "child": {"child": 1.0},
    "woman": {"sex": -1.0},
    "man": {"sex": 1.0},
    "elder": {"old": 1.0},
    "heavy": {"weight": 0.8, "belly": 0.3},
    "slim": {"weight": -0.8},
}
"""Name -> coefficients of the body's shape directions."""


def table(study: Study) -> str:
    """Errors with each template, and with the one of the lowest loss for each person."""
    truth = study.true(study.people.id)
    plain = (truth.cut <= CUT) & (truth.occluded <= OCCLUDED)
    groups = truth.child & plain, ~truth.child & plain
    metres = np.array([study.body.with_shape(shape).stature for shape in truth.shape])
    losses, errors, rows = [], [], []

    def row(name: str, error: np.ndarray) -> None:
        means = [error[:, people].mean(1) for people in groups]
        cells = [f"{px:.2f} | {mm:.1f} | {relative:.1f}" for px, mm, relative in means]
        ratio = means[0] / means[1]
        rows.append(f"| {name} | {' | '.join(cells)} | {ratio[0]:.2f} / {ratio[2]:.2f} |")
        print(rows[-1], flush=True)

    for name, coefficients in TEMPLATES.items():
        body = _shaped(study.body, coefficients)
        fits = register(body, replace(study.people, body=body.fingerprint))
        fits = fits.in_frames(truth.frame)
        vertices = fits.vertices(body)
        seen, true = fits.seen(vertices)[..., :2], truth.in_frame(truth.vertices)
        distance = 1000 * vertex_error(vertices, truth.vertices)
        pixels = pixel_error(seen, true, truth.visible, 256)
        losses.append(fits.loss)
        errors.append(np.stack([pixels, distance, distance / metres]))
        row(name, errors[-1])
    best = np.argmin(losses, axis=0)
    row("the one of the lowest loss", np.stack(errors)[best, :, np.arange(len(best))].T)
    count = np.bincount(best, minlength=len(TEMPLATES))
    names = [name.partition(":")[0] for name in TEMPLATES]
    chosen = ", ".join(f"{name} {n}" for name, n in zip(names, count, strict=True))
    units = "px | mm | mm per metre"
    ratio = "children over adults, px / per metre"
    head = f"| template | children, {units} | adults, {units} | {ratio} |"
    return "\n".join([head, "|---" * 8 + "|", *rows, "", f"Chosen by loss: {chosen}."])


def _shaped(body: Body, coefficients: dict[str, float]) -> Body:
    return body.with_shape([coefficients.get(name, 0.0) for name in body.shape_names])
