"""`unet`: the nested U-Net that "Dense Intrinsic Appearance Flow" trains on DeepFashion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bodyreg.flow.blocks import Head
from bodyreg.training.batch_norm import BatchNorm

WIDEST = 16
"""The most channels of a level, in units of the first layer's."""


class Unet(nn.Module):
    """Flows of several resolutions, and visibility.

    Args:
        inputs: Channels of what it sees.
        channels: Of the first layer; the others follow from it.
        levels: Resolutions.
    """

    def __init__(self, inputs: int, channels: int, levels: int) -> None:
        super().__init__()
        first = 2 * channels
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, channels, 7, 1, 3, bias=False),
            BatchNorm(channels),
            nn.LeakyReLU(0.1),
            nn.Conv2d(channels, first, 3, 2, 1, bias=False),
            BatchNorm(first),
            nn.LeakyReLU(0.1),
        )
        self.outermost = _level(0, levels, channels)
        self.visibility = Head(first, 3, nn.LeakyReLU(0.1))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """What it sees (B, inputs, H, W), as `FlowNetwork` wants it of a backbone."""
        up, flows = self.outermost(self.stem(x))
        return flows, self.visibility(up)


class _Level(nn.Module):
    """One resolution, and all smaller ones inside.

    Args:
        outer, inner: Channels of its own and of the next smaller resolution.
        inside: The next smaller level; None in the innermost one.
        outermost: Whether it is the first one.
    """

    def __init__(self, outer: int, inner: int, inside: _Level | None, outermost: bool) -> None:
        super().__init__()
        down: list[nn.Module] = [nn.Conv2d(outer, inner, 4, 2, 1, bias=False)]
        if inside is not None:
            down.append(BatchNorm(inner))
        self.activation = nn.Identity() if outermost else nn.LeakyReLU(0.2)
        self.down = nn.Sequential(*down)
        self.inside = inside
        self.up = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(
                inner if inside is None else 2 * inner, outer, 4, 2, 1, bias=outermost
            ),
            BatchNorm(outer),
        )
        self.flow = Head(outer, 2, nn.LeakyReLU(0.1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, outer, H, W) -> the same shape, and the flows of this and all levels inside."""
        below = self.down(self.activation(x))
        flows: list[Tensor] = []
        if self.inside is not None:
            # The skip is what the level inside makes of its input first.
            up, flows = self.inside(below)
            below = torch.cat([self.inside.activation(below), up], 1)
        up = self.up(below)
        return up, [self.flow(up), *flows]


def _level(number: int, levels: int, channels: int) -> _Level:
    outer, inner = (min(2 << n, WIDEST) * channels for n in (number, number + 1))
    inside = _level(number + 1, levels, channels) if number + 1 < levels else None
    return _Level(outer, inner, inside, number == 0)
