"""`bodyreg.ops.flow` in plain torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

VISIBLE, HIDDEN, BACKGROUND = 0, 1, 2
"""What a source shows of a pixel of a target."""

LEAST, MOST = 0.5, 4.0
"""The tolerance of a level surface, and the most that its slope adds, pixels. Chosen on made people
in pictures of 256 pixels: half or twice LEAST, or twice MOST, changed the share of right pixels by
less than 1 of 1,000."""


class Flow(NamedTuple):
    """Where B targets of H x W pixels are in their sources.

    Attributes:
        flow: (B, H, W, 2) x and y, from a pixel's centre to its place in the source, pixels; 0 on
            the background.
        visibility: (B, H, W) uint8: 0 the source shows this place, 1 it hides it or lacks it,
            2 background: the target shows no body.
    """

    flow: Tensor
    visibility: Tensor


def flow(
    face: Tensor,
    barycentric: Tensor,
    vertices: Tensor,
    faces: Tensor,
    depth: Tensor,
    *,
    perspective: bool = False,
    least: float = LEAST,
    most: float = MOST,
) -> Flow:
    """Where targets are in their sources, see `bodyreg.ops.flow`."""
    out = barycentric.new_zeros(*face.shape, 2)
    visibility = torch.full_like(face, BACKGROUND, dtype=torch.uint8)
    pair, row, column = (face >= 0).nonzero(as_tuple=True)
    corner = vertices[pair[:, None], faces[face[pair, row, column].long()].long()]  # (P, 3, 3)
    x, y, z = corner.unbind(-1)
    near = _nearness(z, perspective)
    share = barycentric[pair, row, column]
    _, second, third = share.unbind(-1)
    steps, in_front = torch.ones_like(second), torch.ones_like(pair, dtype=torch.bool)
    if perspective:
        # Barycentrics of the point in space -> those in the picture.
        own = _mix(z, second, third)
        here = _nearness(own, True)
        in_front = (near > 0).all(1) & (here > 0)
        second, third, steps = second * z[:, 1] / own, third * z[:, 2] / own, here * here
    place = torch.stack([_mix(x, second, third), _mix(y, second, third)], -1)
    here = _mix(near, second, third)

    known = place.isfinite().all(1) & here.isfinite()
    if perspective:
        known = torch.where(in_front, known, own.isfinite())
    centre = torch.stack([column, row], -1) + 0.5
    out[pair, row, column] = torch.where((known & in_front)[:, None], place - centre, 0)

    (ux, vx), (uy, vy), (un, vn) = (_sides(corners) for corners in (x, y, near))
    area = ux * vy - uy * vx  # negative: the outside of the surface faces the viewer
    rise = ((un * vy - vn * uy).abs() + (vn * ux - un * vx).abs()) / (-2 * area * steps)
    size = torch.tensor([depth.shape[2], depth.shape[1]], device=depth.device)
    shown = known & in_front & ((place >= 0) & (place < size)).all(1) & (area < 0)
    at = torch.where(shown[:, None], place, 0).long()
    nearest = depth[pair, at[:, 1], at[:, 0]] if depth.numel() else -torch.inf * here
    gap = (_nearness(nearest, perspective) - here) / steps
    shown = shown & ~(gap > least + torch.where(rise < most, rise, most))
    kind = torch.where(known, torch.where(shown, VISIBLE, HIDDEN), BACKGROUND)
    visibility[pair, row, column] = kind.to(torch.uint8)
    return Flow(out, visibility)


def _nearness(z: Tensor, perspective: bool) -> Tensor:
    """What is linear in the picture and larger nearer to the viewer; 0 at and behind the camera."""
    if not perspective:
        return z
    near = -1 / z
    return torch.where((z < 0) & near.isfinite(), near, 0)


def _mix(corners: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Numbers of vertices (P, 3) at the barycentrics of the second and of the third one."""
    first, *_ = corners.unbind(1)
    one, two = _sides(corners)
    return first + second * one + third * two


def _sides(corners: Tensor) -> tuple[Tensor, Tensor]:
    """How numbers of vertices (P, 3) differ from the first one's."""
    return corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
