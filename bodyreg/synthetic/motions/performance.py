"""A person that performs an action: a motion for this body, placed upright in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg import ops
from bodyreg.body import JOINT_NAMES
from bodyreg.synthetic.motions.actions import OTHER_HAND, family
from bodyreg.synthetic.motions.motion import personal_offsets, sample_times
from bodyreg.synthetic.motions.poses import (
    COLUMNS,
    HIGH,
    LOW,
    carried_turns,
    mirrored,
    to_axis_angle,
    to_rotations,
)
from bodyreg.synthetic.motions.retarget import BOUND, Retargeter
from bodyreg.synthetic.people import Person

# Most samples of a motion, if the body does not allow the first.
ATTEMPTS = 6

# Share of a body's mass between two joints (Dempster, "Space requirements of the seated operator",
# 1955); for limbs, the share of each side.
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
_FEET = [[JOINT_NAMES.index(f"{s}_{j}") for j in ("ankle", "foot")] for s in ("left", "right")]


def _mass() -> np.ndarray:
    """(24,) weights of the joints that give the centre of mass."""
    mix = np.zeros(len(JOINT_NAMES))
    for ends, share in MASSES.items():
        for end in ends:
            for name in {end, f"left_{end}", f"right_{end}"} & set(JOINT_NAMES):
                mix[JOINT_NAMES.index(name)] += share / 2
    return mix


_MASS = _mass()
# A foot this much higher than the other, in metres, carries a third of the other's load.
LIFTED = 0.1


@dataclass(frozen=True, eq=False)
class Performance:
    """T frames, ten a second. In world axes y is up, the person faces +z, and x is to its left.

    Attributes:
        action: Name of the action.
        pose: (T, 24, 3) float32 axis-angle, the root's slots zero.
        turn: (T, 3, 3) float32, model axes to world axes.
    """

    action: str
    pose: np.ndarray
    turn: np.ndarray


class Motions(Protocol):
    """Where people's motions come from."""

    @property
    def fingerprint(self) -> str | None:
        """A hash of the files that they come from; None without files."""
        ...

    @property
    def words(self) -> list[str]:
        """Options of `bodyreg synthesize` that choose them, without the paths' folders."""
        ...

    def perform(
        self, person: Person, actions: Sequence[str], random: np.random.Generator, frames: int
    ) -> Performance:
        """Sample a short motion of a person.

        Args:
            person: The person.
            actions: Names of actions to choose from, if the motions have actions.
            random: Source of random numbers.
            frames: T.
        """
        ...


@dataclass(frozen=True)
class MadeMotions:
    """Motions of the families of `actions`."""

    fingerprint: ClassVar[str | None] = None
    words: ClassVar[list[str]] = []

    def perform(
        self, person: Person, actions: Sequence[str], random: np.random.Generator, frames: int
    ) -> Performance:
        """Sample one of the actions of `ACTIONS`, and a motion of it; see `Motions`."""
        action = actions[0] if len(actions) == 1 else str(random.choice(actions))
        return perform(person, action, random, frames)


def perform(person: Person, action: str, random: np.random.Generator, frames: int) -> Performance:
    """Sample a short motion of a person.

    For a camera with the rotation `view` (world to camera axes), frame t is
    `make_figure(person, action, pose[t], view @ turn[t], view[:, 1], camera)`.

    Args:
        person: The person.
        action: One of `ACTIONS`.
        random: Source of random numbers.
        frames: T.
    """
    rows = _sample_rows(Retargeter(person), action, random, frames)
    rotations = to_rotations(rows)
    pose = to_axis_angle(rotations).astype(np.float32)
    return Performance(action, pose, _turns(person, rows, rotations))


def _sample_rows(
    retargeter: Retargeter, action: str, random: np.random.Generator, frames: int
) -> np.ndarray:
    """(T, P) the first sampled motion that the body allows, or else the least penetrating one."""
    best, least = None, np.inf
    for _ in range(ATTEMPTS):
        motion, times = family(action, random), sample_times(random, frames)
        own = personal_offsets(random, times)
        rows = retargeter.settle((motion.rows(times) + own).clip(LOW, HIGH))
        rows, depth = retargeter.untangle(retargeter.reach(rows, own, times, motion))
        if depth < least:
            best, least = rows, depth
        if depth <= BOUND:
            break
    return mirrored(best) if random.random() < OTHER_HAND else best


def _turns(person: Person, rows: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """(T, 3, 3) model to world axes: balanced above the feet, as carried, or between the two."""
    carried = rows[:, COLUMNS["carried"].start]
    turn = carried_turns(rows)
    if carried.min() < 1:
        scale = torch.from_numpy(person.segment_scale).expand(len(rows), -1)
        _, joints = ops.kinematics(
            torch.from_numpy(rotations.astype(np.float32)),
            scale.contiguous(),
            torch.from_numpy(person.body.joints),
            person.body.parents,
        )
        balanced = balance(joints.numpy())
        rest = Rotation.from_matrix(balanced.swapaxes(1, 2) @ turn).as_rotvec()
        turn = balanced @ Rotation.from_rotvec(carried[:, None] * rest).as_matrix()
    return turn.astype(np.float32)


def balance(joints: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) that bring the centre of mass of standing bodies above their feet.

    Args:
        joints: (T, 24, 3) metres, y up.
    """
    joints = joints.astype(np.float64)
    feet = joints[:, _FEET].mean(2)
    load = 3.0 ** -((feet[..., 1] - feet[..., 1].min(1, keepdims=True)) / LIFTED)
    upward = _MASS @ joints - np.einsum("tf,tfc->tc", load / load.sum(1, keepdims=True), feet)
    x, y, z = (upward / np.linalg.norm(upward, axis=1, keepdims=True)).T
    # The shortest rotation to y.
    across = np.zeros((len(joints), 3, 3))
    across[:, 0, 1], across[:, 1, 0], across[:, 1, 2], across[:, 2, 1] = -x, x, z, -z
    return np.eye(3) + across + across @ across / (1 + y)[:, None, None]
