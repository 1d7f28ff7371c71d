"""`bodyreg.ops.correspondence` in plain torch."""

from __future__ import annotations

import math

from torch import Tensor

from bodyreg.reference.lbs import lbs
from bodyreg.reference.projection import projection


def correspondence(
    transforms: Tensor,
    rotation: Tensor,
    scale: Tensor,
    translation: Tensor,
    joint_ids: Tensor,
    anchors: Tensor,
    targets: Tensor,
    weights: Tensor,
    width: float = math.inf,
) -> Tensor:
    """Dense correspondence loss, see `bodyreg.ops.correspondence`."""
    xy, _ = projection(lbs(transforms, joint_ids, anchors), rotation, scale, translation)
    square = (xy - targets).square().sum(-1)
    if math.isfinite(width):
        square = square * width**2 / (width**2 + square)
    return (weights * square).sum(-1)
