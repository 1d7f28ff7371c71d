"""The network from a picture to a body: a residual network and one linear layer.

`ResNet` is that of "Deep Residual Learning for Image Recognition" (He et al. 2016), with the stride
of a bottleneck in its 3 x 3 convolution. Its parameters have torchvision's names, so weights that
were trained on ImageNet can be read from a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bodyreg.body import QUATERNION, SIX_NUMBERS, Parameters
from bodyreg.errors import UserError
from bodyreg.regression.outputs import mean_parameters, parameters_of
from bodyreg.training.batch_norm import BatchNorm
from bodyreg.training.checkpoints import load_module, load_weights
from bodyreg.training.imagenet import for_imagenet

GROUP = 8
"""Channels that are normalised together in a small network."""

WIDEST = 4096
"""Of a small network, in channels."""

Normalisation = Callable[[int], nn.Module]
"""Channels -> a layer that normalises them."""


@dataclass(frozen=True)
class Architecture:
    """What a network is like.

    Attributes:
        kind: `resnet50`, the paper's; or `small`: of the same family with one basic block for each
            resolution, which a CPU can train. It normalises by groups of channels, so what it makes
            of a picture does not depend on the batch.
        width: Channels of a small network's first layer, a multiple of 8; each of its three other
            resolutions has twice the channels of the one before.
        six_numbers: Whether rotations of the whole body are read from six of their nine numbers,
            so that none is a reflection.
        six_number_pose: Whether rotations of joints are read from six numbers each, instead of
            quaternions; the network then has 180 numbers.
    """

    kind: Literal["resnet50", "small"] = "resnet50"
    width: int = 24
    six_numbers: bool = False
    six_number_pose: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("resnet50", "small"):
            raise UserError(f"network '{self.kind}' is unknown; choose resnet50 or small")
        if not (0 < self.width <= WIDEST and self.width % GROUP == 0):
            raise UserError(f"width {self.width}: give a multiple of {GROUP} up to {WIDEST}")


class Network(nn.Module):
    """Bodies of pictures.

    Before it has learnt, it gives about the mean body for every picture.

    Args:
        architecture: What it is like.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        if architecture.kind == "resnet50":
            self.backbone = ResNet(Bottleneck, (3, 4, 6, 3), 64, BatchNorm)
        else:
            self.backbone = ResNet(BasicBlock, (1, 1, 1, 1), architecture.width, _groups)
        layout = SIX_NUMBERS if architecture.six_number_pose else QUATERNION
        self.head = nn.Linear(self.backbone.features, layout.count)
        with torch.no_grad():
            nn.init.xavier_uniform_(self.head.weight, gain=0.01)
            self.head.bias.copy_(mean_parameters(layout))

    def forward(self, pictures: Tensor) -> Parameters:
        """Parameters of the people in pictures.

        Args:
            pictures: (N, 3, S, S) red, green, blue, from 0 to 1; crops to the people's frames.

        Returns:
            N people's, as of `outputs.parameters_of`, in the frame units of the pictures.
        """
        flat = self.numbers(pictures)
        return parameters_of(flat, six_numbers=self.architecture.six_numbers)

    def numbers(self, pictures: Tensor) -> Tensor:
        """The same before they are made valid: (N, 132) or (N, 180), see `parameters_of`."""
        usual = for_imagenet(pictures).contiguous(memory_format=torch.channels_last)  # faster
        features = self.backbone(usual)
        # In mixed precision, too, what the network says is float32.
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.to(self.head.weight.dtype))

    def load_backbone(self, path: str | os.PathLike) -> None:
        """Read the backbone's weights from a file of torchvision's, such as ImageNet's.

        Args:
            path: A state dict as .safetensors, or as .pth, of which only tensors are read. Its last
                layer (`fc`), which tells classes, is left out.

        Raises:
            UserError: the file is missing or damaged, or is of another network.
        """
        found = load_weights(path)
        tensors = {name: t for name, t in found.items() if not name.startswith("fc.")}
        # Older files do not count the batches, which nothing here reads.
        counts = {n: t for n, t in self.backbone.state_dict().items() if n.endswith("_tracked")}
        load_module(self.backbone, counts | tensors, "", path)


class ResNet(nn.Module):
    """Features of pictures; four resolutions of residual blocks. It has no last layer (`fc`).

    Args:
        block: `Bottleneck` or `BasicBlock`.
        counts: Blocks of each resolution.
        width: Channels of the first layer.
        normalised: What normalises.
    """

    def __init__(
        self,
        block: type[Bottleneck] | type[BasicBlock],
        counts: tuple[int, int, int, int],
        width: int,
        normalised: Normalisation,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = normalised(width)
        channels = width
        for place, count in enumerate(counts):
            blocks = []
            for number in range(count):
                stride = 2 if place and not number else 1
                blocks.append(block(channels, width << place, stride, normalised))
                channels = block.expansion * (width << place)
            self.add_module(f"layer{place + 1}", nn.Sequential(*blocks))
        self.features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, features), the means over the last resolution."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for place in range(1, 5):
            x = self.get_submodule(f"layer{place}")(x)
        return x.mean((2, 3))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and what they are added to.

    Args:
        inputs, width: Channels.
        stride: Of the first convolution.
        normalised: What normalises.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, normalised: Normalisation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = normalised(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = normalised(width)
        self.downsample = _shortcut(inputs, width, stride, normalised)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two 1 x 1 convolutions, and what they are added to.

    Args:
        inputs, width: Channels outside and inside.
        stride: Of the 3 x 3 convolution.
        normalised: What normalises.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, normalised: Normalisation) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = normalised(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = normalised(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = normalised(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, normalised)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(
    inputs: int, outputs: int, stride: int, normalised: Normalisation
) -> nn.Sequential | None:
    """What fits a block's input to its output; None if they fit already."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), normalised(outputs))


def _groups(channels: int) -> nn.Module:
    return nn.GroupNorm(channels // GROUP, channels)
