"""Random views and looks of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bodyreg.regression.looks import Looks
from bodyreg.regression.views import Views
from bodyreg.training.loops import check_numbers


@dataclass(frozen=True)
class AugmentationConfig:
    """How views and looks differ from the pictures. All values 0: not at all.

    Random numbers are drawn on the CPU, so they are the same for every device.

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

    def __post_init__(self) -> None:
        check_numbers(self, ())

    def views(self, count: int, random: torch.Generator) -> Views:
        """Random views of N pictures."""
        uniform = _uniform(count, random)
        return Views(
            mirror=uniform(0, 1) < self.mirror,
            angle=self.angle * uniform(-1, 1),
            zoom=(1 + self.zoom) ** uniform(-1, 1),
            shift=self.shift * uniform(-1, 1, 2),
        )

    def looks(self, count: int, random: torch.Generator) -> Looks:
        """Random looks of N pictures."""
        uniform = _uniform(count, random)
        return Looks(
            gain=1 + self.colour * uniform(-1, 1, 3),
            blur=(uniform(0, 1) < self.blur) * uniform(0, 1),
            middle=uniform(0, 1, 2),
            size=(uniform(0, 1, 1) < self.occlusion) * self.largest * uniform(0, 1, 2),
            paint=uniform(0, 1, 3),
        )


def _uniform(count: int, random: torch.Generator) -> Callable[..., Tensor]:
    """Uniform numbers (N, *shape) from low to high."""

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=random)

    return draw
