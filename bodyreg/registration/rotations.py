"""Axis-angle vectors to rotation matrices, with a gradient that is exact at zero."""

from __future__ import annotations

import torch
from torch import Tensor

SERIES_BELOW = 0.04
"""Squared angle under which the coefficients come from their series: the closed forms cancel there."""


class _Rodrigues(torch.autograd.Function):
    """The analytic backward takes a third of the operations that autograd would record."""

    @staticmethod
    def forward(ctx, vectors: Tensor) -> Tensor:
        square = vectors.square().sum(-1)
        small = square < SERIES_BELOW
        angle = square.clamp_min(SERIES_BELOW).sqrt()
        cos = torch.where(
            small,
            1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56))),
            angle.cos(),
        )
        sinc = torch.where(
            small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), angle.sin() / angle
        )
        half = torch.where(
            small,
            0.5 - square / 24 * (1 - square / 30 * (1 - square / 56)),
            2 * (0.5 * angle).sin().square() / square.clamp_min(SERIES_BELOW),
        )
        ctx.save_for_backward(vectors, square, cos, sinc, half)
        x, y, z = (sinc[..., None] * vectors).unbind(-1)
        outer = (half[..., None] * vectors)[..., :, None] * vectors[..., None, :]
        cross = torch.stack((cos, -z, y, z, cos, -x, -y, x, cos), -1)
        return outer + cross.unflatten(-1, (3, 3))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        vectors, square, cos, sinc, half = ctx.saved_tensors
        small = square < SERIES_BELOW
        safe = square.clamp_min(SERIES_BELOW)
        # Derivatives of sinc and half by the angle, over the angle.
        sinc_slope = torch.where(
            small, -1 / 3 + square / 30 * (1 - square / 28 * (1 - square / 54)), (cos - sinc) / safe
        )
        half_slope = torch.where(
            small,
            -1 / 12 + square / 180 * (1 - square * 3 / 112 * (1 - square / 67.5)),
            (sinc - 2 * half) / safe,
        )
        transposed = grad.transpose(-1, -2)
        symmetric = ((grad + transposed) * vectors[..., None, :]).sum(-1)
        odd = (grad - transposed).flatten(-2)
        axial = torch.stack((odd[..., 7], odd[..., 2], odd[..., 3]), -1)
        trace = grad.flatten(-2)[..., ::4].sum(-1)
        radial = (
            sinc_slope * (axial * vectors).sum(-1)
            + 0.5 * half_slope * (symmetric * vectors).sum(-1)
            - sinc * trace
        )
        return sinc[..., None] * axial + half[..., None] * symmetric + radial[..., None] * vectors


def rotation_matrices(vectors: Tensor) -> Tensor:
    """Rodrigues' formula: R = cos θ I + sin θ [a]ₓ + (1 - cos θ) a aᵀ for the vector θ a.

    Args:
        vectors: (..., 3) axis-angle, radians. Zero is an ordinary value.

    Returns:
        (..., 3, 3) rotation matrices. Differentiable once; the gradient at zero is exact.
    """
    return _Rodrigues.apply(vectors)
