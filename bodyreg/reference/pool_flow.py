"""`bodyreg.ops.pool_flow` in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bodyreg.reference.warp import BACKGROUND


def pool_flow(
    flow: Tensor, visibility: Tensor, factor: int, masked: bool = True
) -> tuple[Tensor, Tensor]:
    """Flow and visibility of a smaller target, see `bodyreg.ops.pool_flow`."""
    has_flow = (visibility < BACKGROUND)[:, None]
    total = _sums(torch.where(has_flow, flow, 0), factor)
    counted = has_flow if masked else torch.ones_like(has_flow)
    count = _sums(counted.to(flow), factor).clamp(min=1)
    least = _windows(visibility.clamp(max=BACKGROUND), factor, BACKGROUND).amin((-3, -1))
    return total / (factor * count), least


def _sums(pixels: Tensor, factor: int) -> Tensor:
    """(B, C, H, W): sums over windows."""
    return _windows(pixels, factor, 0).sum((-3, -1))


def _windows(pixels: Tensor, factor: int, beyond: int) -> Tensor:
    """(..., H / k, k, W / k, k), rounded up; pixels beyond the border have the value `beyond`."""
    *_, high, wide = pixels.shape
    padded = functional.pad(pixels, (0, -wide % factor, 0, -high % factor), value=beyond)
    rows, columns = -(-high // factor), -(-wide // factor)
    return padded.view(*pixels.shape[:-2], rows, factor, columns, factor)
