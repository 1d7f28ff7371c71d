"""Meshes for the tests of `raster`, drawn so that float32 holds their numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.ops.cases import Draw

SUBPIXELS = 256


def soup(
    pictures: int,
    faces: int,
    height: int,
    width: int,
    *,
    size: float = 6,
    perspective: bool = False,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Triangles that share no vertex, `size` pixels large, some of them partly outside.

    Returns:
        vertices (B, 3 F, 3) float32 and faces (F, 3).
    """
    draw = Draw(seed)
    middle = torch.stack(
        [
            draw.uniform(-2, width + 2, pictures, faces),
            draw.uniform(-2, height + 2, pictures, faces),
            draw.uniform(-9, -2 if perspective else 9, pictures, faces),
        ],
        -1,
    )
    spread = torch.tensor([size, size, 1.0]).double()
    corners = middle[:, :, None] + draw.normal(pictures, faces, 3, 3) * spread
    if perspective:
        corners[..., 2].clamp_(max=0.5)  # some reach behind the camera
    return corners.flatten(1, 2).float(), torch.arange(3 * faces, dtype=torch.int32).view(-1, 3)


def tangle(
    pictures: int, vertices: int, faces: int, height: int, width: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Large triangles that share few vertices, on and off the picture."""
    draw = Draw(seed)
    places = draw.uniform(-0.5, 1.5, pictures, vertices, 3)
    places = places * torch.tensor([width, height, 10.0]).double()
    # No triangle twice: what is equally near is a matter of rounding then.
    chosen = torch.combinations(torch.arange(vertices), 3)
    order = torch.randperm(len(chosen), generator=draw.generator)[:faces]
    return places.float(), chosen[order].int().contiguous()


def sphere(rings: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A closed surface: vertices (1, V, 3) that nearly fill the picture, faces outside out."""
    columns = 2 * rings
    down = (torch.pi / rings * torch.arange(1, rings).double())[:, None]
    round_ = 2 * torch.pi / columns * torch.arange(columns).double()
    belt = torch.stack(
        torch.broadcast_tensors(down.sin() * round_.cos(), down.sin() * round_.sin(), down.cos()),
        -1,
    )
    poles = torch.tensor([[0.0, 0, 1], [0, 0, -1]]).double()
    number = 2 + torch.arange((rings - 1) * columns).view(rings - 1, columns)
    upper, lower = number[:-1], number[1:]
    north, south = torch.zeros_like(number[0]), torch.ones_like(number[0])
    faces = [
        torch.stack([north, number[0], number[0].roll(-1)], -1),
        torch.stack([number[-1], south, number[-1].roll(-1)], -1),
        torch.stack([upper, lower, lower.roll(-1, 1)], -1),
        torch.stack([upper, lower.roll(-1, 1), upper.roll(-1, 1)], -1),
    ]
    turned = torch.cat([poles, belt.flatten(0, 1)]) @ Draw(rings).rotations(1)[0]
    vertices = turned * (0.47 * min(height, width)) * torch.tensor([1.0, -1.0, 1.0])
    vertices = vertices + torch.tensor([width / 2, height / 2, 0.0])
    faces = torch.cat([face.reshape(-1, 3) for face in faces]).int()
    return vertices[None].float().contiguous(), faces


def fan(reach: float, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Triangles around a point, as far out as `reach`: together they cover the picture."""
    draw = Draw(seed)
    angle = torch.linspace(0, 2 * torch.pi, 12, dtype=torch.float64)[:-1]
    angle = angle + 0.2 * draw.uniform(-1, 1, 11)
    outer = reach * torch.stack([angle.cos(), angle.sin()], -1)
    middle = torch.tensor([[width * 0.37, height * 0.61]]).double()
    places = torch.cat([middle, outer + middle, 0 * middle], 0)[:12]
    vertices = torch.cat([places, draw.normal(12, 1)], 1)
    steps = torch.arange(11)
    faces = torch.stack([0 * steps, 1 + steps, 1 + (steps + 1) % 11], 1)
    return vertices[None].float(), faces.int()


def grid(cells: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A wrinkled sheet of 2 n² triangles that covers the picture, some corners on pixel centres."""
    draw = Draw(seed)
    line = torch.linspace(-0.2, 1.2, cells + 1, dtype=torch.float64)
    y, x = torch.meshgrid(line * height, line * width, indexing="ij")
    places = torch.stack([x, y], -1).view(-1, 2)
    places = places + 0.2 * draw.uniform(-1, 1, len(places), 2) * min(height, width) / cells
    on_centre = draw.uniform(0, 1, len(places)) < 0.5
    places[on_centre] = places[on_centre].floor() + 0.5
    vertices = torch.cat([places, draw.normal(len(places), 1)], 1)
    corner = (torch.arange(cells)[:, None] * (cells + 1) + torch.arange(cells)).flatten()
    right, below, across = corner + 1, corner + cells + 1, corner + cells + 2
    faces = torch.stack([corner, below, across, corner, across, right], 1).view(-1, 3)
    return vertices[None].float(), faces.int()


def coverage(draw, vertices: Tensor, faces: Tensor, height: int, width: int, **rules) -> Tensor:
    """(H, W) how many faces of one mesh cover each pixel: each is drawn in a picture of its own."""
    corners = vertices[0][faces.long()].contiguous()
    alone = torch.arange(3, dtype=torch.int32, device=faces.device)[None]
    return (draw(corners, alone, height, width, **rules).face >= 0).sum(0)
