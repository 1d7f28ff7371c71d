"""Where a fit begins: the T-pose at yaws around the circle, or an earlier fit."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import AXIS_ANGLE, Body, Parameters
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data.fits import Fits
from bodyreg.registration.config import RegistrationConfig

WARM_LENGTH = 2.0
"""Length of the raw rotation's columns in a warm start, about the length after a cold fit. The
determinant term falls with their length, which has no other effect; from length 1, the few
iterations of a warm fit would be spent on it."""


def cold_starts(
    people: int, config: RegistrationConfig, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """T-poses in the middle of the frame, at `config.starts` yaws evenly around the circle.

    Returns:
        (people, starts, 108) parameters; the first start faces the viewer.
    """
    one = _cold_start(config.starts, config.camera_scale, dtype)
    return torch.from_numpy(one.repeat(people, axis=0)).to(device)


@lru_cache(maxsize=8)
def _cold_start(starts: int, camera_scale: float, dtype: torch.dtype) -> np.ndarray:
    """(1, starts, 108) parameters of one person's cold starts; kept for the next call."""
    yaws = [2 * math.pi * k / starts for k in range(starts)]
    turns = [(math.cos(yaw), math.sin(yaw)) for yaw in yaws]
    zeros = np.zeros((starts, AXIS_ANGLE.count))
    start = AXIS_ANGLE.split(torch.from_numpy(zeros))
    flat = AXIS_ANGLE.join(
        start._replace(
            segment_scale=torch.ones_like(start.segment_scale),
            rotation=start.rotation.new_tensor(
                [[[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]] for cos, sin in turns]
            ),
            scale=torch.full_like(start.scale, camera_scale),
        )
    )
    return flat.to(dtype)[None].numpy()


def warm_starts(fits: Fits, body: Body, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Parameters of earlier fits, (N,1,108). A turned root joint becomes part of the rotation."""
    pose = fits.pose.astype(np.float64)
    root = rotation_matrices(torch.from_numpy(pose[:, 0])).numpy()
    rotation = fits.rotation @ root
    # The root joint turns about the pelvis, the camera about the model's origin.
    pelvis = body.joints[0].astype(np.float64)
    shift = (fits.rotation @ pelvis - rotation @ pelvis)[:, :2] * fits.scale[:, None]
    length = np.where(fits.mirrored, 1, WARM_LENGTH)  # a reflection has to turn round, not to grow
    pose[:, 0] = 0
    start = replace(
        fits,
        pose=pose,
        rotation=length[:, None, None] * rotation,
        translation=fits.translation + shift,
    )
    return AXIS_ANGLE.join(Parameters.of(start))[:, None].to(device, dtype)
