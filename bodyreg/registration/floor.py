"""The lowest value that the visibility term can have, so that no reported loss is below zero.

The term is a likelihood in nats and has no natural zero. Solvers minimise it as it is, because a
constant changes no fit; `register` subtracts the floor from what it reports.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bodyreg.body import Body
from bodyreg.data.observations import Observations
from bodyreg.registration.evidence import surface_samples


def visibility_floor(
    body: Body, observations: Observations, weights: np.ndarray, sharpness: float
) -> np.ndarray:
    """A lower bound of `losses.visibility` over all parameters.

    It would be reached by points that face the viewer, on segments whose surface is turned away.

    Args:
        body: The body that is fitted.
        observations: B people with P points.
        weights: (P,) of the points, as in `Evidence`.
        sharpness: Per unit of a normal's z.

    Returns:
        (B,) nats, at most 0.
    """
    # A mix of vertices belongs to the joint that moves it most.
    mixed = np.einsum(
        "pij,pi->pj",
        body.dense_weights[observations.point_vertex],
        observations.point_barycentric,
    )
    floors = _segment_floors(body, sharpness)[mixed.argmax(1)]
    people = len(observations)
    owner = np.repeat(np.arange(people), observations.point_count)
    return np.bincount(owner, floors * weights, people)


@lru_cache(maxsize=8)
def _segment_floors(body: Body, sharpness: float) -> np.ndarray:
    """(24,) lower bounds of log(mean of f over the segment) - log f(a point), f = softplus.

    A normal's z is at most 1. f is convex, so its mean is at least f of the mean normal (Jensen's
    inequality), whose z is at least minus its length.
    """
    normals, area = (np.asarray(x, np.float64) for x in surface_samples(body))
    length = np.linalg.norm((normals * area[..., None]).sum(1), axis=1)
    return np.log(_softplus(-sharpness * length)) - np.log(_softplus(sharpness))


def _softplus(x: np.ndarray | float) -> np.ndarray:
    return np.logaddexp(0, x)
