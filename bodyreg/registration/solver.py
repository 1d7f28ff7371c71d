"""Adam on many small, separate problems at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bodyreg.registration.objective import Objective
from bodyreg.registration.schedule import Schedule

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


def minimise(objective: Objective, start: Tensor, schedule: Schedule) -> Tensor:
    """Adam from `start`, every person on his own: people share no parameter.

    All parameters are one tensor, so a step is a handful of operations whatever their number
    (torch.optim.Adam takes three times as long at this size and gives the same numbers).

    Args:
        objective: (B,108) -> (B,) losses.
        start: (B,108) parameters; not changed.
        schedule: Iterations, step sizes, weights.

    Returns:
        (B,108) parameters after the last step.
    """
    flat = start.detach().clone().requires_grad_()
    mean, square = torch.zeros_like(start), torch.zeros_like(start)
    ones = start.new_ones(len(start))
    for iteration in range(schedule.iterations):
        loss = objective(flat, schedule.setting(iteration))
        (gradient,) = torch.autograd.grad(loss, flat, ones)
        adam_step(
            flat.detach(), gradient, mean, square, iteration, schedule.learning_rate(iteration)
        )
    return flat.detach()


def adam_step(
    flat: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, iteration: int, rate: float
) -> None:
    """One step of Adam (Kingma & Ba 2015), in place.

    Args:
        flat, gradient: (B,108) parameters and the loss's gradient by them.
        mean, square: (B,108) running moments, zero before iteration 0.
        iteration: Counts from 0.
        rate: Step size.
    """
    mean.lerp_(gradient, 1 - FIRST_DECAY)
    square.mul_(SECOND_DECAY).add_((1 - SECOND_DECAY) * gradient * gradient)
    unbias = math.sqrt(1 - SECOND_DECAY ** (iteration + 1))
    step = rate / (1 - FIRST_DECAY ** (iteration + 1))
    flat.sub_(step * (mean / (square.sqrt() / unbias + EPSILON)))
