"""What may be wrong with a person's evidence: hypotheses, which residuals of fits decide.

A first fit that lies far from its evidence is suspect. The person is then fitted under hypotheses,
and one that leaves much less loss than the first fit is accepted:

- a detector took left for right: groups of the evidence are exchanged, here;
- a detector took another person for this one: parts of it are rejected, in `rejection`.

Losses can be compared, because exchanges leave the amount of evidence the same, and what is
rejected costs something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.sides import KEYPOINTS, POINTS, bits, with_exchanged
from bodyreg.registration import rejection
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.residuals import residuals

ACCEPTED = 0.9
"""Largest share of the first loss that a hypothesis has to leave. On 300 made people with the
errors of a detector, no exchange left less than 0.98; where sides were exchanged, the right one
left 0.16 to 0.89 of 99 people in 100."""
ACCEPTED_REJECTION = 0.7
"""The same for evidence that is left out. Where two people were merged, dense points included, the
best rejection left less than 0.6; of clean people most that leave more make the fit worse. From
here to `ACCEPTED` the fit stays, but is doubtful."""

LIMBS = {"arms": ("hands", "arms"), "legs": ("feet", "legs")}
"""Pairs of limbs -> the groups of their dense points."""

EXCHANGES = (
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


class Verdict(NamedTuple):
    """What was accepted for N people.

    Attributes:
        fits: Their fits.
        observations: The people as the fits have read them.
        exchanged: (N,) uint8, as `Fits.exchanged`.
        rejected: (N,) uint8, as `Fits.rejected`.
        sides: (N,) doubt whether left and right are exchanged, over its limit.
        foreign: (N,) doubt whether parts of the evidence are another person's, over its limit.
    """

    fits: Fits
    observations: Observations
    exchanged: np.ndarray
    rejected: np.ndarray
    sides: np.ndarray
    foreign: np.ndarray


def judge(
    body: Body,
    observations: Observations,
    first: Fits,
    config: RegistrationConfig,
    fit: Callable[[Observations, np.ndarray], Fits],
) -> Verdict:
    """Find suspects among fitted people, fit them under each hypothesis, and choose.

    Args:
        body: The body.
        observations: N people.
        first: Their fits as they are.
        config: Of these fits.
        fit: Fits some of the people from nothing, as they are given, at these positions.
    """
    exchanged, rejected = (np.zeros(len(first), np.uint8) for _ in range(2))
    sides, foreign, fits = np.zeros(len(first)), np.zeros(len(first)), first
    suspects = np.flatnonzero(_far(body, fits, observations, config))
    if len(suspects):
        found, exchanged[suspects], share = _exchanges(
            body,
            observations.select(suspects),
            fits.select(suspects),
            lambda people: fit(people, suspects),
        )
        fits, sides[suspects] = fits.replaced(suspects, found), share / ACCEPTED
        observations = with_exchanged(observations, exchanged, body)
    far = _far(body, fits, observations, config)
    suspects = np.flatnonzero(rejection.suspects(body, fits, observations, config, far))
    if len(suspects):
        tried = rejection.tried(
            body,
            observations.select(suspects),
            config,
            lambda people, rows: fit(people, suspects[rows]),
        )
        share = tried.score / np.maximum(rejection.losses_of(fits)[suspects], 1e-30)
        foreign[suspects] = np.where(tried.rejected > 0, ACCEPTED / np.maximum(share, 0.1), 0)
        better = np.flatnonzero((share < ACCEPTED_REJECTION) & (tried.rejected > 0))
        fits = fits.replaced(suspects[better], tried.fits.select(better))
        rejected[suspects[better]] = tried.rejected[better]
        observations = _as_read(observations, suspects[better], tried.observations.select(better))
    return Verdict(fits, observations, exchanged, rejected, sides, foreign)


def doubts_of(fits: Fits) -> tuple[np.ndarray | float, np.ndarray | float]:
    """The doubts of earlier fits that hypotheses alone tell, `sides` and `foreign`; 0 without."""
    return fits.doubts.get("sides", 0.0), fits.doubts.get("foreign", 0.0)


def _far(
    body: Body, fits: Fits, observations: Observations, config: RegistrationConfig
) -> np.ndarray:
    """(N,) bool: people whose points or keypoints are farther than `suspect_error`."""
    if np.isinf(config.suspect_error):
        return np.zeros(len(fits), bool)
    far = [error > config.suspect_error for error in residuals(body, fits, observations, config)]
    return far[0] | far[1]


def _exchanges(
    body: Body, observations: Observations, first: Fits, fit: Callable[[Observations], Fits]
) -> tuple[Fits, np.ndarray, np.ndarray]:
    """Fit people with every exchange, and choose.

    Returns:
        The chosen fits, (N,) what is exchanged in them, and (N,) the share of the first loss that
        the best exchange leaves; 0 where none leaves less.
    """
    loss, place = rejection.losses_of(first), np.zeros(len(first), np.int64)
    tried, sets, rival = [first], [0], np.full(len(first), np.inf)
    # Without opposite vertices only keypoints are exchanged, and some exchanges are alike.
    possible = bits(POINTS if body.mirror_vertices is not None else (), KEYPOINTS)
    for exchange in dict.fromkeys(some & possible for some in EXCHANGES if some & possible):
        exchanged = np.full(len(first), exchange, np.uint8)
        found = fit(with_exchanged(observations, exchanged, body))
        better = rejection.losses_of(found) < rival
        rival = np.where(better, rejection.losses_of(found), rival)
        place = np.where(better, len(tried), place)
        tried.append(found)
        sets.append(exchange)
    changed = rival < ACCEPTED * loss
    place = np.where(changed, place, 0)
    chosen = Fits.concatenate(tried).select(place * len(first) + np.arange(len(first)))
    share = np.where(rival < loss, rival / np.maximum(loss, 1e-30), 0)
    return chosen, np.array(sets, np.uint8)[place], share


def _as_read(
    observations: Observations, positions: np.ndarray, others: Observations
) -> Observations:
    """The people, with the weights of the others at the positions."""
    point, keypoint = observations.point_weight.copy(), observations.keypoint_weight.copy()
    keypoint[positions] = others.keypoint_weight
    for row, person in enumerate(positions.tolist()):
        point[observations.points_of(person)] = others.point_weight[others.points_of(row)]
    return replace(observations, point_weight=point, keypoint_weight=keypoint)
