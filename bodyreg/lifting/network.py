"""The network that lifts, and the one that judges: eight linear layers each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.lifting.joints import INPUTS, JOINTS, MIRROR, Poses

LARGEST_WIDTH = 1 << 14
"""Features between layers."""

SLOPE = 0.2
"""Of the leaky ReLU below zero."""

SPREADS = (0.01, 1.0)
"""Least and largest standard deviation of a depth, in units of `Poses`."""


def check_width(width: int) -> None:
    """Refuse networks that fit into no memory.

    Raises:
        UserError: they are wider than `LARGEST_WIDTH`.
    """
    if width > LARGEST_WIDTH:
        raise UserError(f"option width is {width}; it must be at most {LARGEST_WIDTH:,}")


def _centred() -> Tensor:
    """(J, J) what turns depths into ones that count from the middle of the hips.

    Pelvis and thorax become the middles of hips and shoulders, as they are in pictures.
    """
    matrix = torch.eye(len(JOINTS))
    for middle, ends in (("pelvis", "hip"), ("thorax", "shoulder")):
        column = JOINTS.index(middle)
        matrix[:, column] = 0
        for side in ("left", "right"):
            matrix[JOINTS.index(f"{side}_{ends}"), column] = 0.5
    return matrix - matrix[:, :1]


CENTRED = _centred()


class Mlp(nn.Module):
    """Eight linear layers: one in, three residual blocks of two, one out.

    "Learning Body Shape and Pose from Dense Correspondences" (Yoshiyasu & Gamez, 2019) says "eight
    linear layers"; where the skips are is ours.

    Args:
        inputs, width, outputs: Numbers of features.
    """

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(6))
        self.last = nn.Linear(width, outputs)
        self.act = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        x = self.act(self.first(x))
        for one, two in zip(self.hidden[::2], self.hidden[1::2], strict=True):
            x = x + self.act(two(self.act(one(x))))
        return self.last(x)


class Generator(nn.Module):
    """Depths of joints, and how sure they are.

    Args:
        width: Features between layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.mlp = Mlp(INPUTS, width, 2 * len(JOINTS))
        with torch.no_grad():  # begin flat
            self.mlp.last.weight.mul_(0.1)
            self.mlp.last.bias.zero_()

    def forward(self, poses: Poses) -> tuple[Tensor, Tensor]:
        """Depths (N, J) toward the viewer from the pelvis, and standard deviations (N, J)."""
        depth, spread = self.mlp(poses.inputs).chunk(2, 1)
        low, high = SPREADS
        depth = depth @ CENTRED.to(depth)
        return depth, low + (high - low) * torch.sigmoid(spread - 1.5)

    def both_sides(self, poses: Poses) -> tuple[Tensor, Tensor]:
        """The means of `forward` of poses and of their mirror images: a mirror changes no depth."""
        depth, spread = self(poses)
        other_depth, other_spread = self(poses.mirrored())
        return (depth + other_depth[:, MIRROR]) / 2, (spread + other_spread[:, MIRROR]) / 2


class Discriminator(nn.Module):
    """Tells poses of pictures from lifted ones that are seen from another side.

    Args:
        width: Features between layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = Mlp(INPUTS, width, 1)

    def forward(self, poses: Poses) -> Tensor:
        """(N,) logits; positive: of a picture."""
        return self.mlp(poses.inputs)[:, 0]
