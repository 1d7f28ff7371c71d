"""The cameras of pictures of unknown focal length: assumed, and found by the fit.

A limb of a person near the camera is larger in the picture if it is nearer. So fits with a wrong
focal length have higher losses, and the loss chooses among some focal lengths.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.data.frames import principal_points
from bodyreg.data.observations import Observations
from bodyreg.data.people_file import LARGEST
from bodyreg.registration.config import RegistrationConfig

TRIED = (math.inf, 1.0, 0.5)
"""Focal lengths that are tried, over the assumed one."""


def focal_lengths(observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """(N,) float32 focal lengths in pixels, known or assumed; NaN = none, so rays are parallel.

    They are parallel for focal lengths that fits cannot hold, too.
    """
    focal = observations.focal
    if config.camera == "weak" or focal is None:
        focal = np.full(len(observations), np.nan, np.float32)
    if config.camera == "perspective":
        focal = np.where(np.isnan(focal), _assumed(observations, config), focal)
    with np.errstate(over="ignore"):  # a larger one is infinity
        focal = np.asarray(focal, np.float32)
    return np.where(focal < LARGEST, focal, np.float32(np.nan))


def camera_arrays(observations: Observations, config: RegistrationConfig) -> dict[str, Any]:
    """The arrays of fits about their cameras.

    Whether there are arrays depends on the configuration alone, so that shards of a run agree.
    """
    if config.camera == "weak":
        return {}
    focal = focal_lengths(observations, config)
    point = principal_points(
        observations.principal_point, observations.picture_size, observations.frame
    )
    point = np.where(np.isnan(focal)[:, None], np.nan, point)
    return {"focal": focal, "principal_point": point.astype(np.float32)}


def unknown(observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """Positions of the people whose focal length is assumed, and is to be found."""
    if not config.find_focal:
        return np.zeros(0, np.int64)
    assumed = np.isfinite(_assumed(observations, config))
    if observations.focal is not None:
        assumed &= np.isnan(observations.focal)
    return np.flatnonzero(assumed)


def tried(observations: Observations, config: RegistrationConfig) -> list[Observations]:
    """The same people of unknown focal length, with every focal length that is tried."""
    assumed = _assumed(observations, config)
    return [replace(observations, focal=share * assumed) for share in TRIED]


def best(fits: list[Fits]) -> Fits:
    """Of fits of the same people, those of the lowest loss; of equals the first."""
    losses = [one.loss for one in fits if one.loss is not None]
    chosen = np.argmin(losses, axis=0)
    return Fits.concatenate(fits).select(chosen * len(chosen) + np.arange(len(chosen)))


def as_fitted(observations: Observations, fits: Fits) -> Observations:
    """The same people; where the focal length is unknown, it is that of their fits."""
    if fits.focal is None:
        return observations
    found = np.where(np.isnan(fits.focal), np.inf, fits.focal)
    if observations.focal is not None:
        found = np.where(np.isnan(observations.focal), found, observations.focal)
    return replace(observations, focal=found)


def _assumed(observations: Observations, config: RegistrationConfig) -> np.ndarray:
    """(N,) focal lengths that the sizes of the pictures suggest; NaN without a size."""
    size = observations.picture_size
    if config.camera == "weak" or size is None:
        return np.full(len(observations), np.nan)
    diagonal = np.where((size > 0).all(axis=1), np.hypot(*size.T.astype(np.float64)), np.nan)
    return config.assumed_focal * diagonal
