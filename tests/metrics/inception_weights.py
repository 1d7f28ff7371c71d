"""Weights for the network of FID, of numbers that any machine draws alike, and a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bodyreg.metrics.inception import Inception


def made_weights() -> dict[str, Tensor]:
    """The tensors of a published file, with other numbers; batches are not counted."""
    random = np.random.default_rng(11)
    found = {}
    for name, tensor in Inception().state_dict().items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            values = random.uniform(0.5, 1.5, shape)
        else:
            values = random.standard_normal(shape)
            values *= (2 / np.prod(shape[1:])) ** 0.5 if len(shape) == 4 else 0.1
            values += name.endswith("bn.weight")
        found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def write_weights(path: Path) -> Path:
    torch.save(made_weights(), path)
    return path


class MeanColours(nn.Module):
    """A network that sees mean colours, as features and as logits."""

    widths = (3, 3)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        colours = pictures.mean((2, 3))
        return colours, colours / 40
