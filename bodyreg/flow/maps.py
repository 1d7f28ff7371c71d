"""Pictures of joints, which networks see instead of their coordinates."""

from __future__ import annotations

import torch
from torch import Tensor


def joint_maps(
    joints: Tensor, size: tuple[int, int], radius: float, *, smooth: bool = False
) -> Tensor:
    """A picture of each joint.

        1 where d <= radius, else 0;  smooth: exp(-d² / radius²)

    d is the distance from the joint to the centre of a pixel.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer".

    Args:
        joints: (..., J, 2) picture pixels; NaN = absent, its picture is 0.
        size: Height and width of the pictures.
        radius: Pixels.
        smooth: Bumps instead of discs.

    Returns:
        (..., J, height, width), of the joints' type.
    """
    rows, columns = (torch.arange(n, device=joints.device) + 0.5 for n in size)
    x, y = joints[..., None, None].unbind(-3)
    squared = (columns - x) ** 2 + (rows[:, None] - y) ** 2
    pictures = torch.exp(-squared / radius**2) if smooth else (squared <= radius**2).to(x.dtype)
    return pictures.nan_to_num(0.0)
