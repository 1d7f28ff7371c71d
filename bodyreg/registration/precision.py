"""People whose dense points are more precise than usual: in a second fit, these weigh more.

The weights of the objective suit the errors of detectors and annotators. Points of a scan, or of
made people, have smaller errors. The first fit shows which people have such points.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import point_weights


def precise(fits: Fits, observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """Positions of the people whose mean robust squared distance is below `precise_error`²."""
    if config.precise_error == 0 or "dense" not in (fits.terms or {}):
        return np.zeros(0, np.int64)
    weights = point_weights(observations, config, np.float64)
    total = np.bincount(observations.point_person, weights, minlength=len(observations))
    limit = config.precise_error**2 * config.dense_weight * total
    return np.flatnonzero(fits.terms["dense"] < limit)


def for_precise(config: RegistrationConfig) -> RegistrationConfig:
    """The configuration of their second fit, which is warm."""
    weight = config.dense_weight * config.precise_factor
    return replace(config, dense_weight=weight, warm_iterations=config.iterations)


def with_usual_weights(fits: Fits, config: RegistrationConfig) -> Fits:
    """Second fits, with the losses that the weights of `config` give."""
    dense = fits.terms["dense"] * np.float32(1 / config.precise_factor)
    terms = fits.terms | {"dense": dense}
    # One after the other: numpy's sum over an axis has other bits for one person than for many.
    return replace(fits, terms=terms, loss=functools.reduce(np.add, terms.values()))
