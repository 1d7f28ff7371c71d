"""The composed solver: Adam on the objective, differentiated term by term.

It is what `bodyreg.ops.fit` means, which does the same in one kernel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor

from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration.losses import TERMS
from bodyreg.registration.objective import ExtraLoss, Objective
from bodyreg.registration.padding import pad
from bodyreg.registration.schedule import ADAM, Setting, phases

Losses = Callable[[Tensor, Setting], Tensor]
"""(B,108) parameters and a setting -> (B,) losses: an `Objective`, or one like it."""

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


def fit(
    engine: ModuleType,
    start: Tensor,
    rig: Rig,
    evidence: Evidence,
    plan: Plan,
    extra_loss: ExtraLoss | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Follow a plan of Adam. `plan.refresh` is not read: the objective is exact at every step.

    Args:
        engine: `bodyreg.ops` or `bodyreg.reference`.
        start: (B,C,108) parameters of C starts per person.
        rig: Constants of the body.
        evidence: Evidence of the B people.
        plan: Settings and phases; of Adam only.
        extra_loss: A term added to the objective as it is.

    Returns:
        (B,108) parameters of the best candidate; (B,) losses; (B,T) weighted terms in the order of
        `TERMS`, with the extra one last.
    """
    padded = pad(rig, evidence)
    candidates, flat = start.shape[1], start.flatten(0, 1)
    settings = [Setting.of_row(row) for row in plan.settings.tolist()]
    final, begin = settings[-1], 0
    for solver, iterations, kept in phases(plan):
        if solver != ADAM:
            raise ValueError("plan: expected phases of Adam alone; ops.fit has the other solver")
        objective = Objective(engine, rig, padded.repeat(candidates), plan, extra_loss)
        flat = minimise(objective, flat, settings[begin : begin + iterations])
        flat = _best(objective, flat, final, candidates, min(kept, candidates))
        candidates, begin = min(kept, candidates), begin + iterations
    with torch.no_grad():
        terms = Objective(engine, rig, padded, plan, extra_loss).terms(flat, final)
    names = TERMS if extra_loss is None else (*TERMS, "extra")
    zero = flat.new_zeros(len(flat))
    weighted = [final.weights.get(name, 1.0) * terms.get(name, zero) for name in names]
    loss = functools.reduce(torch.add, weighted)
    return flat, loss, torch.stack(weighted, 1)


def minimise(objective: Losses, start: Tensor, settings: Sequence[Setting]) -> Tensor:
    """Adam from `start`, for every person separately: people share no parameter.

    All parameters are one tensor, so a step is few operations. torch.optim.Adam gives the same
    numbers and takes three times as long at this size.

    Args:
        objective: (B,108) -> (B,) losses.
        start: (B,108) parameters; not changed.
        settings: Weights and step size of every iteration.

    Returns:
        (B,108) parameters after the last step.
    """
    flat = start.detach().clone().requires_grad_()
    mean, square = torch.zeros_like(start), torch.zeros_like(start)
    ones = start.new_ones(len(start))
    for iteration, setting in enumerate(settings):
        with torch.enable_grad():  # also where the caller has turned it off
            loss = objective(flat, setting)
        (gradient,) = torch.autograd.grad(loss, flat, ones)
        adam_step(flat.detach(), gradient, mean, square, iteration, setting.learning_rate)
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


def _best(objective: Objective, flat: Tensor, final: Setting, candidates: int, kept: int) -> Tensor:
    """Of every person's candidates, in a row, the `kept` ones of lowest final loss, best first."""
    if candidates == 1:
        return flat
    with torch.no_grad():
        loss = objective(flat, final)
    loss = loss.nan_to_num(nan=torch.inf).view(-1, candidates)
    order = loss.argsort(dim=1, stable=True)[:, :kept]
    chosen = flat.view(-1, candidates, flat.shape[1]).gather(
        1, order[..., None].expand(-1, -1, flat.shape[1])
    )
    return chosen.flatten(0, 1)
