"""Losses of paintings against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from bodyreg import UserError
from bodyreg.metrics.images import ssim
from bodyreg.painting import (
    PaintingLossConfig,
    Vgg19,
    discriminator_loss,
    painting_losses,
    realism_loss,
    vgg_for,
)
from bodyreg.painting.lessons import colours
from bodyreg.training.imagenet import PICTURE_MEAN, PICTURE_SPREAD
from bodyreg.training.loops import seeded

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Places of torchvision's vgg19 that have weights; a pooling is at 4, 9, 18, 27 and 36."""
CHANNELS = (64, 64, 128, 128, *[256] * 4, *[512] * 8)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """As of torchvision's vgg19, but for the large matrices that tell classes."""
    random, found, inputs = torch.Generator().manual_seed(0), {}, 3
    for place, outputs in zip(CONVOLUTIONS, CHANNELS, strict=True):
        weight = torch.randn(outputs, inputs, 3, 3, generator=random) * (2 / 9 / inputs) ** 0.5
        bias = weight[:, 0, 0, 0].clone()
        found |= {f"features.{place}.weight": weight, f"features.{place}.bias": bias}
        inputs = outputs
    return found | {"classifier.0.bias": torch.zeros(4)}


@pytest.fixture(scope="module")
def vgg(weights, tmp_path_factory) -> Vgg19:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(weights, path)
    return Vgg19.load(path)


def pictures(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    painted, true = torch.rand(2, 2, 3, 32, 32, generator=random) * 2 - 1
    return painted, true


def features(weights: dict[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    mean, spread = (torch.tensor(v)[:, None, None] for v in (PICTURE_MEAN, PICTURE_SPREAD))
    x, found = ((x + 1) / 2 - mean) / spread, []
    for place in range(29):
        if place in (4, 9, 18, 27):
            x = functional.max_pool2d(x, 2)
        elif place in CONVOLUTIONS:
            names = f"features.{place}.weight", f"features.{place}.bias"
            x = functional.conv2d(x, *(weights[name] for name in names), padding=1).relu()
            if place in (0, 5, 10, 19, 28):
                found.append(x)
    return found


def test_losses_follow_their_formulas(weights, vgg):
    painted, true = pictures(1)
    painted.requires_grad_()
    levels = (0.5, 0.4, 0.3, 0.2, 0.1)
    config = PaintingLossConfig(style=1, levels=levels)
    found = painting_losses(painted, true, config, vgg)
    assert set(found) == {"colour", "content", "style"}
    pairs = list(zip(features(weights, painted), features(weights, true), strict=True))
    expected = {
        "colour": (painted - true).abs().mean(),
        "content": sum(s * (a - b).abs().mean() for s, (a, b) in zip(levels, pairs, strict=True)),
        "style": sum(
            s
            * (torch.einsum("nchw,ndhw->ncd", a, a) - torch.einsum("nchw,ndhw->ncd", b, b))
            .abs()
            .mean()
            / a[0].numel()
            for s, (a, b) in zip(levels, pairs, strict=True)
        ),
    }
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-7)
    sum(found.values()).backward()
    assert painted.grad.isfinite().all()
    assert all(weight.grad is None for weight in vgg.parameters())


def test_the_same_pictures_have_no_loss(vgg):
    _, true = pictures(2)
    found = painting_losses(true, true, PaintingLossConfig(style=1), vgg)
    assert {name: value.item() for name, value in found.items()} == dict.fromkeys(found, 0)


@pytest.mark.parametrize("size", [(7, 7), (12, 9), (33, 64)])
def test_structure_is_the_metric(size):
    random = np.random.default_rng(5)
    shown = random.integers(0, 256, (2, 2, *size, 3), dtype=np.uint8)
    shown[1] = (shown[0] * 0.7 + shown[1] * 0.3).astype(np.uint8)
    shown[:, 0, :4] = 255  # flat, as backdrops are
    expected = 1 - np.mean([ssim(a, b, "ssim_7") for a, b in zip(*shown, strict=True)])
    painted, true = colours(torch.from_numpy(shown).permute(0, 1, 4, 2, 3))
    painted.requires_grad_()
    found = painting_losses(painted, true, PaintingLossConfig(structure=1, content=0))
    assert set(found) == {"colour", "structure"}
    assert found["structure"].item() == pytest.approx(expected, abs=2e-5)
    found["structure"].backward()
    assert painted.grad.isfinite().all() and painted.grad.abs().max() > 0


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_structure_of_flat_pictures(level):
    flat = torch.full((2, 3, 16, 16), level, requires_grad=True)
    found = painting_losses(flat, flat.detach(), PaintingLossConfig(structure=1, content=0))
    assert found["structure"].item() == pytest.approx(0, abs=1e-6)
    found["structure"].backward()
    assert flat.grad.isfinite().all()


def test_losses_without_weight_are_left_out(vgg):
    painted, true = pictures(3)
    assert set(painting_losses(painted, true, PaintingLossConfig(content=0))) == {"colour"}
    assert set(painting_losses(painted, true, PaintingLossConfig(), vgg)) == {"colour", "content"}
    with pytest.raises(ValueError, match="vgg: expected a network"):
        painting_losses(painted, true, PaintingLossConfig())


@pytest.mark.parametrize("least_squares", [False, True])
def test_realism(least_squares):
    config = PaintingLossConfig(least_squares=least_squares, adversarial=0.25)
    random = torch.Generator().manual_seed(4)
    of_true, of_painted = (3 * torch.randn(2, 5, 1, 4, 3, generator=random)).double()

    def expected(scores: torch.Tensor, wanted: int) -> torch.Tensor:
        if least_squares:
            return (scores - wanted).square().mean()
        share = torch.sigmoid(scores)
        return -torch.log(share if wanted else 1 - share).mean()

    for wanted in (0, 1):
        found = realism_loss(of_true, bool(wanted), config)
        torch.testing.assert_close(found, expected(of_true, wanted))
    found = discriminator_loss(of_true, of_painted, config)
    torch.testing.assert_close(found, 0.125 * (expected(of_true, 1) + expected(of_painted, 0)))
    assert realism_loss(torch.full((2,), -1e4), True, config).isfinite()


def test_weights_that_are_asked_for(tmp_path):
    assert vgg_for(PaintingLossConfig(content=0), None) is None
    with pytest.raises(UserError, match=r"need VGG-19's weights: give torchvision's file"):
        vgg_for(PaintingLossConfig(), None)
    with pytest.raises(UserError, match="no such weights file"):
        vgg_for(PaintingLossConfig(), tmp_path / "none.pth")


def test_weights_of_another_network(tmp_path, weights):
    some = {name: t for name, t in weights.items() if not name.startswith("features.28")}
    path = tmp_path / "vgg.safetensors"
    save_file(some, path)
    with pytest.raises(UserError, match="its tensors are not those of this network"):
        Vgg19.load(path)
    with seeded(5):
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "vgg.pth")
    with pytest.raises(UserError, match="its tensors are not those of this network"):
        Vgg19.load(tmp_path / "vgg.pth")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": (1.0,)}, "give 5 numbers"),
        ({"levels": (1.0, 1.0, 1.0, 1.0, -1.0)}, "give 5 numbers"),
        ({"colour": -1}, "option colour is -1"),
        ({"adversarial_from": 0}, "option adversarial_from is 0"),
    ],
)
def test_weights_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        PaintingLossConfig(**options)
