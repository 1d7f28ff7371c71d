"""Motions: cycles of key postures, evaluated at any time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator

from bodyreg.synthetic.poses import COLUMNS, HIGH, LOW, Arm, Leg, Posture, as_row

FRAME_RATE = 10
# Nobody is told to turn a joint faster than this, degrees a second: a key that is too near in time
# is put off. Brisk walking and waving come close to it.
FASTEST = 300.0
# A monotone piecewise cubic between two holds is this much faster than a straight line.
PEAK = 1.5
# Everybody differs by this much from what the family says, and drifts by that much, slowly.
OWN_SD, DRIFT_SD = 3.0, 1.2
DRIFT_SECONDS = (2.0, 6.0)
# Fields that are not joints' angles.
STEADY = np.zeros(len(LOW), bool)
for _name in ("carried", "pitch", "roll"):
    STEADY[COLUMNS[_name]] = True


@dataclass
class Cycle:
    """Values of a field that follow one another, the first after the last.

    Attributes:
        values: Arms, legs or numbers.
        seconds: From each value to the next.
    """

    values: list[Arm] | list[Leg] | list[float]
    seconds: list[float]


@dataclass
class Motion:
    """A posture, and the fields of it that move, each with its own cycle."""

    posture: Posture
    moves: dict[str, Cycle] = field(default_factory=dict)

    def rows(self, times: np.ndarray) -> np.ndarray:
        """Postures (T, P) at times (T,) in seconds."""
        rows = np.repeat(as_row(self.posture)[None], len(times), 0)
        for name, cycle in self.moves.items():
            rows[:, COLUMNS[name]] = _along(cycle, times)
        return rows


def _along(cycle: Cycle, times: np.ndarray) -> np.ndarray:
    values = np.array([as_row(value) for value in cycle.values])
    needed = PEAK * abs(np.roll(values, -1, 0) - values).max(1) / FASTEST
    seconds = np.maximum(np.maximum(cycle.seconds, needed), 1e-3)
    # One value more on both sides, for the slopes at the seam.
    rounds = np.tile(seconds, 3)
    at = np.concatenate([[0], rounds.cumsum()]) - seconds.sum()
    curve = PchipInterpolator(at, np.concatenate([np.tile(values, (3, 1)), values[:1]]))
    return curve(times % seconds.sum())


def sample_rows(motion: Motion, random: np.random.Generator, frames: int) -> np.ndarray:
    """Postures (T, P) of a motion from a random moment on, ten a second, with a person's own ways.

    Everything stays within the joints' limits.
    """
    start = random.uniform(0, 60)
    times = start + np.arange(frames) / FRAME_RATE
    rows = motion.rows(times)
    own, size = random.normal(size=(2, rows.shape[1]))
    period = random.uniform(*DRIFT_SECONDS, rows.shape[1])
    phase = random.uniform(0, 2 * np.pi, rows.shape[1])
    drift = np.sin(2 * np.pi * times[:, None] / period + phase)
    return (rows + ~STEADY * (OWN_SD * own + DRIFT_SD * size * drift)).clip(LOW, HIGH)
