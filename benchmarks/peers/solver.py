"""Adam over phases and candidates, as in the op."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from benchmarks.peers import by_hand
from benchmarks.peers.grid import Seen, Skeleton, grid, skeleton
from benchmarks.peers.objective import WIDTH, Numbers, numbers_of, objective
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration.schedule import ADAM, phases
from bodyreg.registration.solver import EPSILON, FIRST_DECAY, SECOND_DECAY

RATE = WIDTH + 1
"""Column of the learning rate in a row of settings."""


def fit(
    start: Tensor,
    rig: Rig,
    evidence: Evidence,
    plan: Plan,
    gradient: str = "autograd",
    *,
    skin: str = "points",
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Follow a plan of Adam.

    Args:
        start: (B,C,108) parameters of C starts per person.
        rig, evidence, plan: as in `bodyreg.ops.fit`.
        gradient: "autograd" or "by hand".
        skin: "points", "mesh" or, with autograd, "blend".
        compiled: Whether to use torch.compile.

    Returns:
        (B,108) parameters of the best candidate, and (B,) losses under the final settings.
    """
    body, seen, numbers = skeleton(rig, skin), grid(rig, evidence, skin), numbers_of(plan)
    if gradient == "by hand" and not set(numbers.terms).issubset(by_hand.HAND_MADE):
        raise ValueError(f"gradient by hand: has no {set(numbers.terms) - {*by_hand.HAND_MADE}}")
    if gradient == "by hand" and skin == "blend":
        raise ValueError("gradient by hand: skins points or the mesh by a matrix product")
    functions = _compiled() if compiled else EAGER
    settings, final = plan.settings[:-1], plan.settings[-1].to(start)
    candidates, flat = start.shape[1], start.flatten(0, 1)
    with torch.no_grad():
        for solver, iterations, kept in phases(plan):
            if solver != ADAM:
                raise ValueError("plan: expected phases of Adam alone")
            several, run = seen.repeat(candidates), settings[:iterations]
            flat = _minimise(flat, run, body, several, numbers, gradient, functions)
            loss = objective(flat, final, body, several, numbers).view(-1, candidates)
            kept = min(kept, candidates)
            best = loss.nan_to_num(nan=torch.inf).argsort(dim=1, stable=True)[:, :kept]
            every = best[..., None].expand(-1, -1, flat.shape[1])
            flat = flat.view(*loss.shape, -1).gather(1, every).flatten(0, 1)
            candidates, settings = kept, settings[iterations:]
    return flat, loss.gather(1, best)[:, 0]


def _minimise(
    flat: Tensor,
    settings: Tensor,
    body: Skeleton,
    seen: Seen,
    numbers: Numbers,
    gradient: str,
    functions: tuple,
) -> Tensor:
    loss_of, adam, step_by_hand = functions
    mean, square = torch.zeros_like(flat), torch.zeros_like(flat)
    count = torch.arange(1, len(settings) + 1, dtype=torch.float64, device=settings.device)
    rates = (settings[:, RATE] / (1 - FIRST_DECAY**count)).to(flat).unbind()
    unbias = (1 - SECOND_DECAY**count).sqrt().to(flat).unbind()
    for row, rate, root in zip(settings.to(flat).unbind(), rates, unbias, strict=True):
        if gradient == "by hand":
            flat, mean, square = step_by_hand(flat, mean, square, row, rate, root, body, seen)
            continue
        with torch.enable_grad():
            leaf = flat.requires_grad_()
            loss = loss_of(leaf, row, body, seen, numbers).sum()
            (slope,) = torch.autograd.grad(loss, leaf)
        flat, mean, square = adam(flat.detach(), slope, mean, square, rate, root)
    return flat


def _adam(
    flat: Tensor, slope: Tensor, mean: Tensor, square: Tensor, rate: Tensor, unbias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    mean = torch.lerp(mean, slope, 1 - FIRST_DECAY)
    square = (SECOND_DECAY * square).addcmul(slope, slope, value=1 - SECOND_DECAY)
    return flat - rate * (mean / (square.sqrt() / unbias + EPSILON)), mean, square


def _step_by_hand(
    flat: Tensor,
    mean: Tensor,
    square: Tensor,
    row: Tensor,
    rate: Tensor,
    unbias: Tensor,
    body: Skeleton,
    seen: Seen,
) -> tuple[Tensor, Tensor, Tensor]:
    slope = by_hand.gradient(flat, row, body, seen)
    return _adam(flat, slope, mean, square, rate, unbias)


EAGER = (objective, _adam, _step_by_hand)


@functools.cache
def _compiled() -> tuple:
    return tuple(torch.compile(f, fullgraph=True, dynamic=False) for f in EAGER)
