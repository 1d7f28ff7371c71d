"""The pixel warper: where pixels of the source are better than what the generator paints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bodyreg import ops
from bodyreg.flow.blocks import initialise
from bodyreg.painting.unet import Unet, UnetConfig, head

OUTSIDE = -1.0
"""The colour of the background in a warped picture: black."""


class PixelWarper(nn.Module):
    """Mixes a painted picture with the warped source.

        mixed = m · warped + (1 - m) · painted,      a network gives m for each pixel

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer" (Li, Huang, Loy 2019).

    Args:
        config: The size of its network.
    """

    def __init__(self, config: UnetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UnetConfig()
        self.unet = Unet(config, 9)
        self.last = nn.Sequential(
            nn.Conv2d(config.width, config.width, 1, bias=False),
            config.normalised(config.width),
            nn.ReLU(),
            *head(config.width, 1),
        )
        initialise(self)

    def forward(
        self, painted: Tensor, source: Tensor, flow: Tensor, visibility: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mix pictures.

        Args:
            painted: (N, 3, H, W) from -1 to 1, of a generator.
            source, flow, visibility: As of `Generator`.

        Returns:
            (N, 3, H, W), the mixed pictures, and (N, 1, H, W), m.
        """
        person = (visibility < 2)[:, None]
        flow = torch.where(person, flow, 0)
        warped = ops.warp(source, flow, visibility, OUTSIDE)
        seen = torch.cat([painted, warped, visibility[:, None].to(painted.dtype), flow], 1)
        share = torch.sigmoid(self.last(self.unet(seen)))
        return share * warped + (1 - share) * painted, share
