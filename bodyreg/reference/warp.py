"""`bodyreg.ops.warp` in plain torch: four reads for every target pixel."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

VISIBLE, HIDDEN, BACKGROUND = 0, 1, 2
"""Codes of a target pixel: the source shows it, the source hides it, there is no person."""


@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    apart: Literal[False] = False,
) -> Tensor: ...
@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None,
    background: float,
    apart: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    *,
    apart: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    apart: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Reads a source where a flow points, see `bodyreg.ops.warp`."""
    pictures, channels, high, wide = features.shape
    column = torch.arange(flow.shape[3], dtype=flow.dtype, device=flow.device)
    row = torch.arange(flow.shape[2], dtype=flow.dtype, device=flow.device)[:, None]
    first_column, right = _along(column, flow[:, 0], wide)
    first_row, down = _along(row, flow[:, 1], high)
    # A corner outside the source is the zero behind its last pixel.
    pixels = torch.cat([features.flatten(2), features.new_zeros(pictures, channels, 1)], 2)
    warped = features.new_zeros(pictures, channels, *flow.shape[2:])
    for i, share_y in enumerate((1 - down, down)):
        for j, share_x in enumerate((1 - right, right)):
            r, c = first_row + i, first_column + j
            inside = (r >= 0) & (r < high) & (c >= 0) & (c < wide)
            pixel = torch.where(inside, r * wide + c, high * wide).flatten(1)
            corner = pixels.gather(2, pixel[:, None].expand(-1, channels, -1))
            warped = warped + (share_x * share_y)[:, None] * corner.view_as(warped)
    if visibility is None:
        return warped
    code = visibility[:, None]
    if not apart:
        return torch.where(code < BACKGROUND, warped, background)
    layers = [torch.where(code == layer, warped, 0) for layer in (VISIBLE, HIDDEN)]
    return warped, torch.cat(layers, 1)


def _along(pixel: Tensor, flow: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """One axis of the places that are read.

    Args:
        pixel: of the target, along this axis.
        flow: (B, H, W), along this axis.
        size: of the source.

    Returns:
        The first of the two source pixels (B, H, W) int64, -2 where nothing is read, and how far
        the place is from it to the next, 0 to 1.
    """
    place = pixel + flow if size > 1 else torch.where(flow.isnan(), flow, 0)
    seen = (place > -1) & (place < size)
    first = torch.where(seen, place, -2).detach().floor()
    share = torch.where(seen, place - first, torch.where(place.isnan(), place, 0))
    return first.long(), share
