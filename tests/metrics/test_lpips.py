"""LPIPS against its definition, written with torchvision's layers by name."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d, relu

from bodyreg.errors import UserError
from bodyreg.metrics.lpips import SMALLEST, Lpips

PLACES = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384, 3), 8: (384, 256, 3), 10: (256, 256, 3)}
"""Torchvision's number of a convolution in `features` -> channels in and out, side."""


@pytest.fixture
def files(tmp_path):
    """Weights as torchvision and LPIPS publish them, with random numbers."""
    alexnet = {"classifier.1.weight": torch.zeros(2, 2)}
    for place, (channels, width, side) in PLACES.items():
        spread = (2 / (channels * side**2)) ** 0.5
        alexnet[f"features.{place}.weight"] = spread * torch.randn(width, channels, side, side)
        alexnet[f"features.{place}.bias"] = 0.1 * torch.randn(width)
    linear = {
        f"lin{layer}.model.1.weight": torch.rand(1, width, 1, 1)
        for layer, (_, width, _) in enumerate(PLACES.values())
    }
    paths = tmp_path / "alexnet.pth", tmp_path / "alex.pth"
    torch.save(alexnet, paths[0])
    torch.save(linear, paths[1])
    return paths


def by_definition(paths, generated, truth):
    alexnet, linear = (torch.load(path, weights_only=True) for path in paths)
    layers = []
    for picture in (generated, truth):
        values = 2 * picture[..., ::-1].astype(np.float32) / 255 - 1
        values = (values - np.float32([-0.030, -0.088, -0.188])) / np.float32([0.458, 0.448, 0.450])
        values = torch.from_numpy(values.transpose(2, 0, 1)[None].copy())
        found = []
        for place in PLACES:
            weight, bias = (alexnet[f"features.{place}.{kind}"] for kind in ("weight", "bias"))
            if place in (3, 6):
                values = max_pool2d(values, 3, 2)
            stride, padding = {0: (4, 2), 3: (1, 2)}.get(place, (1, 1))
            values = relu(conv2d(values, weight, bias, stride, padding))
            found.append(values[0].numpy().astype(np.float64))
        layers.append(found)
    total = 0.0
    for layer, (one, other) in enumerate(zip(*layers, strict=True)):
        one, other = (f / (np.sqrt((f**2).sum(0)) + 1e-10) for f in (one, other))
        weight = linear[f"lin{layer}.model.1.weight"].numpy()[0, :, 0, 0]
        total += (weight[:, None, None] * (one - other) ** 2).sum(0).mean()
    return total


@pytest.mark.parametrize("size", [(SMALLEST, SMALLEST), (64, 45), (128, 64)])
def test_it_is_its_definition(files, size):
    random = np.random.default_rng()
    generated, truth = random.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    network = Lpips.load(*files)
    expected = by_definition(files, generated, truth)
    assert network.of_pictures(generated, truth) == pytest.approx(expected, rel=1e-4)
    assert network.of_pictures(truth, truth) == 0


def test_a_picture_that_the_network_cannot_see(files):
    small = np.zeros((SMALLEST - 1, 99, 3), np.uint8)
    assert np.isnan(Lpips.load(*files).of_pictures(small, small))


def test_files_of_other_networks_are_refused(files):
    with pytest.raises(UserError, match=r"alex\.pth: its tensors are not those of this network"):
        Lpips.load(files[1], files[1])
    with pytest.raises(UserError, match=r"alexnet\.pth: its tensors are not those of this network"):
        Lpips.load(files[0], files[0])
