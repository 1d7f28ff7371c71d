"""Gestures: what arms do on top of the way somebody carries himself."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.motions import base_motions
from bodyreg.synthetic.motions.motion import Cycle, Motion, Touch
from bodyreg.synthetic.motions.poses import Arm

# Spots that hands hold: how far toward the finger tips they touch, and what stays free, metres.
SPOT_REACH = {"waist": (0.02, 0.02), "nape": (0.04, 0.03), "chin": (0.02, 0.02)}

Random = np.random.Generator


def sample_base(random: Random, **shares: float) -> Motion:
    """One of several ways to carry oneself, by their shares."""
    name = random.choice(list(shares), p=np.array([*shares.values()]) / sum(shares.values()))
    return getattr(base_motions, str(name))(random)


def keep(motion: Motion, **values: Arm | float) -> Motion:
    """The motion with fields that stay."""
    for name, value in values.items():
        motion.moves.pop(name, None)
        setattr(motion.posture, name, value)
    return motion


def touch(motion: Motion, arm: str, spot: str, tip: float, clearance: float) -> None:
    """While an arm that goes to and fro is away, its hand is at a spot."""
    cycle = motion.moves[arm]
    share = Cycle([0.0, 0.0, 1.0, 1.0], cycle.seconds)
    motion.touches.append(Touch(arm, cycle.values[2], spot, tip, clearance, share))


def to_and_fro(random: Random, rest: Arm, there: Arm, stay: float, move: float = 0.8) -> Cycle:
    """A hand that goes somewhere, stays for about `stay` seconds, and comes back for a while."""
    u = random.uniform
    return Cycle([rest, rest, there, there], [u(0.3, 1.2), move, stay * u(0.7, 1.3), move])


def alike(arm: Arm, random: Random | None = None) -> list[Arm]:
    """Two arms that do the same, nearly so."""
    if random is None:
        return [arm, arm]
    numbers = np.array([*vars(arm).values()])
    return [Arm(*(numbers + random.normal(0, 2.5, len(numbers)))) for _ in range(2)]


def folded(random: Random) -> list[Arm]:
    """Arms folded before the chest, the right one above."""
    u = random.uniform
    inward, elbow = u(66, 76), u(98, 106)
    low = Arm(u(24, 28), u(50, 58), inward, elbow, u(0, 30), u(-5, 10), 30)
    return [low, Arm(low.raised + 13, low.plane + 12, inward - 4, elbow + 4, u(0, 30), 0, 30)]


def fold_arms(motion: Motion, random: Random) -> Motion:
    """The motion with folded arms."""
    left, right = folded(random)
    return keep(motion, left_arm=left, right_arm=right)
