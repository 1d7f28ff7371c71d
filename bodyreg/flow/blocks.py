"""What the flow networks are built of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bodyreg.training.batch_norm import BatchNorm


class ResidualBlock(nn.Module):
    """A 3 x 3 convolution and what it is added to, after the activation.

        x + BN(conv3(relu(x)))                          without a side input
        x + BN(conv3(relu(x, BN(conv1(relu(side))))))   with one

    Source: "A Variational U-Net for Conditional Appearance and Shape Generation".

    Args:
        channels: Of input and output.
        side: Channels of the side input; 0: there is none.
        normalised: Channels -> BN.
    """

    def __init__(
        self, channels: int, side: int = 0, normalised: Callable[[int], nn.Module] = BatchNorm
    ) -> None:
        super().__init__()
        if side:
            self.side = nn.Sequential(
                nn.ReLU(), nn.Conv2d(side, channels, 1, bias=False), normalised(channels)
            )
        inputs = 2 * channels if side else channels
        self.main = nn.Sequential(
            nn.ReLU(), nn.Conv2d(inputs, channels, 3, 1, 1, bias=False), normalised(channels)
        )

    def forward(self, x: Tensor, side: Tensor | None = None) -> Tensor:
        """(B, C, H, W) and a side input (B, S, H, W) -> (B, C, H, W)."""
        return x + self.main(x if side is None else torch.cat([x, self.side(side)], 1))


class Head(nn.Module):
    """An activation, and a convolution to what the network says.

    Args:
        channels: Of what it reads.
        numbers: Channels of what it says.
        activation: The activation.
    """

    def __init__(self, channels: int, numbers: int, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.says = nn.Conv2d(channels, numbers, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, numbers, H, W)."""
        return self.says(self.activation(x))


def initialise(network: nn.Module) -> None:
    """Give all layers the random weights of the paper's code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
