"""VGG-19's features of pictures, by which losses compare what pictures show."""

from __future__ import annotations

import os

from torch import Tensor, nn

from bodyreg.training.checkpoints import load_module, load_weights
from bodyreg.training.imagenet import for_imagenet

WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
"""Channels of the convolutions of each resolution; those after the last compared one are left out.
"""


class Vgg19(nn.Module):
    """The first layer of each of VGG-19's five resolutions, after its ReLU: relu1_1 to relu5_1.

    Its parameters have torchvision's names, and do not learn.

    Source: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (Simonyan,
    Zisserman 2015).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.kept: list[int] = []
        channels = 3
        for widths in WIDTHS:
            if layers:
                layers.append(nn.MaxPool2d(2))
            self.kept.append(len(layers) + 1)
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.requires_grad_(False)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Vgg19:
        """Read weights that were trained on ImageNet.

        Args:
            path: A state dict of torchvision's `vgg19`, as .pth or .safetensors. Layers that are
                not needed are left out.

        Raises:
            UserError: the file is missing or damaged, or is of another network.
        """
        network = cls()
        needed = network.state_dict().keys()
        tensors = {name: t for name, t in load_weights(path).items() if name in needed}
        load_module(network, tensors, "", path)
        return network

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures.

        Args:
            pictures: (N, 3, H, W) red, green, blue, from -1 to 1; 16 pixels or more.

        Returns:
            (N, 64, H, W), (N, 128, H / 2, W / 2), (N, 256, H / 4, W / 4), and (N, 512, H / 8,
            W / 8) and (N, 512, H / 16, W / 16), rounded down.
        """
        x, found = for_imagenet((pictures + 1) / 2), []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.kept:
                found.append(x)
        return found
