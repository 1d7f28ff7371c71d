"""The terms of the registration objective, one function each.

Every function returns one value per person, without its weight. `B` counts people, `P` dense points
and `K` keypoints; there are 24 joints. Sums run over small, fixed axes or over one person's points,
so a person's value does not depend on the batch.

Equation numbers are those of Yoshiyasu & Gamez, "Learning Body Shape and Pose from Dense
Correspondences" (2019); terms without a number are this package's. docs/ablation.md measures what
each term improves.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

TERMS = (
    "dense", "keypoint", "depth", "facing", "visibility", "prior", "limit", "joint", "exponential",
    "scale_smoothness", "scale_deviation", "scale_symmetry", "scale_level", "scale_limit",
    "upright", "det",
)  # fmt: skip
"""Every term of the objective; `<term>_weight` is its weight in the configuration.
A row of `Plan.settings` and `csrc/fit/term_math.h` have them in this order."""

POINT_GRAIN = 32
"""Dense points per person are padded to a multiple of this. A sum depends on the padded length, so
the length must follow from the person alone."""

MAX_EXPONENT = 10.0
"""The exponential of hyper-extension is clamped here, as a safeguard against overflow."""

HYPER_EXTENSION = ((4, 0, -1.0), (5, 0, -1.0), (18, 1, 1.0), (19, 1, -1.0))
"""Joint, axis and sign such that sign · angle > 0 is hyper-extension: knees and elbows (Eq. 11)."""


def dense(xy: Tensor, targets: Tensor, weights: Tensor, width: float) -> Tensor:
    """Σ_i w_i ρ(|x_i - x̂_i|²) over dense points (Eq. 8), where `ops.correspondence` cannot be used.

    That op has weak perspective only. ρ is its Geman-McClure function.

    Args:
        xy, targets: (B,P,2) frame units.
        weights: (B,P).
        width: of the function, frame units; inf for plain squares.

    Returns:
        (B,) frame units².
    """
    square = (xy - targets).square().sum(-1)
    if math.isfinite(width):
        square = square * width**2 / (width**2 + square)
    return sum_points(square * weights)


def keypoint(xy: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Σ_j w_j |x_j - x̂_j|² over keypoints on the picture (Eq. 9).

    Args:
        xy, targets: (B,K,2) frame units.
        weights: (B,K), 0 where a keypoint is absent.

    Returns:
        (B,) frame units².
    """
    return ((xy - targets).square().sum(-1) * weights).sum(-1)


