"""How far fits lie from their evidence, mostly from the terms that they have anyway."""

from __future__ import annotations

import functools

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import keypoint_weights, outside, point_weights


def residuals(
    body: Body, fits: Fits, observations: Observations, config: RegistrationConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Roots of the mean squares of the distances between fits and evidence.

    Args:
        body: The fitted body.
        fits: N fits by a registration with this configuration.
        observations: Their people, as they were fitted.
        config: Says what squares are weighted by, and how sums are divided.

    Returns:
        (N,) of dense points, whose squares are the robust ones of the loss, and (N,) of keypoints
        inside of the picture, float64 frame units. 0 without such evidence, or without such a term.
    """
    weight = point_weights(observations, config, np.float64)
    points = np.bincount(observations.point_person, weight, minlength=len(observations))
    keypoints = _summed(keypoint_weights(observations, config, np.float64))
    dense = _root(fits.terms.get("dense"), config.dense_weight * points)
    near = _root(fits.terms.get("keypoint"), config.keypoint_weight * keypoints)
    guessed = outside(observations)
    some = np.flatnonzero(guessed.any(axis=1))
    if len(some) and "keypoint" in fits.terms:  # their term has the guessed keypoints, too
        near[some] = _measured(body, fits.select(some), observations.select(some), guessed[some])
    return dense, near


def _measured(
    body: Body, fits: Fits, observations: Observations, guessed: np.ndarray
) -> np.ndarray:
    """(N,) of keypoints that are not guessed."""
    seen = fits.seen(fits.keypoints(body, observations.keypoint_name))[..., :2].astype(np.float64)
    x, y = np.moveaxis(seen - observations.keypoints_in_frame(), -1, 0)
    weight = np.where(guessed, 0, observations.keypoint_weight.astype(np.float64))
    return _root(_summed(weight * (x * x + y * y)), _summed(weight))


def _summed(values: np.ndarray) -> np.ndarray:
    """(N,) sums of rows (N, K), with the same bits for one person and for many."""
    return functools.reduce(np.add, values.T, np.zeros(len(values)))


def _root(value: np.ndarray | None, weight: np.ndarray) -> np.ndarray:
    if value is None:
        return np.zeros(len(weight))
    mean = value.astype(np.float64) / np.where(weight > 0, weight, 1)
    return np.sqrt(np.where(weight > 0, np.maximum(mean, 0), 0))
