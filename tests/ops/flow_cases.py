"""Pairs of pictures for the tests of `flow`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bodyreg import reference
from tests.ops.cases import Draw
from tests.ops.raster_cases import soup, sphere


class Pairs(NamedTuple):
    """The tensors that `flow` takes, in its order, and its rules."""

    face: Tensor
    barycentric: Tensor
    vertices: Tensor
    faces: Tensor
    depth: Tensor
    rules: dict

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Pairs:
        def cast(x: Tensor) -> Tensor:
            return x.to(device, dtype if x.is_floating_point() else None)

        return Pairs(*map(cast, self[:5]), self.rules)

    def call(self, module):
        return module.flow(*self[:5], **self.rules)

    def select(self, pairs) -> Pairs:
        """Some of the pairs."""
        some = [x[pairs].contiguous() for x in (self.face, self.barycentric, self.vertices)]
        return Pairs(*some, self.faces, self.depth[pairs].contiguous(), self.rules)


def pairs_of(
    target: Tensor,
    source: Tensor,
    faces: Tensor,
    size: tuple[int, int],
    source_size: tuple[int, int],
    perspective: bool = False,
    **rules,
) -> Pairs:
    """Meshes (B, V, 3) in targets and in sources; heights and widths."""
    target, source = target.double(), source.double()
    shown = reference.raster(target, faces, *size, perspective=perspective)
    depth = reference.raster(source, faces, *source_size, perspective=perspective).depth
    rules["perspective"] = perspective
    return Pairs(shown.face, shown.barycentric, source, faces, depth, rules)


def loose(
    pairs: int,
    faces: int,
    size: tuple[int, int],
    source_size: tuple[int, int],
    *,
    perspective: bool = False,
    reach: float = 9,
) -> Pairs:
    """Loose triangles, which lie anywhere and any way round in the sources."""
    target, corners = soup(pairs, faces, *size, size=reach, perspective=perspective)
    source, _ = soup(
        pairs, faces, *source_size, size=reach, perspective=perspective, seed=pairs + 1
    )
    return pairs_of(target, source, corners, size, source_size, perspective)


def turned_sphere(
    rings: int, side: int, source_side: int, *, distance: float | None = None
) -> tuple[Pairs, Tensor]:
    """A ball that is turned between the pictures, and the turn (3, 3).

    distance: of its middle from a camera, in units of its radius; None = without perspective.
    """
    unit, faces = sphere(rings, 2, 2)
    unit = (unit.double() - torch.tensor([1.0, 1, 0])) / (0.47 * 2)
    unit = unit / unit.norm(dim=-1, keepdim=True) * torch.tensor([1.0, -1, 1])  # y up
    turn = Draw(rings + side).rotations(1)[0]
    target = seen(unit, side, distance)
    source = seen(unit @ turn.T, source_side, distance)
    sizes = (side, side), (source_side, source_side)
    return pairs_of(target, source, faces, *sizes, distance is not None), turn


def seen(points: Tensor, side: int, distance: float | None) -> Tensor:
    """Points (..., 3) of the unit ball in a picture: pixels and depth in radii of the picture."""
    radius = 0.45 * side
    x, y, z = points.unbind(-1)
    if distance is None:
        return torch.stack([side / 2 + radius * x, side / 2 - radius * y, radius * z], -1)
    z = z - distance
    # Its outline has the radius 1 / sqrt(distance² - 1) at distance 1.
    focal = radius * (distance**2 - 1) ** 0.5
    return torch.stack([side / 2 - focal * x / z, side / 2 + focal * y / z, radius * z], -1)
