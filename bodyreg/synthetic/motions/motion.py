"""Motions: cycles of key postures, evaluated at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bodyreg.synthetic.motions.poses import COLUMNS, LOW, Arm, Leg, Posture, as_row

FRAME_RATE = 10
# Largest angular speed of a joint, degrees a second: keys that are too close in time are delayed.
# Brisk walking and waving come close to it.
FASTEST = 300.0
# Peak speed of a monotone cubic between two holds, relative to a straight line.
PEAK = 1.5
# Standard deviations of a person's constant offset from a family's angles, and of its slow drift.
OWN_SD, DRIFT_SD = 3.0, 1.2
DRIFT_SECONDS = (2.0, 6.0)
# Columns that are not angles of joints.
STEADY = np.zeros(len(LOW), bool)
for _name in ("carried", "seat", "pitch", "roll"):
    STEADY[COLUMNS[_name]] = True


_NUMBERS = np.arange(len(LOW))


@dataclass
class Cycle:
    """A closed sequence of key values of a field.

    Attributes:
        values: Arms, legs or numbers.
        seconds: Time from each value to the next. Cycles that share one list object keep in step.
    """

    values: list[Arm] | list[Leg] | list[float]
    seconds: list[float]

    @cached_property
    def rows(self) -> np.ndarray:
        """(K, n) the values as numbers."""
        return np.array([as_row(value) for value in self.values])


@dataclass
class Touch:
    """A hand that must touch a spot of the body, for any proportions of the body.

    Attributes:
        arm: "left_arm" or "right_arm".
        there: The arm at the spot, roughly.
        spot: A name in `contact.Probes.spots`.
        tip: Distance of the touching point from the knuckles toward the finger tips, metres.
        clearance: Distance between the touching point and the skin, metres.
        share: How far the hand is at the spot, 0 to 1 along the arm's cycle; None for always.
    """

    arm: str
    there: Arm
    spot: str
    tip: float
    clearance: float
    share: Cycle | None = None


@dataclass
class Motion:
    """A posture, the cycles of its moving fields, and the touches of its hands."""

    posture: Posture
    moves: dict[str, Cycle] = field(default_factory=dict)
    touches: list[Touch] = field(default_factory=list)

    def rows(self, times: np.ndarray) -> np.ndarray:
        """Postures (T, P) at times (T,) in seconds."""
        rows = np.repeat(as_row(self.posture)[None], len(times), 0)
        together: dict[int, list[str]] = {}
        for name, cycle in self.moves.items():
            together.setdefault(id(cycle.seconds), []).append(name)
        for names in together.values():
            values = np.concatenate([self.moves[name].rows for name in names], 1)
            columns = np.concatenate([_NUMBERS[COLUMNS[name]] for name in names])
            rows[:, columns] = _along(values, self._seconds(self.moves[names[0]]), times)
        return rows

    def share(self, touch: Touch, times: np.ndarray) -> np.ndarray:
        """(T,) how far a hand is at its spot, 0 to 1."""
        if touch.share is None:
            return np.ones(len(times))
        return _along(touch.share.rows, self._seconds(touch.share), times)[:, 0]

    def _seconds(self, cycle: Cycle) -> np.ndarray:
        """(K,) time from each value to the next, long enough for all fields that share it."""
        seconds = np.maximum(cycle.seconds, 1e-3)
        for name, other in self.moves.items():
            if other.seconds is cycle.seconds and not STEADY[COLUMNS[name]].all():
                apart = abs(_rolled(other.rows, 1) - other.rows).max(1)
                seconds = np.maximum(seconds, PEAK * apart / FASTEST)
        return seconds


def _rolled(rows: np.ndarray, first: int) -> np.ndarray:
    """Rotate rows so that row `first` comes first; `numpy.roll` is slow for small arrays."""
    return np.concatenate([rows[first:], rows[:first]])


def _along(values: np.ndarray, seconds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A closed curve through values (K, n), monotone between them, evaluated at times (T,).

    Piecewise cubic with the slopes of Fritsch & Butland (1984): equal values stay still, there is
    no overshoot, and a motion through several values in one direction does not stop at them.
    """
    step = seconds[:, None]
    after = (_rolled(values, 1) - values) / step
    before, step_before = _rolled(after, -1), _rolled(step, -1)
    one, two = 2 * step + step_before, step + 2 * step_before
    onward = before * after > 0
    safe_before, safe_after = np.where(onward, before, 1), np.where(onward, after, 1)
    slope = np.where(onward, (one + two) / (one / safe_before + two / safe_after), 0)

    end = seconds.cumsum()
    when = times % end[-1]
    here = np.searchsorted(end, when, "right").clip(max=len(end) - 1)
    there = (here + 1) % len(end)
    t = (1 - (end[here] - when) / seconds[here])[:, None]
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[here]
        + t**2 * (3 - 2 * t) * values[there]
        + seconds[here, None] * t * (1 - t) * ((1 - t) * slope[here] - t * slope[there])
    )


def sample_times(random: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) seconds of frames, ten a second, from a random start."""
    return random.uniform(0, 60) + np.arange(frames) / FRAME_RATE


def personal_offsets(random: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """(T, P) offsets of a person from a family's angles, degrees: constant plus a slow drift."""
    own, size = random.normal(size=(2, len(LOW)))
    period = random.uniform(*DRIFT_SECONDS, len(LOW))
    phase = random.uniform(0, 2 * np.pi, len(LOW))
    drift = np.sin(2 * np.pi * times[:, None] / period + phase)
    return ~STEADY * (OWN_SD * own + DRIFT_SD * size * drift)
