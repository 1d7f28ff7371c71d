"""What moves the weights of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
"""Of Muon."""

ITERATION = (3.4445, -4.7750, 2.0315)
"""Coefficients a, b, c of x -> a x + b x³ + c x⁵, which takes a singular value toward 1."""

ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon: steps whose singular values are about 1, so that all directions are learnt at once.

    A weight (O, I, H, W) of a convolution is moved as the matrix (O, I H W) by

        M <- 0.95 M + 0.05 G        step = -rate max(1, O / (I H W))^½ f(0.95 M + 0.05 G)

    where G is the gradient and f replaces the singular values of a matrix by numbers from 0.7 to
    1.2, with five Newton-Schulz iterations. Source: Jordan et al., "Muon: An optimizer for hidden
    layers in neural networks" (2024). torch.optim.Muon takes matrices alone, and computes in
    bfloat16, which takes a dozen times as long on processors without it; this one is in float32.

    Args:
        weights: Of at least two dimensions.
        rate: Learning rate; about twenty times that of Adam.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float) -> None:
        super().__init__(list(weights), {"lr": rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the weights by their gradients of now."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if not self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
                momentum = self.state[weight]["momentum_buffer"].lerp_(weight.grad, 1 - MOMENTUM)
                matrix = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))
                longer = math.sqrt(max(1, len(matrix) / matrix.shape[1]))
                weight.sub_(matrix.view_as(weight), alpha=group["lr"] * longer)


def orthogonal(matrix: Tensor) -> Tensor:
    """(M, N) with the same singular vectors, and singular values from 0.7 to 1.2.

    Those that are less than about 1e-3 of all together become less than that.

    An iteration multiplies x by a polynomial of x xᵀ, so all of them together multiply the matrix
    by one symmetric factor. That is found from the M x M matrix x xᵀ alone: convolutions have
    N = 9 M or more, and this takes a third of the time.
    """
    x = matrix.mT if len(matrix) > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = ITERATION
    square, every = x @ x.mT, torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = torch.addmm(square, square, square, beta=b, alpha=c)
        factor.diagonal().add_(a)
        every, square = factor @ every, factor @ square @ factor
    x = every @ x
    return x.mT if len(matrix) > matrix.shape[1] else x


class Optimizers:
    """What moves the weights of a network that learn: Adam, or Muon those of hidden layers.

    Hidden layers are convolutions without a bias, because a normalisation follows them. Last layers
    have a bias, and are Adam's: Muon's steps do not become smaller with the gradient, so a last
    layer does not come to rest.

    Args:
        network: Whose weights.
        rate: Adam's learning rate.
        muon: Muon's learning rate over that of Adam; 0: Adam moves all weights.
        of_adam: Further options of Adam.
    """

    def __init__(self, network: nn.Module, rate: float, muon: float = 0.0, **of_adam: Any) -> None:
        hidden = {
            layer.weight
            for layer in network.modules()
            if muon and isinstance(layer, nn.Conv2d) and layer.bias is None
        }
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        by_muon = [weight for weight in learning if weight in hidden]
        by_adam = [weight for weight in learning if weight not in hidden]
        self._rates: dict[torch.optim.Optimizer, float] = {}
        if by_adam:
            self._rates[torch.optim.Adam(by_adam, rate, **of_adam)] = rate
        if by_muon:
            self._rates[Muon(by_muon, muon * rate)] = muon * rate

    @property
    def by_name(self) -> dict[str, torch.optim.Optimizer]:
        """Name -> optimizer, for `Progress`."""
        return {type(optimizer).__name__: optimizer for optimizer in self._rates}

    def set_share(self, share: float) -> None:
        """Give all weights this share of their learning rates at the start."""
        for optimizer, rate in self._rates.items():
            set_learning_rate(share * rate, optimizer)

    def step(self) -> None:
        """Move the weights by their gradients of now."""
        for optimizer in self._rates:
            optimizer.step()


def set_learning_rate(rate: float, *optimizers: torch.optim.Optimizer) -> None:
    """Give all parameters this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
