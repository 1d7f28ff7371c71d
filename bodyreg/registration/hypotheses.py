"""People whose evidence may have left and right exchanged: the residuals of fits decide.

A first fit that lies far from its evidence is suspect. The person is then fitted with groups of the
evidence exchanged, and a much lower loss says that the detector took one side for the other. Losses
can be compared, because the amount of evidence is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.sides import KEYPOINTS, POINTS, bits, with_exchanged
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.residuals import residuals

ACCEPTED = 0.9
"""Largest share of the first loss that an exchange has to leave. On 300 made people with the errors
of a detector, no exchange left less than 0.98; where sides were exchanged, the right one left 0.16
to 0.89 of 99 people in 100."""

LIMBS = {"arms": ("hands", "arms"), "legs": ("feet", "legs")}
"""Limbs -> the groups of their dense points."""

HYPOTHESES = (
    bits(POINTS, KEYPOINTS),
    bits(POINTS),
    bits((), KEYPOINTS),
    bits(("hands",)),
    bits(("feet",)),
    bits(("hands", "feet")),
    bits((*LIMBS["arms"], *LIMBS["legs"]), LIMBS),
    *(bits(groups, (limb,)) for limb, groups in LIMBS.items()),
    *(bits(groups) for groups in LIMBS.values()),
    *(bits((), (limb,)) for limb in LIMBS),
)
"""What may be exchanged, as sets of groups of evidence."""


def suspects(
    body: Body, fits: Fits, observations: Observations, config: RegistrationConfig
) -> np.ndarray:
    """Positions of the people whose points or keypoints are farther than `suspect_error`."""
    if np.isinf(config.suspect_error):
        return np.zeros(0, np.int64)
    far = [error > config.suspect_error for error in residuals(body, fits, observations, config)]
    return np.flatnonzero(far[0] | far[1])


def decide(
    body: Body, observations: Observations, first: Fits, fit: Callable[[Observations], Fits]
) -> tuple[Fits, np.ndarray, np.ndarray]:
    """Fit people with every exchange, and choose.

    Args:
        body: The body.
        observations: N people.
        first: Their fits as they are.
        fit: Fits these people.

    Returns:
        The chosen fits, (N,) what is exchanged in them, and (N,) the share of the first loss that
        the best exchange leaves; 0 where none leaves less.
    """
    loss, place = _losses(first), np.zeros(len(first), np.int64)
    tried, sets, rival = [first], [0], np.full(len(first), np.inf)
    # Without opposite vertices only keypoints are exchanged, and some exchanges are alike.
    possible = bits(POINTS if body.mirror_vertices is not None else (), KEYPOINTS)
    for exchange in dict.fromkeys(some & possible for some in HYPOTHESES if some & possible):
        exchanged = np.full(len(first), exchange, np.uint8)
        found = fit(with_exchanged(observations, exchanged, body))
        better = _losses(found) < rival
        rival = np.where(better, _losses(found), rival)
        place = np.where(better, len(tried), place)
        tried.append(found)
        sets.append(exchange)
    changed = rival < ACCEPTED * loss
    place = np.where(changed, place, 0)
    chosen = Fits.concatenate(tried).select(place * len(first) + np.arange(len(first)))
    share = np.where(rival < loss, rival / np.maximum(loss, 1e-30), 0)
    return chosen, np.array(sets, np.uint8)[place], share


def _losses(fits: Fits) -> np.ndarray:
    assert fits.loss is not None
    return fits.loss.astype(np.float64)
