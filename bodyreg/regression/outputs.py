"""A network's 132 or 180 numbers, and the parameters that they are.

The pose is 24 quaternions w, x, y, z of length 1, with w >= 0, because q and -q are the same
rotation. The root's is the identity: the rotation of the whole body makes it redundant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import (
    QUATERNION,
    SIX_NUMBERS,
    Body,
    Parameters,
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
)
from bodyreg.body.parameters import Layout
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration import RegistrationConfig
from bodyreg.registration.cameras import camera_arrays
from bodyreg.registration.starts import without_root

MEAN_SCALE = 0.9
"""Camera scale of the mean parameters, frame units per metre."""

SHORTEST = 1e-3
"""Length of four numbers under which they are no quaternion, but the identity without gradient."""

SMALLEST = 0.1
"""Scales stay as they are from here on; below, they fall toward zero and do not reach it."""


def mean_parameters(layout: Layout = QUATERNION) -> Tensor:
    """(132,) the T-pose in the middle of the frame, facing the viewer; (180,) of `SIX_NUMBERS`."""
    zero = layout.split(torch.zeros(layout.count))
    still = torch.tensor([1.0, 0, 0, 0] if layout is QUATERNION else [1.0, 0, 0, 0, 1, 0])
    return layout.join(
        Parameters(
            pose=zero.pose + still,
            segment_scale=torch.ones_like(zero.segment_scale),
            rotation=torch.eye(3),
            translation=zero.translation,
            scale=torch.full_like(zero.scale, MEAN_SCALE),
        )
    )


def parameters_of(
    flat: Tensor,
    *,
    six_numbers: bool = False,
    orthonormal: Callable[[Tensor, bool], Tensor] = ops.gram_schmidt,
) -> Parameters:
    """A network's numbers as parameters that are valid whatever the numbers are.

    Args:
        flat: (N, 132), in the order of `body.QUATERNION`, or (N, 180), in that of
            `body.SIX_NUMBERS`.
        six_numbers: As of `ops.gram_schmidt`: the rotation is no reflection.
        orthonormal: `ops.gram_schmidt`, or its reference.

    Returns:
        Quaternions of length 1 with w >= 0, the root's the identity; scales above 0; the rotation
        orthonormal, unless its columns are not independent. Gradients are finite everywhere.
    """
    of_six = flat.shape[-1] == SIX_NUMBERS.count
    raw = (SIX_NUMBERS if of_six else QUATERNION).split(flat)
    pose = raw.pose
    if of_six:
        first, second = pose.flatten(0, 1).split(3, -1)
        columns = torch.stack((first, second, torch.zeros_like(first)), -1)
        pose = matrix_to_quaternion(orthonormal(columns, True)).view(*pose.shape[:-1], 4)
    return Parameters(
        pose=_rootless(unit_quaternions(pose)),
        segment_scale=positive(raw.segment_scale),
        rotation=orthonormal(raw.rotation, six_numbers),
        translation=raw.translation,
        scale=positive(raw.scale),
    )


def unit_quaternions(numbers: Tensor) -> Tensor:
    """(..., 4) quaternions of length 1 with w >= 0, from four numbers of any length."""
    length = numbers.square().sum(-1, keepdim=True)
    usable = length >= SHORTEST**2
    unit = numbers / length.where(usable, 1).sqrt()
    return torch.where(unit[..., :1] < 0, -unit, unit).where(usable, _identity(numbers))


def positive(x: Tensor) -> Tensor:
    """`x` from `SMALLEST` on, and below a hyperbola that goes on with the same slope."""
    below = SMALLEST**2 / (2 * SMALLEST - x.clamp(max=SMALLEST))
    return torch.where(x >= SMALLEST, x, below)


def labels_of(people: Fits, body: Body) -> Parameters:
    """Fits as the parameters that a network should give: of the kind of `parameters_of`, float32.

    A root that is turned becomes a part of the rotation of the whole body.
    """
    blocks = Parameters.of(without_root(people, body))
    blocks = Parameters(*(block.float() for block in blocks))
    return blocks._replace(pose=_rootless(unit_quaternions(axis_angle_to_quaternion(blocks.pose))))


def as_fits(
    parameters: Parameters, people: Observations, config: RegistrationConfig | None = None
) -> Fits:
    """Parameters of a network as `Fits`, which have no loss.

    Args:
        parameters: Of N people, in their frames.
        people: Their frames, and what is known of their cameras.
        config: Says what the cameras are, as in a registration; the preset `accurate` if left out.
    """
    with torch.no_grad():
        pose = quaternion_to_axis_angle(parameters.pose)
        blocks = Parameters(*(b.float().cpu() for b in parameters._replace(pose=pose)))
    cameras = camera_arrays(people, config or RegistrationConfig.preset("accurate"))
    arrays: dict[str, Any] = {**blocks.arrays(), **cameras}
    return Fits(id=people.id.copy(), frame=people.frame.copy(), **arrays)


def _identity(like: Tensor) -> Tensor:
    return like.new_tensor([1.0, 0.0, 0.0, 0.0])


def _rootless(pose: Tensor) -> Tensor:
    root = _identity(pose).expand_as(pose[..., :1, :])
    return torch.cat((root, pose[..., 1:, :]), -2)
