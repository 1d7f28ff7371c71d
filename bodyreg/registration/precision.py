"""People whose dense points are more precise than usual: a second fit lets them weigh more.

The weights of the objective suit the errors of detectors and annotators. Points of a scan, or of
made people, have smaller errors. The first fit shows which people have such points.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import point_weights

MOST = 6.0
"""Largest factor of a person's weights."""

OF_POINTS = ("dense", "facing", "visibility")
"""Terms in proportion to the weights of points."""


def factors(fits: Fits, observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """(N,) by how much more the dense points of each person should weigh; 1 for most people.

    It is (`precise_error` / the root of the mean robust squared distance)², in [1, `MOST`].
    """
    count = len(observations)
    if not config.precise_error or "dense" not in (fits.terms or {}):
        return np.ones(count)
    weights = point_weights(observations, config, np.float64)
    total = np.bincount(observations.point_person, weights, minlength=count)
    square = np.full(count, np.inf)
    np.divide(fits.terms["dense"], config.dense_weight * total, out=square, where=total > 0)
    least = config.precise_error**2 / MOST
    return np.maximum(config.precise_error**2 / np.maximum(square, least), 1)


def weighed(observations: Observations, factor: np.ndarray) -> Observations:
    """The same people, whose points weigh more by these factors (N,)."""
    weight = observations.point_weight * factor[observations.point_person]
    return replace(observations, point_weight=weight.astype(np.float32))


def with_usual_weights(fits: Fits, factor: np.ndarray) -> Fits:
    """Fits to `weighed` people, with the losses and terms that the usual weights give."""
    terms = {
        name: value / factor.astype(np.float32) if name in OF_POINTS else value
        for name, value in fits.terms.items()
    }
    return replace(fits, terms=terms, loss=np.sum(list(terms.values()), axis=0))
