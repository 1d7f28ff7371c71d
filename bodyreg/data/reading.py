"""Evidence as fits have read it: with exchanged sides, and without what disagrees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.rejected import DISTANT, bits, without_limbs
from bodyreg.data.sides import with_exchanged

if TYPE_CHECKING:
    from bodyreg.body import Body

FAR = 25 / 128
"""Frame units. Points of the fitted person lie nearer, with the errors of a detector."""


def distant(observations: Observations, fits: Fits, body: Body) -> np.ndarray:
    """(P,) bool: dense points farther from their person's fit than `FAR`."""
    placed = np.zeros((len(observations.point_xy), 2), np.float32)
    for person in range(len(fits)):
        own = observations.points_of(person)
        seen = fits.select(slice(person, person + 1))
        corners = seen.seen(seen.vertices(body))[0, observations.point_vertex[own], :2]
        placed[own] = (corners * observations.point_barycentric[own][..., None]).sum(1)
    apart = placed - observations.points_in_frame()
    return np.hypot(apart[:, 0], apart[:, 1]) > FAR


def as_read(observations: Observations, fits: Fits, body: Body) -> Observations:
    """The evidence as these fits have read it: with exchanged sides, and without rejected parts.

    Args:
        observations: N people.
        fits: Their fits, in the same order.
        body: The fitted body.
    """
    observations = with_exchanged(observations, fits.exchanged, body)
    if fits.rejected is None or not fits.rejected.any():
        return observations
    observations = without_limbs(observations, fits.rejected)
    some = np.flatnonzero(fits.rejected & bits([DISTANT]))
    weight = observations.point_weight.copy()
    for person in some.tolist():
        one = slice(person, person + 1)
        far = distant(observations.select(one), fits.select(one), body)
        weight[observations.points_of(person)][far] = 0  # of a slice, so of the array
    return replace(observations, point_weight=weight)
