"""The discriminator: which patches of a picture are painted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bodyreg.flow.blocks import initialise
from bodyreg.painting.generator import JOINTS
from bodyreg.painting.unet import normalisation

WIDTHS = (64, 128, 256, 512)
"""Channels of its layers."""


class Discriminator(nn.Module):
    """Tells true patches of 70 x 70 pixels from painted ones.

    Source: "Image-to-Image Translation with Conditional Adversarial Networks" (Isola et al. 2017).

    Args:
        batch_statistics: As of `UnetConfig`.
    """

    def __init__(self, batch_statistics: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6 + JOINTS, WIDTHS[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for place in (1, 2, 3):
            stride = 1 if place == 3 else 2
            layers += [
                nn.Conv2d(WIDTHS[place - 1], WIDTHS[place], 4, stride, 1, bias=False),
                normalisation(WIDTHS[place], batch_statistics),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(WIDTHS[3], 1, 4, 1, 1))
        initialise(self)

    def forward(self, source: Tensor, target: Tensor, pose: Tensor) -> Tensor:
        """Scores of patches: the higher, the more a patch seems true.

        Args:
            source, target: (N, 3, H, W) red, green, blue, from -1 to 1; 32 pixels or more.
            pose: (N, 18, H, W) maps of the target's joints.

        Returns:
            (N, 1, about H / 8, about W / 8), of any size; a sigmoid makes probabilities of them.
        """
        return self.layers(torch.cat([source, target, pose], 1))
