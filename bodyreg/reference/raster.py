"""`bodyreg.ops.raster` in plain torch: every pixel centre in the bounds of every face is tried."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SUBPIXELS = 256
"""Steps to which a pixel's width is rounded for coverage."""

FARTHEST = 2**61
"""Positions beyond this many steps are moved there: differences still fit 64 bits."""

NARROW = 2**29
"""Edge functions of positions up to this many steps fit 64 bits."""

PAIRS_AT_ONCE = 2**21


class Raster(NamedTuple):
    """What a camera sees of B meshes in pictures of H x W pixels.

    Attributes:
        face: (B, H, W) int32 the nearest face at a pixel's centre, -1 where there is none.
        barycentric: (B, H, W, 3) the centre's place in it, in the order of its vertices; 0 where
            there is none.
        depth: (B, H, W) there, larger is nearer; -inf where there is none.
    """

    face: Tensor
    barycentric: Tensor
    depth: Tensor


def raster(
    vertices: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    *,
    perspective: bool = False,
    cull: bool = False,
) -> Raster:
    """Draws meshes, see `bodyreg.ops.raster`. Coverage is exact, depths are compared in float64."""
    pictures = [
        _picture(one, faces.long(), height, width, perspective, cull) for one in vertices.detach()
    ]
    if not pictures:
        return Raster(
            faces.new_empty(0, height, width, dtype=torch.int32),
            vertices.new_empty(0, height, width, 3),
            vertices.new_empty(0, height, width),
        )
    return Raster(*(torch.stack(column) for column in zip(*pictures, strict=True)))


def _picture(
    vertices: Tensor, faces: Tensor, height: int, width: int, perspective: bool, cull: bool
) -> tuple[Tensor, Tensor, Tensor]:
    fixed = (vertices[:, :2].double() * SUBPIXELS).clamp(-FARTHEST, FARTHEST).round().long()
    # What is linear in the picture, and larger nearer to the viewer.
    near = -1 / vertices[:, 2].double() if perspective else vertices[:, 2].double()
    keep = torch.ones(len(faces), dtype=torch.bool, device=faces.device)
    if perspective:
        # In the dtype of the call: so near to 0 that the inverse has no number counts as 0.
        keep = ((vertices[:, 2] < 0) & (1 / vertices[:, 2]).isfinite())[faces].all(1)
    pixel, face, barycentric = _covered(fixed, faces, keep, height, width, cull)
    corner = near[faces[face]]
    value = corner[:, 0] + (barycentric[:, 1:] * (corner[:, 1:] - corner[:, :1])).sum(1)

    size = height * width
    best = value.new_full((size,), -torch.inf).scatter_reduce(0, pixel, value, "amax")
    nearest = value == best[pixel]
    owner = face.new_full((size,), len(faces))
    owner = owner.scatter_reduce(0, pixel[nearest], face[nearest], "amin")
    shown = nearest & (owner[pixel] == face)  # one pair for every pixel that is covered
    pixel, face, value = pixel[shown], face[shown], value[shown]
    barycentric = barycentric[shown]
    if perspective:
        barycentric = barycentric * corner[shown] / value[:, None]
        value = -1 / value
    face_out = torch.full((size,), -1, dtype=torch.int32, device=faces.device)
    barycentric_out = vertices.new_zeros(size, 3)
    depth_out = vertices.new_full((size,), -torch.inf)
    face_out[pixel] = face.int()
    barycentric_out[pixel] = barycentric.to(vertices)
    depth_out[pixel] = value.to(vertices)
    return (
        face_out.view(height, width),
        barycentric_out.view(height, width, 3),
        depth_out.view(height, width),
    )


