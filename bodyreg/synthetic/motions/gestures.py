"""Gestures: motions of the arms on top of a base motion."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.motions import base_motions
from bodyreg.synthetic.motions.motion import Cycle, Motion, Touch
from bodyreg.synthetic.motions.poses import Arm

# For each spot that hands touch: distance of the touching point from the knuckles toward the finger
# tips, and clearance, metres.
SPOT_REACH = {"waist": (0.02, 0.02), "nape": (0.04, 0.03), "chin": (0.02, 0.02)}

Random = np.random.Generator


def sample_base(random: Random, **shares: float) -> Motion:
    """Sample one of `base_motions` by name, with probability proportional to its share."""
    name = random.choice(list(shares), p=np.array([*shares.values()]) / sum(shares.values()))
    return getattr(base_motions, str(name))(random)


def keep(motion: Motion, **values: Arm | float) -> Motion:
    """Fix fields of a motion: they stop moving and keep these values."""
    for name, value in values.items():
        motion.moves.pop(name, None)
        setattr(motion.posture, name, value)
    return motion


def touch(motion: Motion, arm: str, spot: str, tip: float, clearance: float) -> None:
    """Make an arm that goes to and fro touch a spot at its far end."""
    cycle = motion.moves[arm]
    share = Cycle([0.0, 0.0, 1.0, 1.0], cycle.seconds)
    motion.touches.append(Touch(arm, cycle.values[2], spot, tip, clearance, share))


def to_and_fro(random: Random, rest: Arm, there: Arm, stay: float, move: float = 0.8) -> Cycle:
    """A cycle of an arm: from `rest` to `there`, about `stay` seconds there, and back."""
    u = random.uniform
    return Cycle([rest, rest, there, there], [u(0.3, 1.2), move, stay * u(0.7, 1.3), move])


def alike(arm: Arm, random: Random | None = None) -> list[Arm]:
    """Two arms with nearly the same angles."""
    if random is None:
        return [arm, arm]
    numbers = np.array([*vars(arm).values()])
    return [Arm(*(numbers + random.normal(0, 2.5, len(numbers)))) for _ in range(2)]


def folded(random: Random) -> list[Arm]:
    """Arms folded in front of the chest, the right one above."""
    u = random.uniform
    inward, elbow = u(66, 76), u(98, 106)
    low = Arm(u(24, 28), u(50, 58), inward, elbow, u(0, 30), u(-5, 10), 30)
    return [low, Arm(low.raised + 13, low.plane + 12, inward - 4, elbow + 4, u(0, 30), 0, 30)]


def fold_arms(motion: Motion, random: Random) -> Motion:
    """Fold the arms of a motion."""
    left, right = folded(random)
    return keep(motion, left_arm=left, right_arm=right)
