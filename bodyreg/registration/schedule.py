"""How weights, widths and the step size change along a fit: its plan, one row per iteration.

All solvers follow the same plan, so this is the only module with the rules of annealing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from bodyreg.ops.fit import Plan
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.losses import TERMS

ADAM, LM = 0, 1
"""Solvers of a phase."""


@dataclass(frozen=True)
class Setting:
    """What an iteration reads apart from parameters and evidence: a row of `Plan.settings`.

    Attributes:
        weights: Term -> weight; terms without weight are left out.
        dense_width: Width of the dense term's robust function, frame units.
        learning_rate: Adam's step; no part of the objective.
    """

    weights: dict[str, float]
    dense_width: float
    learning_rate: float = field(default=0.0, compare=False)

    def row(self) -> list[float]:
        """Weights in the order of `TERMS`, width, learning rate."""
        return [*(self.weights.get(t, 0.0) for t in TERMS), self.dense_width, self.learning_rate]

    @classmethod
    def of_row(cls, row: list[float]) -> Setting:
        """The setting that `row` gives back."""
        *weights, width, rate = row
        return cls({t: w for t, w in zip(TERMS, weights, strict=True) if w > 0}, width, rate)


@dataclass(frozen=True)
class Phase:
    """Iterations of one solver, each with its setting, and how many candidates it leaves."""

    solver: int
    settings: list[Setting]
    kept: int = 1


@lru_cache(maxsize=8)
def cold(config: RegistrationConfig) -> Plan:
    """The plan of a fit from nothing.

    Adam explores all starts while weights anneal; then the best starts go on with the final
    weights. With one start and Adam alone there is one phase. With Levenberg-Marquardt, Adam only
    explores, so weights anneal until its last step.
    """
    kept, share = min(config.carried, config.starts), config.anneal_share
    if config.solver == "lm":
        explore = Phase(ADAM, annealed(config, config.lm_adam_iterations, 1.0), kept)
        return _plan(config, explore, _finish_by_lm(config))
    if config.starts == 1:
        return _plan(config, Phase(ADAM, annealed(config, config.iterations, share)))
    exploring = round(config.explore_share * config.iterations)
    explore = Phase(ADAM, annealed(config, exploring, share), kept)
    rest, rate = config.iterations - exploring, config.carried_learning_rate
    return _plan(config, explore, Phase(ADAM, settled(config, rest, rate)))


@lru_cache(maxsize=8)
def warm(config: RegistrationConfig) -> Plan:
    """The plan of a fit from a good start, with the final weights in every iteration."""
    if config.solver == "lm":
        return _plan(config, _finish_by_lm(config))
    run = settled(config, config.warm_iterations, config.warm_learning_rate)
    return _plan(config, Phase(ADAM, run))


def _plan(config: RegistrationConfig, *phases: Phase) -> Plan:
    """Phases as the table that the solvers read. Its last row has the weights of the final loss."""
    settings = [setting for phase in phases for setting in phase.settings]
    rows = [setting.row() for setting in (*settings, final_setting(config))]
    numbers = [(phase.solver, len(phase.settings), phase.kept) for phase in phases]
    return Plan(
        settings=torch.tensor(rows, dtype=torch.float64, device="cpu"),
        phases=tuple(number for phase in numbers for number in phase),
        facing_margin=config.facing_margin,
        visibility_sharpness=config.visibility_sharpness,
        scale_low=config.scale_low,
        scale_high=config.scale_high,
        six_numbers=config.six_numbers,
        refresh=config.refresh,
    )


def phases(plan: Plan) -> list[tuple[int, int, int]]:
    """Solver, iterations and kept candidates of each phase."""
    return list(zip(*[iter(plan.phases)] * 3, strict=True))


def truncated(plan: Plan, iterations: int) -> Plan:
    """The plan that ends after this many iterations of all phases; the final loss is found there.

    Up to there, a solver takes the same steps as with the whole plan.
    """
    shorter, left = [], iterations
    for solver, count, kept in phases(plan):
        shorter.append([solver, min(count, left), kept])
        left -= shorter[-1][1]
        if not left:
            break
    shorter[-1][2] = 1
    return plan._replace(
        settings=torch.cat([plan.settings[:iterations], plan.settings[-1:]]),
        phases=tuple(number for phase in shorter for number in phase),
    )


def iterations_per_person(config: RegistrationConfig, *, warm_start: bool = False) -> int:
    """Iterations of one person's fit: of all candidates and of both solvers together.

    Those that find an unknown focal length do not count.
    """
    candidates, total = 1 if warm_start else config.starts, 0
    for _, iterations, kept in phases(warm(config) if warm_start else cold(config)):
        total += candidates * iterations
        candidates = min(kept, candidates)
    return total


def annealed(config: RegistrationConfig, iterations: int, share: float) -> list[Setting]:
    """Settings of a cold run: first weights anneal, at the end the step size falls."""
    first, final = first_setting(config), final_setting(config)
    rate = _falling(config, config.learning_rate, iterations)

    def setting(iteration: int) -> Setting:
        progress = iteration / (share * iterations)
        return Setting(
            {
                term: geometric(first.weights[term], weight, progress)
                for term, weight in final.weights.items()
            },
            geometric(first.dense_width, final.dense_width, progress),
            rate(iteration),
        )

    return [setting(iteration) for iteration in range(iterations)]


def settled(config: RegistrationConfig, iterations: int, learning_rate: float) -> list[Setting]:
    """Settings of a run from a good start: no weight anneals, at the end the step size falls."""
    final, rate = final_setting(config), _falling(config, learning_rate, iterations)
    return [Setting(final.weights, final.dense_width, rate(i)) for i in range(iterations)]


@lru_cache(maxsize=8)
def final_setting(config: RegistrationConfig) -> Setting:
    """The weights of the final loss: all annealing is finished; stiff only if that is constant."""
    weights = {term: getattr(config, f"{term}_weight") for term in TERMS}
    if config.stiff == "constant":
        weights |= _stiff_weights(config)
    if config.six_numbers:
        weights["det"] = 0.0  # six numbers cannot reflect
    return Setting(
        {term: weight for term, weight in weights.items() if weight > 0}, config.dense_width
    )


def first_setting(config: RegistrationConfig) -> Setting:
    """The weights a cold run begins with."""
    weights = dict(final_setting(config).weights)
    starts = {"depth": config.depth_weight_start, "prior": config.prior_weight_start}
    if config.stiff != "none":
        starts |= _stiff_weights(config)
    weights |= {term: weight for term, weight in starts.items() if term in weights}
    return Setting(weights, config.dense_width_start)


def geometric(start: float, end: float, progress: float) -> float:
    """From `start` to `end` in equal ratios as progress goes from 0 to 1."""
    if start == end or progress >= 1:
        return end
    return start * (end / start) ** progress


def cosine_tail(iteration: int, iterations: int, share: float, end: float) -> float:
    """1 until the last `share` of the iterations, then along half a cosine towards `end`."""
    begin = (1 - share) * iterations
    if iteration <= begin:
        return 1.0
    progress = (iteration - begin) / (iterations - begin)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


def _finish_by_lm(config: RegistrationConfig) -> Phase:
    return Phase(LM, settled(config, config.lm_iterations, 0.0))


def _stiff_weights(config: RegistrationConfig) -> dict[str, float]:
    return {
        "scale_smoothness": config.stiff_scale_weight,
        "joint": config.stiff_joint_weight,
        "exponential": config.stiff_joint_weight,
    }


def _falling(
    config: RegistrationConfig, learning_rate: float, iterations: int
) -> Callable[[int], float]:
    def rate(iteration: int) -> float:
        return learning_rate * cosine_tail(
            iteration, iterations, config.decay_share, config.learning_rate_end
        )

    return rate
