"""The network from two skeletons to the flow between their pictures, and one that corrects a flow.

Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer", for the network without a
correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from bodyreg.data.skeletons import COCO_18
from bodyreg.errors import UserError
from bodyreg.flow.blocks import Head, initialise
from bodyreg.flow.maps import joint_maps
from bodyreg.flow.unet import Unet
from bodyreg.flow.unet_v2 import UnetV2
from bodyreg.reference.flow import BACKGROUND

UNIT = 20.0
"""Pixels of a full-size picture in one unit of the networks' numbers, at all resolutions."""

CONFIDENCE = 3.0
"""The logit that a correction gives the fits' visibility before it has learnt."""

KINDS = 3
"""Of what a pixel shows: visible, hidden, background."""

MOST_CHANNELS, MOST_LEVELS, LONGEST = 512, 8, 4096
"""The first layer's channels, resolutions, and pixels of a side, of a file's network."""


@dataclass(frozen=True)
class FlowArchitecture:
    """What a flow network is like. The defaults are the paper's on DeepFashion.

    Attributes:
        kind: `unet` or `unet_v2`, which has fewer parameters.
        levels: Resolutions of flow, from half the picture's.
        channels: Of the first layer; the others follow from it.
        height, width: Of the pictures, pixels; multiples of the innermost level's.
        radius: Of the joints' pictures, pixels.
        smooth: Whether they are bumps instead of discs, see `joint_maps`.
        corrects: Whether it also sees flow and visibility of fitted bodies, and corrects them.
    """

    kind: Literal["unet", "unet_v2"] = "unet"
    levels: int = 5
    channels: int = 32
    height: int = 256
    width: int = 256
    radius: float = 8.0
    smooth: bool = False
    corrects: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("unet", "unet_v2"):
            raise UserError(f"network '{self.kind}' is unknown; choose unet or unet_v2")
        if not 1 <= self.levels <= MOST_LEVELS:
            raise UserError(f"levels {self.levels}: give 1 to {MOST_LEVELS}")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UserError(f"channels {self.channels}: give 1 to {MOST_CHANNELS}")
        if not 0 < self.radius <= LONGEST:
            raise UserError(f"radius {self.radius}: give pixels above 0")
        step = 2 << self.levels
        for name in ("height", "width"):
            side = getattr(self, name)
            if not (0 < side <= LONGEST and side % step == 0):
                raise UserError(
                    f"{name} {side}: give a multiple of {step} up to {LONGEST}, as the network has "
                    f"{self.levels} levels"
                )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.height, self.width


class Guess(NamedTuple):
    """What a flow network says of B pairs.

    Attributes:
        pyramid: From the finest to the coarsest, (B, 2, H / 2^n, W / 2^n) for n = 1 ...: flow in
            units of `UNIT` pixels of the full size.
        flow: (B, 2, H, W) pixels; everywhere, also on the background.
        logits: (B, 3, H, W) of visible, hidden and background.
    """

    pyramid: list[Tensor]
    flow: Tensor
    logits: Tensor

    @property
    def visibility(self) -> Tensor:
        """(B, H, W) uint8, the most probable kind, as `warp` takes it."""
        return self.logits.argmax(1).to(torch.uint8)


class FlowNetwork(nn.Module):
    """Flow and visibility of pairs of pictures, by the joints of the person in both.

    One that corrects gives the fits' own flow and visibility before it has learnt.

    Args:
        architecture: What it is like.
    """

    def __init__(self, architecture: FlowArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        inputs = 2 * len(COCO_18) + (2 + KINDS if architecture.corrects else 0)
        backbone = Unet if architecture.kind == "unet" else UnetV2
        self.backbone = backbone(inputs, architecture.channels, architecture.levels)
        initialise(self)
        if architecture.corrects:
            self.confidence = nn.Conv2d(KINDS, KINDS, 1, bias=False)
            with torch.no_grad():
                for layer in self.modules():
                    if isinstance(layer, Head):
                        nn.init.zeros_(layer.says.weight)
                self.confidence.weight.copy_(CONFIDENCE * torch.eye(KINDS)[..., None, None])

    def forward(
        self, joints: Tensor, flow: Tensor | None = None, visibility: Tensor | None = None
    ) -> Guess:
        """What the target shows in the source.

        Args:
            joints: (B, 2, 18, 2) of COCO-18 in source and target, pixels of pictures of the
                architecture's size; NaN = absent.
            flow: Of a network that corrects: (B, 2, H, W) pixels, by fitted bodies and `extended`.
            visibility: Likewise, (B, H, W) uint8.
        """
        how = self.architecture
        seen = joint_maps(joints, how.size, how.radius, smooth=how.smooth).flatten(1, 2)
        if not how.corrects:
            pyramid, logits = self.backbone(seen)
            return Guess(pyramid, UNIT * _doubled(pyramid[0]), _doubled(logits))
        if flow is None or visibility is None:
            raise ValueError("flow, visibility: expected those of fitted bodies, got None")
        kinds = nn.functional.one_hot(visibility.long(), KINDS).permute(0, 3, 1, 2).to(flow)
        small = flow / UNIT
        pyramid, logits = self.backbone(torch.cat([seen, small, kinds], 1))
        return Guess(
            [one + nn.functional.avg_pool2d(small, 2 << n) for n, one in enumerate(pyramid)],
            UNIT * _doubled(pyramid[0]) + flow,
            _doubled(logits) + self.confidence(kinds),
        )


def on_person(flow: Tensor, visibility: Tensor) -> Tensor:
    """The flow (B, 2, H, W) with 0 on the background, as what comes after the network wants it."""
    return flow * (visibility < BACKGROUND)[:, None]


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
