"""How weights, widths and the learning rate change along a run of iterations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bodyreg.registration.config import RegistrationConfig

TERMS = (
    "dense", "keypoint", "depth", "facing", "visibility", "prior", "limit", "joint", "exponential",
    "scale_smoothness", "scale_deviation", "scale_symmetry", "scale_level", "scale_limit",
    "upright", "det",
)  # fmt: skip
"""Every term of the objective; `<term>_weight` is its weight in the configuration."""


@dataclass(frozen=True)
class Setting:
    """What the objective reads besides parameters and evidence, at one iteration.

    Attributes:
        weights: Term -> weight; terms without weight are left out.
        dense_width: Width of the dense term's robust function, frame units.
    """

    weights: dict[str, float]
    dense_width: float


@dataclass(frozen=True)
class Schedule:
    """One run of the solver: how long, how fast, and under which setting at each iteration.

    Attributes:
        iterations: Adam steps.
        learning_rate: Iteration -> step size.
        setting: Iteration -> weights and width. Iteration `iterations` is the last setting, by
            which the result is judged.
    """

    iterations: int
    learning_rate: Callable[[int], float]
    setting: Callable[[int], Setting]


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


def final_setting(config: RegistrationConfig) -> Setting:
    """The weights that a fit is judged by: every annealing finished, stiffness only if constant."""
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


def cold(config: RegistrationConfig, iterations: int) -> Schedule:
    """A run from nothing: weights anneal over its first part, the step falls over its last."""
    first, final = first_setting(config), final_setting(config)

    def setting(iteration: int) -> Setting:
        progress = iteration / max(config.anneal_share * iterations, 1e-9)
        return Setting(
            {
                term: geometric(first.weights[term], weight, progress)
                for term, weight in final.weights.items()
            },
            geometric(first.dense_width, final.dense_width, progress),
        )

    return Schedule(iterations, _falling(config, config.learning_rate, iterations), setting)


def warm(config: RegistrationConfig, iterations: int, learning_rate: float) -> Schedule:
    """A run from a good start: the final weights throughout."""
    final = final_setting(config)
    return Schedule(iterations, _falling(config, learning_rate, iterations), lambda _: final)


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