def depth(z: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Σ_j w_j (z_j - ẑ_j)² over keypoint depths relative to the pelvis (Eq. 9).

    Args:
        z, targets: (B,K) frame units.
        weights: (B,K), 0 where no depth is given.

    Returns:
        (B,) frame units².
    """
    return ((z - targets).square() * weights).sum(-1)


def facing(normal_z: Tensor, weights: Tensor, margin: float) -> Tensor:
    """Σ_i w_i relu(margin - n_z,i)²: a matched point was seen, so it faces the viewer.

    Args:
        normal_z: (B,P) z of the points' unit normals, along the rays toward the camera.
        weights: (B,P).
        margin: n_z from which on a point counts as facing.
    """
    return sum_points((margin - normal_z).clamp_min(0).square() * weights)


def visibility(
    normal_z: Tensor,
    weights: Tensor,
    surface_z: Tensor,
    surface_area: Tensor,
    segment_weights: Tensor,
    sharpness: float,
) -> Tensor:
    """-Σ_i w_i log( f(n_z,i) / mean of f over the point's segment ), f = softplus(sharpness · n_z).

    This is a likelihood: a matched point was drawn from the visible part of its segment's surface,
    and f is a smooth measure of visibility. It may be below zero; `floor` says how far, and what
    `register` reports counts from there.

    Args:
        normal_z, weights: (B,P), as for `facing`.
        surface_z: (B,24,M) the same z of the normals of a fixed sample of each segment's surface.
        surface_area: (24,M) area of each sample, summing to 1 over M, or 0 for a segment without
            faces, whose mean counts as 1.
        segment_weights: (B,24) sum of `weights` over the points of each segment.
        sharpness: per unit of n_z.
    """
    points = sum_points(softplus(sharpness * normal_z).log() * weights)
    mean = (softplus(sharpness * surface_z) * surface_area).sum(-1)
    seen = mean.where(surface_area.sum(-1) > 0, 1).log()
    return (seen * segment_weights).sum(-1) - points


def prior(
    pose: Tensor, mean: Tensor, inverse_spread: Tensor, mode: Tensor, mode_weight: Tensor
) -> Tensor:
    """Σ ((θ - μ)/σ)² + Σ_r w_r (m_r · (θ - μ))²: squared distance from everyday poses.

    Args:
        pose: (B,24,3) axis-angle, radians.
        mean, inverse_spread: (24,3); the pelvis has inverse spread 0.
        mode: (24,3,R) directions m_r in which joints move together; 0 for the pelvis.
        mode_weight: (R,), of either sign.
    """
    deviation = pose - mean
    single = (deviation * inverse_spread).square().sum((1, 2))
    # A sum over few, fixed axes has the same bits for every B; a matrix product does not.
    along = (deviation[..., None] * mode).sum((1, 2))
    return single + (along.square() * mode_weight).sum(1)


def limit(pose: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Σ of squared excess of joint angles over their two-sided limits, radians².

    Args:
        pose: (B,24,3) axis-angle.
        low, high: (24,3).
    """
    return (pose - pose.clamp(low, high)).square().sum((1, 2))


def joint(pose: Tensor) -> Tensor:
    """Σ_k |θ_k|², radians² (Eq. 11, first part)."""
    return pose.square().sum((1, 2))


def exponential(pose: Tensor) -> Tensor:
    """Σ exp(hyper-extension) of elbows and knees (Eq. 11, second part)."""
    joints, axes, signs = zip(*HYPER_EXTENSION, strict=True)
    angles = pose[:, list(joints), list(axes)] * pose.new_tensor(signs)
    return angles.clamp_max(MAX_EXPONENT).exp().sum(-1)


def scale_limit(scale: Tensor, low: float, high: float) -> Tensor:
    """Σ of squared excess of segment scales over their limits, which keeps scales positive.

    Args:
        scale: (B,24) segment scales.
        low, high: ratios to the template.
    """
    return (scale - scale.clamp(low, high)).square().sum(-1)


def upright(rotation: Tensor) -> Tensor:
    """Squared sine of the pelvis' lean toward or away from the viewer.

    Most pictures are taken from about a person's height. Without depths, this term distinguishes a
    short thigh from a thigh that points to the viewer.

    Args:
        rotation: (B,3,3) orthonormal.
    """
    return rotation[:, 2, 1].square()


def scale_smoothness(scale: Tensor, children: Tensor, parents: Tensor) -> Tensor:
    """Σ (S_k - S_parent(k))² over bones (Eq. 10).

    Args:
        scale: (B,24) segment scales.
        children, parents: (23,) int64, the two ends of every bone.
    """
    return (scale[:, children] - scale[:, parents]).square().sum(-1)


def scale_deviation(scale: Tensor) -> Tensor:
    """Σ (S_k - mean S)²."""
    return (scale - scale.mean(-1, keepdim=True)).square().sum(-1)


def scale_symmetry(scale: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Σ (S_left - S_right)² over the pairs of segments."""
    return (scale[:, left] - scale[:, right]).square().sum(-1)


def scale_level(scale: Tensor) -> Tensor:
    """Σ (S_k - 1)²: closes the direction S → 0, camera scale → ∞ that Eq. 10 leaves open."""
    return (scale - 1).square().sum(-1)


def det(matrix: Tensor) -> Tensor:
    """exp(-det R) of the raw rotation, before Gram-Schmidt, which would keep a reflection (Eq. 12).

    Args:
        matrix: (B,3,3).
    """
    a, b, c = matrix.unbind(-1)
    return (-(torch.linalg.cross(a, b) * c).sum(-1)).exp()


def sum_points(values: Tensor) -> Tensor:
    """(B,P) -> (B,) for P a multiple of `POINT_GRAIN`, with the same bits for every B.

    The sum is taken in rows, because torch splits one sum of tens of thousands of numbers over
    threads.
    """
    return values.unflatten(-1, (-1, POINT_GRAIN)).sum(-1).sum(-1)


class _Softplus(torch.autograd.Function):
    """Softplus of functions whose vectorised and scalar forms agree to the last bit.

    Those of torch's softplus and sigmoid differ, so a person's bits would depend on the batch size.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        value = x.clamp_min(0) + (-x.abs()).exp().log1p()
        ctx.save_for_backward(x, value)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, value = ctx.saved_tensors
        return grad * (x - value).exp()


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ), without overflow."""
    return _Softplus.apply(x)
