"""People whose bodies differ from the template: shape coefficients, fitted with a prior.

Segment scales make limbs longer, but not a child of an adult, or a man of the mean of women and
men. A fit with the template shows roughly where the body is; from there the coefficients of the
shape directions are fitted together with all other parameters (`shape_system`). Then the person is
fitted once more, by all terms, with the body in this shape. The prior of the coefficients is a
normal distribution about the template, so that noise makes no children of adults.

Dense points show shapes. Keypoints alone do not: with them errors of surfaces grow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration.config import RegistrationConfig

LEAST_POINTS = 20
"""People with fewer dense points keep the shape of the template. With 20 points each, fitted shapes
made the errors of 63 made people on the picture 2 % (adults) and 4 % (children) smaller."""
DIGITS = 4
"""Decimals of a coefficient; the bits of solvers of linear equations depend on threads."""

Fit = Callable[..., Fits]
"""(people, their fits, body=, config=, positions=) -> fits of this body, begun from these."""


def check(body: Body, initial: Fits | None, config: RegistrationConfig) -> None:
    """Refuse shapes that cannot be fitted, or cannot be kept.

    Raises:
        UserError: shapes are wanted of a body without shape directions, or not wanted, while the
            initial fits have some.
    """
    if config.fit_shape and body.shape_directions is None:
        raise UserError(
            f"body '{body.name}' has no shape directions, so fit_shape (--fit-shape) has nothing "
            "to fit; omit it, or take a body that has them, as the built-in one"
        )
    if not config.fit_shape and initial is not None and initial.shape is not None:
        raise UserError(
            "the given fits have shapes of their own; to go on from them, give fit_shape "
            "(--fit-shape)"
        )


def fit(
    body: Body,
    observations: Observations,
    fits: Fits,
    config: RegistrationConfig,
    once_more: Fit,
    *,
    positions: np.ndarray | None = None,
    progress: bool = False,
) -> Fits:
    """Fit shapes.

    Args:
        body: The template.
        observations: N people, sides exchanged as in their fits.
        fits: Their fits by this configuration, with shapes or without.
        config: Of the registration.
        once_more: Fits people once more.
        positions: (N,) of the people, for an extra loss; from 0 if left out.
        progress: Show a progress bar.

    Returns:
        N fits with shapes. A person whose loss would not be lower keeps fit and shape.
    """
    from tqdm import tqdm

    if fits.shape is None:
        fits = in_shapes(fits, np.zeros((len(fits), len(body.shape_names))), config)
    if positions is None:
        positions = np.arange(len(fits))
    found = []
    for i in tqdm(range(len(fits)), unit="shape", disable=not progress):
        one = slice(i, i + 1)
        own = functools.partial(once_more, config=config, positions=positions[one])
        found.append(_fitted(body, observations.select(one), fits.select(one), config, own))
    return Fits.concatenate(found or [fits])


def refit(
    body: Body,
    observations: Observations,
    fits: Fits,
    config: RegistrationConfig,
    once_more: Fit,
    *,
    positions: np.ndarray | None = None,
    progress: bool = False,
) -> Fits:
    """Fit people once more, in the shapes that they have. Arguments as of `fit`."""
    if fits.shape is None:
        return once_more(observations, fits, config=config, positions=positions, progress=progress)
    if positions is None:
        positions = np.arange(len(fits))
    found, start = [], 0
    for some, own in fits.by_body(body):
        people = np.arange(start, start + len(some))
        again = once_more(
            observations.select(people), some, body=own, config=config, positions=positions[people]
        )
        found.append(in_shapes(again, fits.shape[people], config))
        start += len(some)
    return Fits.concatenate(found)


def in_shapes(fits: Fits, shape: np.ndarray, config: RegistrationConfig) -> Fits:
    """Fits of bodies in these shapes (N, S), with the shapes and the term of their prior."""
    shape = shape.astype(np.float32)
    squares = [row @ row for row in shape.astype(np.float64)]
    cost = np.array(squares, np.float32) * np.float32(config.shape_weight)
    assert fits.loss is not None
    return replace(fits, shape=shape, loss=fits.loss + cost, terms=fits.terms | {"shape": cost})


def _fitted(
    body: Body, observations: Observations, fits: Fits, config: RegistrationConfig, once_more: Fit
) -> Fits:
    """The fit of one person in the best shape, or the person's fit as it is."""
    assert fits.shape is not None and fits.loss is not None
    if (observations.point_weight > 0).sum() < LEAST_POINTS:
        return fits
    from bodyreg.registration.shape_system import ShapeSystem, Unknowns, minimum

    system = ShapeSystem(body, observations, fits, config)
    best = minimum(system, Unknowns.of(fits, fits.shape[0]))
    shape = np.round(best.shape, DIGITS).astype(np.float32)
    start = {name: np.float32(getattr(best, name))[None] for name in Unknowns._fields[:-1]}
    found = once_more(observations, replace(fits, **start, shape=None), body=body.with_shape(shape))
    found = in_shapes(found, shape[None], config)
    assert found.loss is not None
    return found if found.loss[0] < fits.loss[0] else fits
