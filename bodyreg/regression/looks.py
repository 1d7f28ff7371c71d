"""Other looks of the same pictures: in other colours, blurred, and partly hidden."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Looks:
    """How each of N pictures looks. Places and sizes are shares of the picture's side.

    Attributes:
        gain: (N, 3) strengths of red, green and blue.
        blur: (N,) from 0, as it is, to 1, after a binomial filter of five pixels.
        middle: (N, 2) row and column of the middle of a rectangle that hides what is there.
        size: (N, 2) its height and width.
        paint: (N, 3) its colour.
    """

    gain: Tensor
    blur: Tensor
    middle: Tensor
    size: Tensor
    paint: Tensor

    def to(self, device: str | torch.device) -> Looks:
        """The same on another device."""
        return Looks(*(getattr(self, f.name).to(device) for f in fields(self)))

    def select(self, people: slice) -> Looks:
        """The looks of some of the pictures."""
        return Looks(*(getattr(self, f.name)[people] for f in fields(self)))

    def show(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, S, S), from 0 to 1, that look so."""
        pictures = (self.gain[..., None, None] * pictures).clamp(0, 1)
        blur = self.blur[:, None, None, None]
        pictures = pictures + blur * (_blurred(pictures) - pictures)
        side = pictures.shape[-1]
        places = (torch.arange(side, device=pictures.device) + 0.5) / side
        inside = (places - self.middle[..., None]).abs() < self.size[..., None] / 2
        rows, columns = inside.unbind(1)
        hidden = (rows[:, :, None] & columns[:, None])[:, None]
        return torch.where(hidden, self.paint[..., None, None], pictures)


def _blurred(pictures: Tensor) -> Tensor:
    """Pictures after a binomial filter of five pixels along both axes.

    A product with a matrix for each axis; a CPU takes ten times longer for a convolution.
    """
    side = pictures.shape[-1]
    rows, filtered = torch.arange(side), torch.zeros(side, side)
    for shift, weight in enumerate((1, 4, 6, 4, 1), -2):
        near = (rows + shift).clamp(0, side - 1)
        filtered.index_put_((rows, near), torch.tensor(weight / 16), accumulate=True)
    filtered = filtered.to(pictures)
    return filtered @ pictures @ filtered.T
