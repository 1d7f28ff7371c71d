"""The generator: a picture of a person, warped feature by feature into another pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from bodyreg import ops
from bodyreg.errors import UserError
from bodyreg.flow.blocks import ResidualBlock, initialise
from bodyreg.painting.unet import (
    Decoder,
    Encoder,
    Unet,
    UnetConfig,
    bounded,
    channels_last,
    head,
)

JOINTS = 18
"""Channels of a pose: maps of OpenPose's joints."""

Gating = Literal["none", "hard_gate", "soft_gate", "residual", "residual_alone"]


@dataclass(frozen=True)
class GeneratorConfig(UnetConfig):
    """What a generator is like. The defaults are the paper's for DeepFashion.

    Attributes:
        warped: Levels whose features are warped, from the finest on; 4 for Market-1501. 0: the
            paper's "w/o flow".
        gating: What warped features are told of the visibility. `residual`: a residual block sees
            the visible and the hidden part apart. `residual_alone`: the block sees neither.
            `soft_gate`: both parts give a factor for each number. `hard_gate`: the background
            becomes 0. `none`: nothing.
        masked_pooling: Whether flows of coarser levels are means over the person alone; the paper's
            draw them toward 0 at the outline.
        shared_downs: Whether both encoders halve the resolution by the same layers. The paper's
            released code does this by mistake.
    """

    warped: int = 5
    gating: Gating = "residual"
    masked_pooling: bool = True
    shared_downs: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.warped <= self.levels:
            raise UserError(f"warped {self.warped}: give 0 to {self.levels}, the levels")
        if self.gating not in get_args(Gating):
            raise UserError(f"gating '{self.gating}': choose one of {', '.join(get_args(Gating))}")


class Generator(nn.Module):
    """Paints a person in another pose, of a picture and a flow.

    One encoder sees the pose, another one the picture. The features of the picture are read where
    the flow points, and one decoder paints.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer" (Li, Huang, Loy 2019).

    Args:
        config: What it is like.
    """

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        self.pose = Encoder(config, JOINTS)
        self.appearance = Encoder(config, 3, halves=not config.shared_downs)
        bottom = config.channels(config.levels)
        self.joined = nn.Sequential(
            nn.Conv2d(2 * bottom, bottom, 1, bias=False), config.normalised(bottom)
        )
        self.gates = nn.ModuleList(
            nn.ModuleList(Gate(config, config.channels(k)) for _ in range(config.blocks))
            for k in range(config.warped)
        )
        self.decoder = Decoder(config, 2)
        self.head = head(config.width, 3)
        initialise(self)

    def forward(self, source: Tensor, pose: Tensor, flow: Tensor, visibility: Tensor) -> Tensor:
        """Paint people.

        Args:
            source: (N, 3, H, W) red, green, blue, from -1 to 1.
            pose: (N, 18, H, W) maps of the target's joints.
            flow: (N, 2, H, W) from the target to the source, pixels. That of the background is not
                read.
            visibility: (N, H, W) uint8: 0 visible, 1 hidden, 2 background, see `ops.warp`.

        Returns:
            (N, 3, H, W) from -1 to 1.
        """
        of_pose, pose_skips = self.pose(channels_last(pose))
        downs = self.pose.downs if self.config.shared_downs else None
        of_source, skips = self.appearance(channels_last(source), downs)
        for level, gates in enumerate(self.gates):
            pooled = ops.pool_flow(flow, visibility, 1 << level, self.config.masked_pooling)
            pairs = zip(gates.children(), skips[level], strict=True)
            skips[level] = [gate(skip, *pooled) for gate, skip in pairs]
        bottom = self.joined(torch.cat([of_pose, of_source], 1))
        return bounded(self.head(self.decoder(bottom, [pose_skips, skips])))


class Gate(nn.Module):
    """Features of a source, where a flow points, and what the visibility makes of them.

    Args:
        config: What its generator is like.
        channels: Of the features.
    """

    def __init__(self, config: GeneratorConfig, channels: int) -> None:
        super().__init__()
        self.gating = config.gating
        self.layer: nn.Module | None = None
        if config.gating == "residual":
            self.layer = ResidualBlock(channels, 2 * channels, config.normalised)
        elif config.gating == "residual_alone":
            self.layer = ResidualBlock(channels, 0, config.normalised)
        elif config.gating == "soft_gate":
            self.layer = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor, flow: Tensor, visibility: Tensor) -> Tensor:
        """(N, channels, H, W) of the source -> the same of the target; see `ops.warp`."""
        if self.gating == "hard_gate":
            return ops.warp(features, flow, visibility)
        if self.layer is None:
            return ops.warp(features, flow)
        if self.gating == "residual_alone":
            return self.layer(ops.warp(features, flow))
        warped, layers = ops.warp(features, flow, visibility, apart=True)
        if self.gating == "soft_gate":
            return warped * torch.sigmoid(self.layer(torch.relu(layers)))
        return self.layer(warped, layers)


class PlainGenerator(nn.Module):
    """Paints a person in another pose with one encoder for both, the paper's "w/o dual encoder".

    Args:
        config: The size.
    """

    def __init__(self, config: UnetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UnetConfig()
        self.unet = Unet(config, 3 + JOINTS)
        self.head = head(config.width, 3)
        initialise(self)

    def forward(self, source: Tensor, pose: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, 18, H, W) -> (N, 3, H, W), as of `Generator`."""
        return bounded(self.head(self.unet(torch.cat([source, pose], 1))))
