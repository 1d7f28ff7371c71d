"""`bodyreg.ops.projection` and `bodyreg.ops.gram_schmidt` in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

GUARD = 1e-8

NEAR = 0.1
"""Points nearer to a perspective camera than this share of the person's distance, and points behind
it, are shown as if the picture grew in proportion to depth from there on."""


def projection(
    points: Tensor,
    rotation: Tensor,
    scale: Tensor,
    translation: Tensor,
    perspective: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Projects points into the frame, see `bodyreg.ops.projection`."""
    seen = scale[:, None, None] * (points @ rotation.mT)
    xy, z = seen[..., :2] + translation[:, None], seen[..., 2]
    if perspective is None:
        return xy, z
    near = perspective[:, :1] * z
    magnification = near / (1 - near).clamp_min(NEAR)
    return xy + magnification[..., None] * (xy - perspective[:, None, 1:]), z


def gram_schmidt(matrix: Tensor, six: bool = False) -> Tensor:
    """Orthonormalises columns, see `bodyreg.ops.gram_schmidt`."""
    a1, a2, a3 = matrix.unbind(-1)
    e1 = _normalize(a1)
    e2 = _normalize(a2 - _dot(e1, a2) * e1)
    if six:
        e3 = torch.linalg.cross(e1, e2)
    else:
        e3 = _normalize(a3 - _dot(e1, a3) * e1 - _dot(e2, a3) * e2)
    return torch.stack([e1, e2, e3], -1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def _normalize(a: Tensor) -> Tensor:
    return a / torch.linalg.vector_norm(a, dim=-1, keepdim=True).clamp_min(GUARD)
