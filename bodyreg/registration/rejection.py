"""People fitted without parts of their evidence that may be another person's.

Detectors merge people: some dense points and the keypoints of a limb are those of a neighbour. A
limb stretches to foreign keypoints, and many foreign points pull a fit, although each pulls little.
So the keypoints alone tell which limb disagrees with the others, and the body of these others tells
which dense points are its own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import distant
from bodyreg.data.rejected import DISTANT, LIMBS, bits, limb_columns, without_limbs
from bodyreg.registration.config import PIXEL, RegistrationConfig
from bodyreg.registration.evidence import keypoint_weights, point_weights

CHARGED = 9 * PIXEL
"""Frame units: a rejected keypoint or point costs as much as one so far from the body."""
SUSPECT_LIMB = 0.5
"""Of `suspect_error`: root of the mean squared distance of a limb's keypoints, from which on a
person without dense points is suspect. Keypoints alone lie nearer to their fits."""
IMPOSSIBLE = 16 * PIXEL
"""Frame units: a limb costs nothing if it has a bone that is longer on the picture, by this, than
in the body of the other keypoints."""
LEFT = 6
"""Keypoints that are left at least if a limb is rejected."""
ROUNDS = 2
"""Fits to the dense points that lie near the fit before."""
BONES = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}
"""Words in the names of limbs -> the keypoints at the ends of their bones."""

Fit = Callable[[Observations, np.ndarray], Fits]
"""(people, their positions) -> their fits."""


class Tried(NamedTuple):
    """The best that rejections give N people.

    Attributes:
        fits: Their fits.
        observations: The people as the fits have read them.
        rejected: (N,) uint8, what they have not read.
        score: (N,) losses, with what the rejected evidence costs.
    """

    fits: Fits
    observations: Observations
    rejected: np.ndarray
    score: np.ndarray


def suspects(
    body: Body, fits: Fits, observations: Observations, config: RegistrationConfig, far: np.ndarray
) -> np.ndarray:
    """(N,) bool: people of whom parts may be another person's.

    Those who are `far` (N,) from their evidence, and those without dense points a limb of whom is.
    """
    present = observations.keypoint_weight > 0
    limbs = limb_columns(observations.keypoint_name)
    enough = present.sum(1) - (present[:, None] & limbs).sum(2).max(1) >= LEFT
    found = far & enough
    some = np.flatnonzero(enough & ~far & ~_has_points(observations))
    if np.isinf(config.suspect_error) or not len(some):
        return found
    people, present = fits.select(some), present[some]
    seen = people.seen(people.keypoints(body, observations.keypoint_name))[..., :2]
    x, y = np.moveaxis(seen - observations.select(some).keypoints_in_frame(), -1, 0)
    limit = (SUSPECT_LIMB * config.suspect_error) ** 2
    excess = np.where(present, x.astype(np.float64) ** 2 + y**2 - limit, 0)
    for columns in limbs:
        found[some] |= _summed(np.where(columns, excess, 0)) > 0
    return found


def tried(body: Body, observations: Observations, config: RegistrationConfig, fit: Fit) -> Tried:
    """Fit N people without the limb, and without the dense points, that disagree most.

    Args:
        body: The body.
        observations: Suspects.
        config: Of their fits.
        fit: Fits some of them from nothing.
    """
    found, limb, cost = _limbs(body, observations, config, fit)
    rejected = np.where(limb >= 0, 1 << np.maximum(limb, 0), 0).astype(np.uint8)
    people = read = without_limbs(observations, rejected)
    dense = np.flatnonzero(_has_points(people))
    for _ in range(ROUNDS if len(dense) else 0):
        far = distant(people, found, body) & (people.point_weight > 0)
        read = replace(people, point_weight=np.where(far, 0, people.point_weight))
        found = found.replaced(dense, fit(read.select(dense), dense))
    if len(dense):
        count = np.bincount(people.point_person[far], minlength=len(people))
        rejected[count > 0] |= bits([DISTANT])
        weight = np.where(far, point_weights(people, config, np.float64), 0)
        robust = CHARGED**2 / (1 + (CHARGED / config.dense_width) ** 2)
        lost = np.bincount(people.point_person, weight, minlength=len(people))
        cost += config.dense_weight * robust * lost
    return Tried(found, read, rejected, losses_of(found) + cost)


def _limbs(
    body: Body, observations: Observations, config: RegistrationConfig, fit: Fit
) -> tuple[Fits, np.ndarray, np.ndarray]:
    """Fits to keypoints alone without the limb that disagrees most, which limb, and its cost.

    The limb is -1 where none disagrees.
    """
    count = len(observations)
    alone = replace(observations, point_weight=np.zeros_like(observations.point_weight))
    price = config.keypoint_weight * CHARGED**2 * keypoint_weights(observations, config, np.float64)
    everybody = np.arange(count)
    best = fit(alone, everybody)
    limb, cost, score = np.full(count, -1), np.zeros(count), losses_of(best)
    for place, columns in enumerate(limb_columns(observations.keypoint_name)):
        some = np.flatnonzero((alone.keypoint_weight[:, columns] > 0).any(1))
        if not len(some):
            continue
        rejected = np.full(len(some), 1 << place, np.uint8)
        people = alone.select(some)
        found = fit(without_limbs(people, rejected), some)
        charge = _summed(np.where(columns, price[some], 0))
        charge[_impossible(body, found, people, list(LIMBS)[place])] = 0
        total = losses_of(found) + charge
        better = total < score[some]
        chosen = some[better]
        best = best.replaced(chosen, found.select(better))
        limb[chosen], cost[chosen], score[chosen] = place, charge[better], total[better]
    return best, limb, cost


def _impossible(body: Body, fits: Fits, observations: Observations, limb: str) -> np.ndarray:
    """(N,) bool: people with a bone of the limb that is much longer than in their fits."""
    side, kind = limb.split()
    place = {name.rpartition("/")[2]: i for i, name in enumerate(observations.keypoint_name)}
    columns = [place.get(f"{side}_{joint}") for joint in BONES[kind]]
    found = np.zeros(len(fits), bool)
    present, at = observations.keypoint_weight > 0, observations.keypoints_in_frame()
    joints = fits.keypoints(body, observations.keypoint_name)
    for one, other in itertools.pairwise(columns):
        if one is not None and other is not None:
            length = np.linalg.norm(joints[:, one] - joints[:, other], axis=1)
            shown = np.linalg.norm(at[:, one] - at[:, other], axis=1)
            found |= present[:, one] & present[:, other] & (shown > length + IMPOSSIBLE)
    return found


def _has_points(observations: Observations) -> np.ndarray:
    """(N,) bool: people with dense points that weigh."""
    weighing = observations.point_person[observations.point_weight > 0]
    return np.bincount(weighing, minlength=len(observations)) > 0


def _summed(values: np.ndarray) -> np.ndarray:
    """(N,) sums of rows (N, K), with the same bits for one person and for many."""
    return functools.reduce(np.add, values.T, np.zeros(len(values)))


def losses_of(fits: Fits) -> np.ndarray:
    """(N,) float64 losses of fits, which all have one."""
    assert fits.loss is not None
    return fits.loss.astype(np.float64)