def _covered(
    fixed: Tensor, faces: Tensor, keep: Tensor, height: int, width: int, cull: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of a pixel and a face that covers its centre, and the place in it.

    Args:
        fixed: (V, 2) int64 positions in steps.
        faces: (F, 3) int64.
        keep: (F,) bool, faces to look at.

    Returns:
        pixel: (N,) row-major.
        face: (N,).
        barycentric: (N, 3) float64, linear in the picture.
    """
    corners = fixed[faces]  # (F, 3, 2)
    # First and one past the last column and row whose centres lie within a face's bounds.
    half, size = SUBPIXELS // 2, torch.tensor([width, height], device=faces.device)
    first = -((half - corners.amin(1)) // SUBPIXELS)
    last = (corners.amax(1) - half) // SUBPIXELS + 1
    first, last = (bound.clamp(min=0).minimum(size) for bound in (first, last))
    wide, high = (last - first).clamp(min=0).unbind(1)
    count = wide * high * keep
    found = [_chunk(corners, first, wide, count, ids, width, cull) for ids in _chunks(count)]
    if not found:
        none = faces.new_empty(0)
        return none, none, torch.empty(0, 3, dtype=torch.float64, device=faces.device)
    pixel, face, barycentric = (torch.cat(column) for column in zip(*found, strict=True))
    return pixel, face, barycentric


def _chunks(count: Tensor) -> list[Tensor]:
    """The ids of faces with pixels in their bounds, in parts that fit memory."""
    ids = count.nonzero()[:, 0]
    part = (count[ids].cumsum(0) - 1) // PAIRS_AT_ONCE
    return list(ids.split(part.unique_consecutive(return_counts=True)[1].tolist()))


def _chunk(
    corners: Tensor,
    first: Tensor,
    wide: Tensor,
    count: Tensor,
    ids: Tensor,
    width: int,
    cull: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """`_covered` of the faces `ids`."""
    face = ids.repeat_interleave(count[ids])
    within = torch.arange(len(face), device=ids.device)
    within = within - (count[ids].cumsum(0) - count[ids]).repeat_interleave(count[ids])
    column = first[face, 0] + within % wide[face]
    row = first[face, 1] + within // wide[face]
    centre = torch.stack([column, row], 1) * SUBPIXELS + SUBPIXELS // 2
    pixel = row * width + column
    # 64 bits hold the products of positions that are near; beyond, Python's integers are exact.
    near = (corners[face].abs() <= NARROW).flatten(1).all(1)
    inside = torch.zeros_like(near)
    barycentric = torch.zeros(len(face), 3, dtype=torch.float64, device=ids.device)
    for some, integers in ((near, np.int64), (~near, object)):
        triangles, points = (
            x[some].cpu().numpy().astype(integers) for x in (corners[face], centre)
        )
        covers, share = _place(triangles, points, cull)
        inside[some] = torch.from_numpy(covers).to(ids.device)
        barycentric[some] = torch.from_numpy(share).to(ids.device)
    return pixel[inside], face[inside], barycentric[inside]


def _place(corners: np.ndarray, centre: np.ndarray, cull: bool) -> tuple[np.ndarray, np.ndarray]:
    """Whether centres lie in triangles, and where.

    The edge function of an edge from a to b at a point p is twice the signed area of (a, b, p). A
    point on an edge belongs to the triangle whose top or left edge it is. Nothing is rounded, so
    triangles that share an edge neither both cover a point nor both leave it out.

    Args:
        corners: (N, 3, 2) integers.
        centre: (N, 2) integers.
        cull: leave out back faces.

    Returns:
        inside: (N,) bool.
        barycentric: (N, 3) float64, of use inside.
    """
    a, b, c = (corners[:, i] for i in range(3))
    area = _cross(b - a, c - a)
    # y points down: a face that is counter-clockwise with y up has a negative area.
    inside = (area < 0) if cull else (area != 0)
    turn = np.where(area < 0, -1, 1)
    whole = np.where(area == 0, 1, turn * area)
    shares = []
    for start, end in ((b, c), (c, a), (a, b)):
        edge = turn[:, None] * (end - start)
        value = _cross(edge, centre - start)
        is_left = edge[:, 1] < 0
        is_top = (edge[:, 1] == 0) & (edge[:, 0] > 0)
        inside = inside & ((value > 0) | ((value == 0) & (is_left | is_top)))
        shares.append((value / whole).astype(np.float64))
    return inside.astype(bool), np.stack(shares, 1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
