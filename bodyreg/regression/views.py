"""Other views of the same pictures: mirrored, turned, zoomed and shifted.

A network sees a view, and what it says of the person is brought back into the person's own frame,
where labels and evidence are. So no label and no evidence is ever changed. In perspective this is
exact, too: a view of the picture of a camera is the picture of a camera whose axis meets it
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from bodyreg.body import Parameters
from bodyreg.body.parameters import mirrored

MARGIN = 1.5
"""Sides of the crops that views are made of, over the sides of the frames."""


@dataclass(frozen=True)
class Views:
    """A view for each of N pictures: x -> zoom · turn(mirror(x)) + shift, in frame units.

    Attributes:
        mirror: (N,) bool, whether the picture is mirrored first.
        angle: (N,) radians, counter-clockwise as the picture is seen.
        zoom: (N,) above 0.
        shift: (N, 2) frame units, y up.
    """

    mirror: Tensor
    angle: Tensor
    zoom: Tensor
    shift: Tensor

    @classmethod
    def plain(cls, count: int) -> Views:
        """N pictures as they are."""
        zero = torch.zeros(count)
        return cls(zero > 0, zero, zero + 1, torch.zeros(count, 2))

    def to(self, place: str | torch.device | torch.dtype) -> Views:
        """The same on another device, or in another floating-point type."""
        kinds = {"mirror": torch.bool} if isinstance(place, torch.dtype) else {}
        return Views(*(getattr(self, f.name).to(kinds.get(f.name, place)) for f in fields(self)))

    def select(self, people: slice) -> Views:
        """The views of some of the people."""
        return Views(*(getattr(self, f.name)[people] for f in fields(self)))

    def place(self, points: Tensor) -> Tensor:
        """Where the views show points (N, P, 2) of the frames."""
        signs = torch.where(self.mirror, -1.0, 1.0).to(points)[:, None]
        x, y = points.unbind(2)
        turned = _turned(torch.stack([signs * x, y], 2), self.angle)
        return self.zoom[:, None, None] * turned + self.shift[:, None]

    def place_back(self, points: Tensor) -> Tensor:
        """Where points (N, P, 2) of the views are in the frames; the inverse of `place`."""
        turned = (points - self.shift[:, None]) / self.zoom[:, None, None]
        x, y = _turned(turned, -self.angle).unbind(2)
        signs = torch.where(self.mirror, -1.0, 1.0).to(points)[:, None]
        return torch.stack([signs * x, y], 2)

    def apply(self, parameters: Parameters) -> Parameters:
        """The parameters of N people as the views show them. Differentiable."""
        p = _chosen(self.mirror, mirrored(parameters), parameters)
        shown = _turned(p.translation[:, None], self.angle)[:, 0]
        return p._replace(
            rotation=_turned_bodies(p.rotation, self.angle),
            translation=self.zoom[:, None] * shown + self.shift,
            scale=self.zoom * p.scale,
        )

    def undo(self, parameters: Parameters) -> Parameters:
        """The parameters of N people in their frames, of those in the views. Differentiable."""
        shown = (parameters.translation - self.shift) / self.zoom[:, None]
        p = parameters._replace(
            rotation=_turned_bodies(parameters.rotation, -self.angle),
            translation=_turned(shown[:, None], -self.angle)[:, 0],
            scale=parameters.scale / self.zoom,
        )
        return _chosen(self.mirror, mirrored(p), p)

    def show(self, crops: Tensor, side: int) -> Tensor:
        """The views of pictures.

        Args:
            crops: (N, 3, S, S), of frames whose sides are `MARGIN` times longer.
            side: Of the views, pixels.

        Returns:
            (N, 3, side, side); black where there is no picture.
        """
        middles = (torch.arange(side, device=crops.device, dtype=crops.dtype) + 0.5) * 2 / side - 1
        x, y = torch.meshgrid(middles, -middles, indexing="xy")
        points = torch.stack([x, y], 2).flatten(0, 1).expand(len(crops), -1, -1)
        source = self.place_back(points) / MARGIN
        grid = (source * source.new_tensor([1.0, -1.0])).unflatten(1, (side, side))
        return functional.grid_sample(crops, grid, align_corners=False)


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    """Points (N, P, 2) after a turn about the origin."""
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    x, y = points.unbind(2)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], 2)


def _turned_bodies(rotation: Tensor, angle: Tensor) -> Tensor:
    """Rotations (N, 3, 3) after a turn about the axis of the view."""
    flat = _turned(rotation[:, :2].transpose(1, 2), angle).transpose(1, 2)
    return torch.cat([flat, rotation[:, 2:]], 1)


def _chosen(mask: Tensor, ones: Parameters, others: Parameters) -> Parameters:
    blocks = zip(ones, others, strict=True)
    return Parameters(*(torch.where(_like(mask, a), a, b) for a, b in blocks))


def _like(mask: Tensor, block: Tensor) -> Tensor:
    return mask.reshape(-1, *[1] * (block.dim() - 1))
