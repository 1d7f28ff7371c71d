"""What moves the weights of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class Muon(torch.optim.Muon):
    """torch's Muon, which moves matrices, for weights of convolutions.

    A weight (O, I, H, W) is moved as the matrix (O, I H W). Muon makes the singular values of each
    step alike, so that a network learns in all directions at once (Jordan et al., "Muon: An
    optimizer for hidden layers in neural networks", 2024). It computes in bfloat16.

    Args:
        weights: Contiguous, of at least two dimensions. Something else sets their gradients to
            zero, such as their module.
        rate: Learning rate; about twenty times that of Adam.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float) -> None:
        self._weights = list(weights)
        # Views: what moves a matrix moves its weight.
        matrices = [nn.Parameter(weight.detach().view(len(weight), -1)) for weight in self._weights]
        super().__init__(matrices, rate, weight_decay=0.0)

    def step(self, closure: Any = None) -> Any:
        """Move the weights by their gradients of now."""
        matrices = (matrix for group in self.param_groups for matrix in group["params"])
        for matrix, weight in zip(matrices, self._weights, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        return super().step(closure)


def optimizers_of(
    weights: Iterable[nn.Parameter], rate: float, muon: float = 0.0, **of_adam: Any
) -> dict[torch.optim.Optimizer, float]:
    """What moves weights, and the learning rates at the start.

    Args:
        weights: Of a network.
        rate: Adam's learning rate.
        muon: Muon's learning rate over that of Adam. Muon moves the weights of convolutions, and
            Adam the others; 0: Adam moves all.
        of_adam: Further options of Adam.
    """
    ours = list(weights)
    by_muon = [weight for weight in ours if muon and weight.dim() == 4]
    by_adam = [weight for weight in ours if not (muon and weight.dim() == 4)]
    found: dict[torch.optim.Optimizer, float] = {}
    if by_adam:
        found[torch.optim.Adam(by_adam, rate, **of_adam)] = rate
    if by_muon:
        found[Muon(by_muon, muon * rate)] = muon * rate
    return found
