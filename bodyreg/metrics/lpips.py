"""LPIPS: how different two pictures look, by the features of a network that knows pictures."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor, nn

from bodyreg.metrics.table import Metric
from bodyreg.training.checkpoints import load_module, load_weights

LPIPS_METRIC = Metric("LPIPS", "", "perceptual difference, AlexNet, version 0.1")
LAYERS = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
"""AlexNet's convolutions: channels, side, stride, padding."""
SMALLEST = 31
"""Pixels of the shortest side that AlexNet can see."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""What LPIPS subtracts from red, green and blue from -1 to 1, and divides by."""
EPSILON = 1e-10


class Lpips(nn.Module):
    """Weighted squared differences of AlexNet's features, after its five ReLUs.

    Source: "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (Zhang et al.
    2018). Features are divided by their length over the channels; squared differences are weighed
    by channel, averaged over the picture and added up over the layers.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.kept: list[int] = []
        channels = 3
        for number, (width, side, stride, padding) in enumerate(LAYERS):
            if number in (1, 2):
                layers.append(nn.MaxPool2d(3, 2))
            layers += [nn.Conv2d(channels, width, side, stride, padding), nn.ReLU()]
            self.kept.append(len(layers) - 1)
            channels = width
        self.features = nn.Sequential(*layers)
        self.weights = nn.ParameterList([torch.ones(1, width, 1, 1) for width, *_ in LAYERS])
        self.requires_grad_(False)

    @classmethod
    def load(cls, alexnet: str | os.PathLike, weights: str | os.PathLike) -> Lpips:
        """Read published weights.

        Args:
            alexnet: A state dict of torchvision's `alexnet`, trained on ImageNet.
            weights: The weights of the channels, alex.pth of LPIPS, version 0.1.

        Raises:
            UserError: a file is missing or damaged, or is of another network.
        """
        network = cls()
        features = load_weights(alexnet)
        inner = {name: t for name, t in features.items() if name.startswith("features.")}
        load_module(network.features, inner, "features.", alexnet)
        names = {f"lin{layer}.model.1.weight": str(layer) for layer in range(len(LAYERS))}
        found = {names.get(name, name): tensor for name, tensor in load_weights(weights).items()}
        load_module(network.weights, found, "", weights)
        return network

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Differences of pictures.

        Args:
            first, second: (N, 3, H, W) red, green, blue from -1 to 1, each side of `SMALLEST`
                pixels or more.

        Returns:
            (N,)
        """
        total = first.new_zeros(len(first))
        for weight, one, other in zip(
            self.weights, self._seen(first), self._seen(second), strict=True
        ):
            total = total + (weight * (one - other) ** 2).sum(1).mean((1, 2))
        return total

    def of_pictures(self, generated: np.ndarray, truth: np.ndarray) -> float:
        """The difference of two pictures (H, W, 3) uint8, blue, green, red; NaN if too small."""
        if min(truth.shape[:2]) < SMALLEST:
            return float("nan")
        pictures = (as_tensor(picture)[None] / 127.5 - 1 for picture in (generated, truth))
        with torch.inference_mode():
            return self(*pictures).item()

    def _seen(self, pictures: Tensor) -> list[Tensor]:
        """Features of every kept layer, of length 1 over the channels."""
        shift, scale = pictures.new_tensor((SHIFT, SCALE))[..., None, None]
        values = (pictures - shift) / scale
        found = []
        for place, layer in enumerate(self.features):
            values = layer(values)
            if place in self.kept:
                found.append(values / (values.square().sum(1, keepdim=True).sqrt() + EPSILON))
        return found


def as_tensor(picture: np.ndarray) -> Tensor:
    """A picture (H, W, 3) blue, green, red -> (3, H, W) float32 red, green, blue."""
    return torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1).float()
