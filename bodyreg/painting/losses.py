"""How far painted pictures are from true ones.

Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer" (Li, Huang, Loy 2019), and its
released code for the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from bodyreg.errors import UserError
from bodyreg.metrics.images import K1, K2, SSIM
from bodyreg.painting.vgg import WIDTHS, Vgg19
from bodyreg.training.loops import check_numbers


@dataclass(frozen=True)
class PaintingLossConfig:
    """Weights of the losses of paintings.

    Attributes:
        colour: Of the mean absolute difference of the colours.
        structure: Of 1 - SSIM, see `similarity`. The paper has no such loss.
        content: Of the same of VGG-19's features.
        style: Of the same of the features' Gram matrices.
        levels: Shares of the five resolutions in content and style, from the finest.
        adversarial: Of what the discriminator says.
        adversarial_from: The first epoch, counted from 1, with a discriminator.
        least_squares: Whether a discriminator's scores have squared errors ("LSGAN") instead of
            cross-entropies.
    """

    colour: float = 1.0
    structure: float = 0.0
    content: float = 1.0
    style: float = 0.0
    levels: tuple[float, ...] = (0.125,) * 5
    adversarial: float = 0.01
    adversarial_from: int = 6
    least_squares: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, ("adversarial_from",))
        if len(self.levels) != len(WIDTHS) or not all(0 <= share < 1e6 for share in self.levels):
            raise UserError(f"levels {self.levels}: give {len(WIDTHS)} numbers, 0 or more")

    @property
    def has_features(self) -> bool:
        """Whether pictures are compared by VGG-19's features."""
        return self.content > 0 or self.style > 0


def vgg_for(config: PaintingLossConfig, path: Path | None) -> Vgg19 | None:
    """The network whose features are compared; None if none are.

    Args:
        config: Says so.
        path: Its weights, see `Vgg19.load`.

    Raises:
        UserError: the file is not given, missing, damaged, or of another network.
    """
    if not config.has_features:
        return None
    if path is None:
        raise UserError(
            "the losses content and style need VGG-19's weights: give torchvision's file (vgg19), "
            "or set content and style to 0"
        )
    return Vgg19.load(path)


def painting_losses(
    painted: Tensor, true: Tensor, config: PaintingLossConfig, vgg: Vgg19 | None = None
) -> dict[str, Tensor]:
    """How far pictures are from true ones; means over the batch, unweighted.

    Args:
        painted, true: (N, 3, H, W) from -1 to 1.
        config: Losses of weight 0 are left out.
        vgg: See `vgg_for`.

    Returns:
        By name (`colour`, `structure`, `content`, `style`), scalars. Gradients reach `painted`.
    """
    found = {"colour": functional.l1_loss(painted, true)}
    if config.structure > 0:
        found["structure"] = 1 - similarity(painted, true)
    if not config.has_features:
        return found
    if vgg is None:
        raise ValueError("vgg: expected a network, because content or style has a weight; got None")
    with torch.no_grad():
        expected = vgg(true)
    pairs = list(zip(vgg(painted), expected, config.levels, strict=True))
    if config.content > 0:
        found["content"] = sum(
            (share * functional.l1_loss(a, b) for a, b, share in pairs), painted.new_zeros(())
        )
    if config.style > 0:
        found["style"] = sum(
            (share * functional.l1_loss(gram(a), gram(b)) for a, b, share in pairs),
            painted.new_zeros(()),
        )
    return found


def similarity(painted: Tensor, true: Tensor) -> Tensor:
    """Structural similarity, the mean over windows of 7 x 7 inside the pictures, over channels.

    It is `ssim_7` of `metrics.images`, for values from -1 to 1 and 7 pixels or more a side.

    Args:
        painted, true: (N, 3, H, W).

    Returns:
        A scalar, at most 1. Its gradient is finite, for equal and for flat pictures too.
    """
    definition, extent = SSIM["ssim_7"], 2.0
    x, y = (picture + 1 for picture in (painted, true))  # from 0 on: SSIM compares brightness too

    def windowed(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, definition.side, 1)

    unbiased = definition.side**2 / (definition.side**2 - 1)
    mean_x, mean_y = windowed(x), windowed(y)
    variances = unbiased * (windowed(x * x + y * y) - mean_x**2 - mean_y**2)
    covariance = unbiased * (windowed(x * y) - mean_x * mean_y)
    c1, c2 = (K1 * extent) ** 2, (K2 * extent) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (similar / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))).mean()


def gram(features: Tensor) -> Tensor:
    """How features go together: (N, C, H, W) -> (N, C, C), sums over the places / (C H W)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def realism_loss(scores: Tensor, true: bool, config: PaintingLossConfig) -> Tensor:
    """How far a discriminator's scores are from those of true pictures, or of painted ones.

    Args:
        scores: Of `Discriminator`, any shape.
        true: Which of the two. A painter wants those of true pictures.
        config: Says which loss.

    Returns:
        The mean, a scalar.
    """
    wanted = torch.full_like(scores, float(true))
    if config.least_squares:
        return functional.mse_loss(scores, wanted)
    return functional.binary_cross_entropy_with_logits(scores, wanted)


def discriminator_loss(of_true: Tensor, of_painted: Tensor, config: PaintingLossConfig) -> Tensor:
    """What a discriminator learns from, weighted: half for each kind of picture.

    Args:
        of_true, of_painted: Its scores. Those of painted pictures are of detached ones.
        config: The weight, and which loss.
    """
    true, painted = realism_loss(of_true, True, config), realism_loss(of_painted, False, config)
    return config.adversarial * 0.5 * (true + painted)
