"""Motions: cycles of key postures, evaluated at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bodyreg.synthetic.motions.poses import COLUMNS, LOW, Arm, Leg, Posture, as_row

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
for _name in ("carried", "seat", "pitch", "roll"):
    STEADY[COLUMNS[_name]] = True


_NUMBERS = np.arange(len(LOW))


@dataclass
class Cycle:
    """Values of a field that follow one another, the first after the last.

    Attributes:
        values: Arms, legs or numbers.
        seconds: From each value to the next. Cycles that share one list keep time together.
    """

    values: list[Arm] | list[Leg] | list[float]
    seconds: list[float]

    @cached_property
    def rows(self) -> np.ndarray:
        """(K, n) the values as numbers."""
        return np.array([as_row(value) for value in self.values])


@dataclass
class Touch:
    """A hand that is to be at a spot of the body, however long arms are and wide the body is.

    Attributes:
        arm: "left_arm" or "right_arm".
        there: The arm at the spot, roughly.
        spot: One of `contact.SPOTS`.
        tip: How far from the knuckles toward the finger tips the point is that touches, metres.
        clearance: What stays free between it and the skin, metres.
        share: When it is there: 0 and 1 along the arm's cycle; always when left out.
    """

    arm: str
    there: Arm
    spot: str
    tip: float
    clearance: float
    share: Cycle | None = None


@dataclass
class Motion:
    """A posture, and the fields of it that move, each with its own cycle."""

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
        """(T,): how far a hand is at its spot, 0 to 1."""
        if touch.share is None:
            return np.ones(len(times))
        return _along(touch.share.rows, self._seconds(touch.share), times)[:, 0]

    def _seconds(self, cycle: Cycle) -> np.ndarray:
        """(K,) from each value to the next, long enough for all that move in this time."""
        seconds = np.maximum(cycle.seconds, 1e-3)
        for name, other in self.moves.items():
            if other.seconds is cycle.seconds and not STEADY[COLUMNS[name]].all():
                apart = abs(_rolled(other.rows, 1) - other.rows).max(1)
                seconds = np.maximum(seconds, PEAK * apart / FASTEST)
        return seconds


def _rolled(rows: np.ndarray, first: int) -> np.ndarray:
    """Rows in a circle from another first one on: `numpy.roll` takes longer than all the rest."""
    return np.concatenate([rows[first:], rows[:first]])


def _along(values: np.ndarray, seconds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A closed curve through values (K, n), monotone between them, at times (T,).

    Piecewise cubic with the slopes of Fritsch & Butland (1984): holds stay still, nothing
    overshoots, and what goes on in one direction does so without stopping.
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
    """(T,) seconds, ten frames each, from a random moment on."""
    return random.uniform(0, 60) + np.arange(frames) / FRAME_RATE


def personal_offsets(random: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """(T, P) degrees by which somebody differs from what is usual, drifting slowly."""
    own, size = random.normal(size=(2, len(LOW)))
    period = random.uniform(*DRIFT_SECONDS, len(LOW))
    phase = random.uniform(0, 2 * np.pi, len(LOW))
    drift = np.sin(2 * np.pi * times[:, None] / period + phase)
    return ~STEADY * (OWN_SD * own + DRIFT_SD * size * drift)
