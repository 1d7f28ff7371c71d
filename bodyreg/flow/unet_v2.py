"""`unet_v2`: the residual U-Net of "Dense Intrinsic Appearance Flow", with fewer parameters."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from bodyreg.flow.blocks import Head, ResidualBlock
from bodyreg.training.batch_norm import BatchNorm

WIDEST = 4
"""The most channels of a level, in units of the first layer's."""


class UnetV2(nn.Module):
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
            nn.Conv2d(inputs, channels, 1, bias=False),
            BatchNorm(channels),
            ResidualBlock(channels),
            nn.ReLU(),
            nn.Conv2d(channels, first, 3, 2, 1, bias=False),
            BatchNorm(first),
        )
        widths = [min(n + 2, WIDEST) * channels for n in range(levels + 1)]
        self.levels = nn.ModuleList(
            _Level(outer, inner) for outer, inner in itertools.pairwise(widths)
        )
        self.visibility = Head(first, 3, nn.ReLU())

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """What it sees (B, inputs, H, W), as `FlowNetwork` wants it of a backbone."""
        x, skips, flows = self.stem(x), [], []
        levels = [level for level in self.levels if isinstance(level, _Level)]
        for level in levels:
            x, skip = level.encode(x)
            skips.append(skip)
        for level, skip in zip(reversed(levels), reversed(skips), strict=True):
            x = level.decode(x, skip)
            flows.append(level.flow(x))
        return flows[::-1], self.visibility(x)


class _Level(nn.Module):
    """One resolution.

    Args:
        outer, inner: Channels of its own and of the next smaller resolution.
    """

    def __init__(self, outer: int, inner: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(ResidualBlock(outer) for _ in range(2))
        self.down = nn.Sequential(
            nn.ReLU(), nn.Conv2d(outer, inner, 3, 2, 1, bias=False), BatchNorm(inner)
        )
        self.up = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inner, 4 * outer, 3, 1, 1, bias=False),
            nn.PixelShuffle(2),
            BatchNorm(outer),
        )
        self.after = nn.ModuleList(ResidualBlock(outer, outer) for _ in range(2))
        self.flow = Head(outer, 2, nn.ReLU())

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, outer, H, W) -> (B, inner, H / 2, W / 2), and skips for `decode`."""
        skips = []
        for block in self.before:
            x = block(x)
            skips.append(x)
        return self.down(x), skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """(B, inner, H / 2, W / 2) -> (B, outer, H, W)."""
        x = self.up(x)
        for block, skip in zip(self.after, reversed(skips), strict=True):
            x = block(x, skip)
        return x
