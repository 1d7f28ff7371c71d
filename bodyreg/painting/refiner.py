"""The refiner: what the untrained painting lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bodyreg.errors import UserError
from bodyreg.flow.blocks import initialise
from bodyreg.painting.generator import JOINTS
from bodyreg.painting.unet import Unet, UnetConfig, bounded, head
from bodyreg.transfer import Provenance

TRUST = 0.9
"""A painting's share in a picture before the refiner has learnt."""

FARTHEST = 4096
"""The largest `reach`."""


@dataclass(frozen=True)
class RefinerConfig(UnetConfig):
    """What a refiner is like.

    Attributes:
        reach: How far outside of the body it may paint clothes and hair, in pixels.
    """

    reach: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.reach <= FARTHEST:
            raise UserError(f"reach {self.reach}: give 0 to {FARTHEST:,} pixels")


class Refiner(nn.Module):
    """Improves paintings of `bodyreg.transfer`, which need no training.

        refined = m · painting + (1 - m) · colour,      a network gives m and the colour

    m begins near 1, and the colour as grey, so a new refiner changes little. m is 1 more than
    `reach` pixels away from the body, to the side and up or down: there the painting's backdrop
    stays as it is.

    Args:
        config: What it is like.
    """

    def __init__(self, config: RefinerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RefinerConfig()
        self.unet = Unet(config, 3 + len(Provenance) + JOINTS)
        self.colour, self.trust = head(config.width, 3), head(config.width, 1)
        initialise(self)
        trust = math.log(TRUST / (1 - TRUST))
        for last, start in ((self.colour[-1], 0.0), (self.trust[-1], trust)):
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)  # random colours would be farther from the true ones
            nn.init.constant_(last.bias, start)

    def forward(self, painting: Tensor, provenance: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Refine paintings.

        Args:
            painting: (N, 3, H, W) red, green, blue, from -1 to 1, on its backdrop.
            provenance: (N, H, W) uint8, `transfer.Provenance`.
            pose: (N, 18, H, W) maps of the target's joints.

        Returns:
            (N, 3, H, W), the refined pictures, and (N, 1, H, W), m.
        """
        kinds = torch.arange(len(Provenance), device=provenance.device)
        known = (provenance[:, None] == kinds[:, None, None]).to(painting.dtype)
        features = self.unet(torch.cat([painting, known, pose], 1))
        body = 1 - known[:, Provenance.BACKGROUND, None]
        reach = self.config.reach
        across = functional.max_pool2d(body, (1, 2 * reach + 1), 1, (0, reach))
        near = functional.max_pool2d(across, (2 * reach + 1, 1), 1, (reach, 0))
        trust = torch.where(near > 0, torch.sigmoid(self.trust(features)), 1)
        return trust * painting + (1 - trust) * bounded(self.colour(features)), trust
