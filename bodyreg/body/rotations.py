"""Axis-angle vectors to rotation matrices and quaternions, with exact gradients at zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TINY = 1e-30
"""Added to squared angles against a division by zero; it is far below their precision."""


class _Rodrigues(torch.autograd.Function):
    """An analytic backward, with a third of the operations of autograd's."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        square = vectors.square().sum(-1) + TINY
        angle = square.sqrt()
        sin_half = (0.5 * angle).sin()
        half = 2 * sin_half.square() / square  # (1 - cos θ)/θ²
        sinc = 2 * sin_half * (0.5 * angle).cos() / angle
        cos = 1 - half * square
        ctx.save_for_backward(vectors, square, cos, sinc, half)
        x, y, z = (sinc[..., None] * vectors).unbind(-1)
        outer = (half[..., None] * vectors)[..., :, None] * vectors[..., None, :]
        cross = torch.stack((cos, -z, y, z, cos, -x, -y, x, cos), -1)
        return outer + cross.unflatten(-1, (3, 3))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        vectors, square, cos, sinc, half = ctx.saved_tensors
        transposed = grad.transpose(-1, -2)
        symmetric = ((grad + transposed) * vectors[..., None, :]).sum(-1)
        odd = (grad - transposed).flatten(-2)
        axial = torch.stack((odd[..., 7], odd[..., 2], odd[..., 3]), -1)
        trace = grad.diagonal(dim1=-2, dim2=-1).sum(-1)
        # The derivatives of sinc and half by the angle, over the angle, times square. Near zero the
        # differences cancel, but two factors of the angle multiply them.
        radial = (
            (cos - sinc) * (axial * vectors).sum(-1)
            + (0.5 * sinc - half) * (symmetric * vectors).sum(-1)
        ) / square - sinc * trace
        return sinc[..., None] * axial + half[..., None] * symmetric + radial[..., None] * vectors


def rotation_matrices(vectors: Tensor) -> Tensor:
    """Rodrigues' formula: R = cos θ I + sin θ [a]ₓ + (1 - cos θ) a aᵀ for the vector θ a.

    Args:
        vectors: (..., 3) axis-angle, radians. Zero is an ordinary value.

    Returns:
        (..., 3, 3) rotation matrices. Differentiable once; the gradient at zero is exact.
    """
    return _Rodrigues.apply(vectors)


def axis_angle_to_quaternion(vectors: Tensor) -> Tensor:
    """Unit quaternions q = (cos θ/2, sin(θ/2) a) of the vectors θ a.

    Args:
        vectors: (..., 3) axis-angle, radians. Zero is an ordinary value.

    Returns:
        (..., 4) w, x, y, z. w is negative for angles between π and 2π; -q is the same rotation.
        Differentiable once; the gradient at zero is exact.
    """
    angle = (vectors.square().sum(-1, keepdim=True) + TINY).sqrt()
    half = 0.5 * angle
    return torch.cat((half.cos(), half.sin() / angle * vectors), -1)


def quaternion_to_axis_angle(quaternions: Tensor) -> Tensor:
    """The vectors θ a of the rotations, with angles θ = 2 atan2(|sin(θ/2) a|, cos θ/2) of 0 to π.

    Args:
        quaternions: (..., 4) w, x, y, z, not all zero. Their length has no influence and no
            gradient; q and -q give the same vector.

    Returns:
        (..., 3) radians. Differentiable once, at the identity too. At θ = π, where θ a jumps to
        -θ a, the gradient is that of one side.
    """
    unit = torch.nn.functional.normalize(quaternions, dim=-1)
    w, vector = unit[..., :1], unit[..., 1:]
    sign = torch.where(w < 0, -1.0, 1.0).to(w)
    sine = (vector.square().sum(-1, keepdim=True) + TINY).sqrt()
    return 2 * torch.atan2(sine, sign * w) / sine * (sign * vector)


def matrix_to_quaternion(matrices: Tensor) -> Tensor:
    """Unit quaternions of rotation matrices.

    The matrix 4 q qᵀ of a quaternion is linear in the entries of its rotation (Bar-Itzhack, "New
    Method for Extracting the Quaternion from a Rotation Matrix", 2000). Its longest row, made a
    unit, is q or -q; no other one is near zero there.

    Args:
        matrices: (..., 3, 3) rotation matrices.

    Returns:
        (..., 4) w, x, y, z; w may be negative, and -q is the same rotation. Differentiable where no
        two rows are the longest; there the gradient is that of one of them.
    """
    m = [row.unbind(-1) for row in matrices.unbind(-2)]
    (a, b, c), (d, e, f), (g, h, i) = m
    products = torch.stack(
        (
            1 + a + e + i, h - f, c - g, d - b,
            h - f, 1 + a - e - i, b + d, c + g,
            c - g, b + d, 1 - a + e - i, f + h,
            d - b, c + g, f + h, 1 - a - e + i,
        ),
        -1,
    ).unflatten(-1, (4, 4))  # fmt: skip
    longest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    place = longest[..., None, None].expand(*longest.shape, 1, 4)
    return torch.nn.functional.normalize(products.gather(-2, place)[..., 0, :], dim=-1)
