"""What the painting networks are built of: residual blocks along a U."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.flow.blocks import ResidualBlock
from bodyreg.training.batch_norm import BatchNorm

DEEPEST, WIDEST = 10, 4096
"""The most levels, and channels."""

LEAST_SLOPE = 0.05
"""By which colours follow the last layer where tanh is flat."""

Normalisation = Callable[[int], nn.Module]
"""Channels -> a layer that normalises them."""

Skips = list[list[Tensor]]
"""For each level, from the finest, the results of its blocks."""


@dataclass(frozen=True)
class UnetConfig:
    """The size of a U-shaped network. The defaults are the paper's for DeepFashion.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer" (Li, Huang, Loy 2019).

    Attributes:
        levels: How often the resolution is halved; 5 for Market-1501.
        width: Channels of the finest level. Each level has as many more than the one before.
        widest: The most channels.
        blocks: Residual blocks of a level, on either side of the U.
        batch_statistics: Whether pictures are normalised by their own batch after learning, too,
            as in the paper's released code. A picture then depends on the others of its batch.
    """

    levels: int = 7
    width: int = 32
    widest: int = 128
    blocks: int = 2
    batch_statistics: bool = False

    def __post_init__(self) -> None:
        for name, most in (("levels", DEEPEST), ("width", WIDEST), ("widest", WIDEST)):
            if not 0 < getattr(self, name) <= most:
                raise UserError(f"{name} {getattr(self, name)}: give 1 to {most:,}")
        if not 0 < self.blocks <= DEEPEST:
            raise UserError(f"blocks {self.blocks}: give 1 to {DEEPEST}")

    def channels(self, level: int) -> int:
        """Of a level, 0 the finest; `levels` is the bottom of the U."""
        return min(self.width * (level + 1), self.widest)

    def normalised(self, channels: int) -> nn.Module:
        """A layer that normalises."""
        return normalisation(channels, self.batch_statistics)


class Encoder(nn.Module):
    """The way down.

    Args:
        config: The size.
        inputs: Channels of the input.
        halves: Whether it owns the layers that halve the resolution; else they are given.
    """

    def __init__(self, config: UnetConfig, inputs: int, halves: bool = True) -> None:
        super().__init__()
        levels, normalised = range(config.levels), config.normalised
        self.stem = _convolution(inputs, config.channels(0), 1, normalised)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(config.channels(k), 0, normalised) for _ in range(config.blocks)
            )
            for k in levels
        )
        self.downs = nn.ModuleList(
            _convolution(config.channels(k), config.channels(k + 1), 3, normalised, stride=2)
            for k in (levels if halves else ())
        )

    def forward(self, x: Tensor, downs: nn.ModuleList | None = None) -> tuple[Tensor, Skips]:
        """Features of pictures.

        Args:
            x: (N, inputs, H, W).
            downs: The layers that halve the resolution, if it does not own them.

        Returns:
            The bottom of the U, and the skips.
        """
        x, skips = self.stem(x), []
        for blocks, down in zip(self.blocks, downs or self.downs, strict=True):
            skips.append([x := block(x) for block in _each(blocks)])
            x = down(torch.relu(x))
        return x, skips


class Decoder(nn.Module):
    """The way up.

    Args:
        config: The size.
        sides: How many encoders there are.
    """

    def __init__(self, config: UnetConfig, sides: int) -> None:
        super().__init__()
        levels, normalised = range(config.levels), config.normalised
        self.ups = nn.ModuleList(
            _enlarging(config.channels(k + 1), config.channels(k), normalised) for k in levels
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(config.channels(k), sides * config.channels(k), normalised)
                for _ in range(config.blocks)
            )
            for k in levels
        )

    def forward(self, x: Tensor, sides: Sequence[Skips]) -> Tensor:
        """The bottom of the U, and the skips of each encoder -> (N, width, H, W)."""
        for level in reversed(range(len(self.ups))):
            height, width = sides[0][level][0].shape[2:]
            # A picture that cannot be halved so often comes back too large by a row or a column.
            x = self.ups[level](torch.relu(x))[..., :height, :width]
            skips = zip(*(side[level] for side in sides), strict=True)
            for block, side in zip(_each(self.blocks[level]), reversed(list(skips)), strict=True):
                x = block(x, torch.cat(side, 1))
        return x


class Unet(nn.Module):
    """One encoder and one decoder.

    Args:
        config: The size.
        inputs: Channels of the input.
    """

    def __init__(self, config: UnetConfig, inputs: int) -> None:
        super().__init__()
        self.encoder = Encoder(config, inputs)
        self.decoder = Decoder(config, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width, H, W)."""
        bottom, skips = self.encoder(channels_last(x))
        return self.decoder(bottom, [skips])


def normalisation(channels: int, batch_statistics: bool) -> nn.Module:
    """A layer that normalises, after learning too by the batch if `batch_statistics`."""
    return BatchNorm(channels, track_running_stats=not batch_statistics)


def head(channels: int, outputs: int) -> nn.Sequential:
    """The last layer, which mirrors the picture at its border: (N, channels, H, W) -> outputs."""
    return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(channels, outputs, 7))


def bounded(x: Tensor) -> Tensor:
    """tanh(x), with the gradient 1 - tanh(x)² + 0.05: colours from -1 to 1.

    Discs of joints are a few pixels, so batch normalisation makes their features hundreds of times
    as large as the mean, and the last layer goes far beyond where float32 tells tanh from 1. By
    tanh's own gradient, a wrong colour there would stay.
    """
    colours = torch.tanh(x)
    return colours + LEAST_SLOPE * (x - x.detach()) if x.requires_grad else colours


def channels_last(pictures: Tensor) -> Tensor:
    """The same in the layout in which convolutions and warps are fastest."""
    return pictures.contiguous(memory_format=torch.channels_last)


def _each(blocks: nn.Module) -> list[ResidualBlock]:
    return list(blocks.children())  # type: ignore[arg-type]


def _convolution(
    inputs: int, outputs: int, size: int, normalised: Normalisation, stride: int = 1
) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, normalised(outputs))


def _enlarging(inputs: int, outputs: int, normalised: Normalisation) -> nn.Sequential:
    layer = nn.Conv2d(inputs, 4 * outputs, 3, 1, 1, bias=False)
    return nn.Sequential(layer, nn.PixelShuffle(2), normalised(outputs))
