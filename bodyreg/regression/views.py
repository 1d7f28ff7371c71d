"""Other views of the same pictures: mirrored, turned, zoomed and shifted.

A network sees a view, and what it says of the person is brought back into the person's own frame,
where labels and evidence are. So no label and no evidence is ever changed. In perspective this is
exact, too: a view of the picture of a camera is the picture of a camera whose axis meets it
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
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
        """Pictures as they are."""
        return cls(
            torch.zeros(count, dtype=torch.bool),
            torch.zeros(count),
            torch.ones(count),
            torch.zeros(count, 2),
        )

    def to(self, place: str | torch.device | torch.dtype) -> Views:
        """The same on another device, or in another floating-point type."""
        kinds = {"mirror": torch.bool} if isinstance(place, torch.dtype) else {}
        return Views(*(getattr(self, f.name).to(kinds.get(f.name, place)) for f in fields(self)))

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


@dataclass(frozen=True)
class AugmentationConfig:
    """How views and their looks differ from the pictures. All values 0: not at all.

    Attributes:
        mirror: Share of mirrored pictures.
        angle: Largest turn to either side, radians.
        zoom: Largest zoom in and out: 0.25 is from 1 / 1.25 to 1.25.
        shift: Largest shift along either axis, frame units.
        colour: Largest change of the strength of a colour, as a share.
        blur: Share of blurred pictures.
        occlusion: Share of pictures in which a rectangle hides something.
        largest: Its longest side, as a share of the picture's.
    """

    mirror: float = 0.5
    angle: float = 0.5
    zoom: float = 0.25
    shift: float = 0.1
    colour: float = 0.4
    blur: float = 0.3
    occlusion: float = 0.3
    largest: float = 0.5

    def views(self, count: int, random: torch.Generator) -> Views:
        """Random views of N pictures."""
        uniform = _uniform(count, random)
        return Views(
            mirror=uniform(0, 1) < self.mirror,
            angle=self.angle * uniform(-1, 1),
            zoom=(1 + self.zoom) ** uniform(-1, 1),
            shift=self.shift * uniform(-1, 1, 2),
        )

    def looks(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Pictures (N, 3, S, S), from 0 to 1, in other colours, blurred, and partly hidden.

        Random numbers are drawn on the CPU, so all devices show the same.
        """
        count, side = len(pictures), pictures.shape[-1]
        uniform = _uniform(count, random)
        gain = 1 + self.colour * uniform(-1, 1, 3, 1, 1)
        blurred = (uniform(0, 1, 1, 1, 1) < self.blur) * uniform(0, 1, 1, 1, 1)
        hidden = uniform(0, 1, 1, 1) < self.occlusion
        middle, size = side * uniform(0, 1, 2, 1, 1), side * self.largest * uniform(0, 1, 2, 1, 1)
        paint = uniform(0, 1, 3, 1, 1)

        places = torch.arange(side) + 0.5
        rows, columns = ((places - middle[:, i]).abs() < size[:, i] / 2 for i in (0, 1))
        rectangle = (hidden[:, :1] & rows.transpose(1, 2) & columns)[:, None].to(pictures.device)
        gain, blurred, paint = (t.to(pictures) for t in (gain, blurred, paint))
        pictures = (gain * pictures).clamp(max=1)
        pictures = pictures + blurred * (_blurred(pictures) - pictures)
        return torch.where(rectangle, paint, pictures)


def _uniform(count: int, random: torch.Generator) -> Callable[..., Tensor]:
    """Uniform numbers (N, *shape) from low to high."""

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=random)

    return draw


def _blurred(pictures: Tensor) -> Tensor:
    """Pictures after a binomial filter of five pixels along both axes."""
    weights = pictures.new_tensor([1, 4, 6, 4, 1]) / 16
    kernel = torch.outer(weights, weights).expand(3, 1, 5, 5)
    return functional.conv2d(functional.pad(pictures, (2, 2, 2, 2), "replicate"), kernel, groups=3)


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
