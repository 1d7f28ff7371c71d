"""Evidence that fits leave out because it disagrees with the rest: that of another person, say.

The parts of a person's evidence have a bit each: the keypoints of every limb, and the dense points
that lie far from the body. A person's set of bits says which parts the fit does not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bodyreg.data.observations import Observations

LIMBS = {
    f"{side} {limb}": (side, words)
    for limb, words in {
        "arm": ("elbow", "wrist", "hand", "thumb", "index", "pinky", "finger"),
        "leg": ("knee", "ankle", "foot", "heel", "toe"),
    }.items()
    for side in ("left", "right")
}
"""Limbs -> the side and the words in the names of their keypoints. A limb's bit is its place."""

DISTANT = "distant points"
"""The part after them."""

PARTS = (*LIMBS, DISTANT)


def bits(parts: Iterable[str]) -> int:
    """The set of these parts."""
    return sum(1 << PARTS.index(part) for part in parts)


def parts_of(rejected: int) -> list[str]:
    """The parts in a set."""
    return [part for place, part in enumerate(PARTS) if rejected >> place & 1]


def mirrored_parts(rejected: np.ndarray) -> np.ndarray:
    """The same sets of mirrored people: each left limb is a right one."""
    found = rejected & bits([DISTANT])
    for place, limb in enumerate(LIMBS):
        side, _, kind = limb.partition(" ")
        other = bits([f"{'right' if side == 'left' else 'left'} {kind}"])
        found = found | np.where(rejected >> place & 1, other, 0).astype(rejected.dtype)
    return found


def limb_columns(names: tuple[str, ...]) -> np.ndarray:
    """(4, K) bool: which keypoints are of each limb."""
    found = np.zeros((len(LIMBS), len(names)), bool)
    for column, name in enumerate(names):
        part = name.rpartition("/")[2]
        of = [i for i, (side, own) in enumerate(LIMBS.values()) if _is_of(part, side, own)]
        found[of[-1:], column] = True  # left_foot_index is of the leg
    return found


def _is_of(part: str, side: str, words: tuple[str, ...]) -> bool:
    return side in part and any(word in part for word in words)


def without_limbs(observations: Observations, rejected: np.ndarray) -> Observations:
    """The people without the keypoints of rejected limbs."""
    taken = (rejected[:, None] >> np.arange(len(LIMBS))) & 1 > 0
    gone = (taken[:, :, None] & limb_columns(observations.keypoint_name)).any(1)
    weight = np.where(gone, 0, observations.keypoint_weight)
    return replace(observations, keypoint_weight=weight)
