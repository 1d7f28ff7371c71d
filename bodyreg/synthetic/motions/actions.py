"""Fifteen families of motions, named after Human3.6M's actions.

The motions of a family come from everyday observation, not from statistics of a data set. Families
act with the right hand; `sample_motion` mirrors some of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bodyreg.synthetic.motions import body_actions, hand_actions
from bodyreg.synthetic.motions.motion import Motion, personal_offsets, sample_times
from bodyreg.synthetic.motions.poses import HIGH, LOW, mirrored, to_axis_angle, to_rotations

# Share of motions that are mirrored to the left hand.
OTHER_HAND = 0.4

Random = np.random.Generator

_FAMILIES: dict[str, Callable[[Random], Motion]] = {
    "Directions": hand_actions.direct,
    "Discussion": hand_actions.discuss,
    "Eating": hand_actions.eat,
    "Greeting": hand_actions.greet,
    "Phoning": hand_actions.phone,
    "Photo": body_actions.photograph,
    "Posing": body_actions.strike_poses,
    "Purchases": body_actions.shop,
    "Sitting": body_actions.sit,
    "SittingDown": body_actions.sit_down,
    "Smoking": hand_actions.smoke,
    "Waiting": body_actions.wait,
    "WalkDog": body_actions.walk_dog,
    "Walking": body_actions.walk,
    "WalkTogether": body_actions.walk_together,
}

ACTIONS: tuple[str, ...] = tuple(_FAMILIES)


def sample_motion(action: str, random: Random, frames: int) -> np.ndarray:
    """Sample a short motion of an average body; `perform` adapts it to a person's body.

    Args:
        action: One of `ACTIONS`.
        random: Source of random numbers.
        frames: T, ten a second.

    Returns:
        (T, 24, 3) float32 axis-angle in radians; the root's slots are zero.
    """
    motion, times = family(action, random), sample_times(random, frames)
    rows = (motion.rows(times) + personal_offsets(random, times)).clip(LOW, HIGH)
    if random.random() < OTHER_HAND:
        rows = mirrored(rows)
    return to_axis_angle(to_rotations(rows)).astype(np.float32)


def family(action: str, random: Random) -> Motion:
    """Sample a right-handed motion of an action's family."""
    return _FAMILIES[action](random)
