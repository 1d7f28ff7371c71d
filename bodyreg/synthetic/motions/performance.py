"""A person doing something: a motion that suits this very body, standing in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg.synthetic.motions.actions import OTHER_HAND, family
from bodyreg.synthetic.motions.motion import own_ways, sample_times
from bodyreg.synthetic.motions.physique import BOUND, Physique
from bodyreg.synthetic.motions.poses import (
    COLUMNS,
    HIGH,
    LOW,
    carried_turns,
    mirrored,
    to_axis_angle,
)
from bodyreg.synthetic.people import Person

# How often a motion is drawn anew that a body does not allow.
ATTEMPTS = 6

# Share of a body's mass between two joints (Dempster, "Space requirements of the seated operator",
# 1955); of a limb, each side's.
MASSES = {
    ("pelvis", "spine1"): 0.14,
    ("spine1", "spine3"): 0.14,
    ("spine3", "neck"): 0.22,
    ("neck", "head"): 0.08,
    ("hip", "knee"): 0.10,
    ("knee", "ankle"): 0.046,
    ("ankle", "foot"): 0.014,
    ("shoulder", "elbow"): 0.028,
    ("elbow", "wrist"): 0.016,
    ("wrist", "hand"): 0.006,
}
# A foot this much higher than the other, in metres, carries a third of what the other does.
LIFTED = 0.1


@dataclass(frozen=True, eq=False)
class Performance:
    """T frames, ten a second. In the world y is up and the person faces +z, x to the left.

    Attributes:
        pose: (T, 24, 3) float32 axis-angle, the root's slots zero.
        turn: (T, 3, 3) float32, model axes to the world's.
    """

    pose: np.ndarray
    turn: np.ndarray


def perform(person: Person, action: str, random: np.random.Generator, frames: int) -> Performance:
    """Draw a short motion of a person.

    Seen by a camera with the rotation `view` (world to camera axes), frame t is
    `make_figure(person, action, pose[t], view @ turn[t], view[:, 1], camera)`.

    Args:
        person: Who.
        action: One of `ACTIONS`.
        random: Where it comes from.
        frames: T.
    """
    rows = _sample_rows(Physique(person), action, random, frames)
    pose = to_axis_angle(rows).astype(np.float32)
    return Performance(pose, _turns(person, rows, pose))


def _sample_rows(
    physique: Physique, action: str, random: np.random.Generator, frames: int
) -> np.ndarray:
    """(T, P): the first motion that the body allows, or else the one that comes nearest to it."""
    best, least = None, np.inf
    for _ in range(ATTEMPTS):
        motion, times = family(action, random), sample_times(random, frames)
        own = own_ways(random, times)
        rows = physique.settle((motion.rows(times) + own).clip(LOW, HIGH))
        rows, depth = physique.untangle(physique.reach(rows, own, times, motion))
        if depth < least:
            best, least = rows, depth
        if depth <= BOUND:
            break
    return mirrored(best) if random.random() < OTHER_HAND else best


def _turns(person: Person, rows: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(T, 3, 3): as the feet balance the body, as something carries it, or between the two."""
    turn, carried = Rotation.from_matrix(carried_turns(rows)), rows[:, COLUMNS["carried"].start]
    if carried.min() < 1:
        scale = torch.from_numpy(person.segment_scale).expand(len(pose), -1)
        _, joints = person.body.pose(torch.from_numpy(pose), scale.contiguous())
        balanced = Rotation.from_matrix(
            [balance(placed, person.body.joint_names) for placed in joints.numpy()]
        )
        rest = balanced.inv() * turn
        turn = balanced * Rotation.from_rotvec(carried[:, None] * rest.as_rotvec())
    return turn.as_matrix().astype(np.float32)


def balance(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The turn (3, 3) that brings a standing body's centre of mass above its feet.

    Args:
        joints: (24, 3) metres, y up.
        names: Their names.
    """
    at = dict(zip(names, joints.astype(np.float64), strict=True))
    sides = ("left_", "right_")
    centre = np.zeros(3)
    for (first, second), share in MASSES.items():
        for side in ("",) if first in at else sides:
            centre += share * (at[side + first] + at[side + second]) / 2
    feet = np.array([(at[f"{side}ankle"] + at[f"{side}foot"]) / 2 for side in sides])
    load = 3.0 ** -((feet[:, 1] - feet[:, 1].min()) / LIFTED)
    upward = centre - load @ feet / load.sum()
    return Rotation.align_vectors([[0, 1, 0]], [upward])[0].as_matrix()
