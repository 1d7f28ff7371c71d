"""What a flow network is taught by: flow at all resolutions, visibility, and parts.

Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer". All losses are (B,), of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bodyreg import ops
from bodyreg.data.deepfashion import PARTS
from bodyreg.errors import UserError
from bodyreg.flow.network import UNIT, Guess
from bodyreg.reference.flow import BACKGROUND, VISIBLE
from bodyreg.training.loops import check_numbers

COARSE = (0.005, 0.01, 0.02, 0.08, 0.32)
"""Weights of the resolutions in the paper's first code, from the finest to the coarsest."""


@dataclass(frozen=True)
class FlowLossConfig:
    """How losses are weighted, and what they are.

    Attributes:
        flow_weight, visibility_weight, part_weight: Of the three losses.
        full_size_weight: Of errors of the flow of full size, beside those of the smaller ones; the
            paper has none. A flow that is made larger mixes cells of the person with those beside,
            which nothing else teaches.
        order: Which resolution weighs most: `fine`: 0.32, and half of it with each coarser one, as
            in the paper's last code. `coarse`: `COARSE`, as before the paper; of fewer levels its
            last ones.
        norm: `l2`: lengths of errors. `l1`: means of their two components' absolute values.
        masked: Whether a cell's flow is the mean over the pixels that show the person; otherwise
            over all of its pixels, which draws it to 0 at an outline, as in the paper.
    """

    flow_weight: float = 1.0
    visibility_weight: float = 1.0
    part_weight: float = 5.0
    full_size_weight: float = 0.0
    order: Literal["fine", "coarse"] = "fine"
    norm: Literal["l2", "l1"] = "l2"
    masked: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, ())
        if self.order not in ("fine", "coarse"):
            raise UserError(f"order '{self.order}' is unknown; choose fine or coarse")
        if self.norm not in ("l2", "l1"):
            raise UserError(f"norm '{self.norm}' is unknown; choose l2 or l1")

    def level_weights(self, levels: int) -> tuple[float, ...]:
        """Of each resolution, from the finest.

        Raises:
            UserError: there are more levels than weights.
        """
        if self.order == "fine":
            return tuple(0.32 / 2**level for level in range(levels))
        if levels > len(COARSE):
            raise UserError(f"order 'coarse' has weights of {len(COARSE)} levels, not {levels}")
        return COARSE[len(COARSE) - levels :]

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """(B,) the weighted sum of `losses_of`."""
        return (
            self.flow_weight * losses["flow"]
            + self.visibility_weight * losses["visibility"]
            + self.part_weight * losses["parts"]
        )


def end_point_loss(
    config: FlowLossConfig, pyramid: list[Tensor], flow: Tensor, visibility: Tensor
) -> Tensor:
    """Errors of flow at all resolutions, over the cells that show the person.

        Σ_s w_s · mean over cells of ‖f_s − the mean of flow / UNIT over the cell‖

    Args:
        config: The weights w_s, and how means are taken.
        pyramid: Of a `Guess`.
        flow: (B, 2, H, W) pixels, the right one.
        visibility: (B, H, W) uint8, likewise.
    """
    total = flow.new_zeros(len(flow))
    weights = config.level_weights(len(pyramid))
    for level, (weight, found) in enumerate(zip(weights, pyramid, strict=True)):
        factor = 2 << level
        cells, kinds = ops.pool_flow(flow, visibility, factor, config.masked)
        error = found.float() - cells * (factor / UNIT)
        length = error.norm(dim=1) if config.norm == "l2" else error.abs().mean(1)
        total = total + weight * _mean_on_person(length, kinds)
    return total


def visibility_loss(logits: Tensor, visibility: Tensor) -> Tensor:
    """Cross-entropy of what pixels show, the mean over all pixels.

    Args:
        logits: (B, 3, H, W).
        visibility: (B, H, W) uint8, the right one.
    """
    return nn.functional.cross_entropy(logits.float(), visibility.long(), reduction="none").mean(
        (1, 2)
    )


def part_loss(
    found: Tensor, flow: Tensor, visibility: Tensor, source: Tensor, target: Tensor
) -> Tensor:
    """Errors of the flow at visible pixels that are sent to another part of the body.

        mean over pixels and components of |found − flow| / UNIT · wrong

    A pixel is wrong if no pixel of its part has a share in the place where `found` sends it. This
    depends on `found`, but has no gradient.

    Args:
        found: (B, 2, H, W) pixels.
        flow, visibility: (B, 2, H, W), (B, H, W) uint8, the right ones.
        source, target: (B, H, W) uint8, the parts that both pictures show; 0 is background.
    """
    found = found.float()
    kinds = torch.tensor(list(PARTS), device=source.device)[:, None, None]
    masks = (source[:, None] == kinds).to(found)
    with torch.no_grad():
        there = ops.warp(masks, found.detach().contiguous()) > 0
        own = target[:, None] == kinds
        wrong = ((own & ~there).any(1) & (visibility == VISIBLE))[:, None]
    return ((found - flow).abs() * wrong).mean((1, 2, 3)) / UNIT


def end_point_error(found: Tensor, flow: Tensor, visibility: Tensor) -> Tensor:
    """(B,) mean distance between flows (B, 2, H, W), over the pixels that show the person."""
    return _mean_on_person((found - flow).norm(dim=1), visibility)


def losses_of(
    config: FlowLossConfig,
    guess: Guess,
    flow: Tensor,
    visibility: Tensor,
    source: Tensor,
    target: Tensor,
) -> dict[str, Tensor]:
    """The three losses by name, unweighted; see the functions above for the arguments."""
    full_size = end_point_error(guess.flow.float(), flow, visibility) / UNIT
    of_levels = end_point_loss(config, guess.pyramid, flow, visibility)
    return {
        "flow": of_levels + config.full_size_weight * full_size,
        "visibility": visibility_loss(guess.logits, visibility),
        "parts": part_loss(guess.flow, flow, visibility, source, target),
    }


def _mean_on_person(values: Tensor, visibility: Tensor) -> Tensor:
    """(B,) means of values (B, H, W) where the target shows the person; 0 if it does nowhere."""
    shown = (visibility < BACKGROUND).to(values)
    return (values * shown).sum((1, 2)) / shown.sum((1, 2)).clamp(min=1)
