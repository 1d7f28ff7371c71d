"""Retargeting of motions to a person's proportions: hands reach spots, limbs leave the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from bodyreg.body import JOINT_NAMES, PARENTS
from bodyreg.synthetic.motions.contact import Depths, Skin
from bodyreg.synthetic.motions.limbs import LIMBS, Limb
from bodyreg.synthetic.motions.motion import Motion
from bodyreg.synthetic.motions.poses import COLUMNS, HIGH, LOW, as_row, carried_turns, to_rotations
from bodyreg.synthetic.people import Person

BOUND = 0.02
"""Largest allowed penetration of a limb, metres, as measured by `contact`."""

ARMS, LEGS = (0, 1), (2, 3)
"""Indices into `LIMBS`."""

# Target of the corrections, below BOUND: the skin between the probes may lie deeper.
AIM = 0.012
ROUNDS = 8
# Most steps of a hand toward a spot.
REACHES = 6
# A hand this close has reached its spot, metres.
NEAR = 0.003
# Steps of a leg toward the floor.
SETTLING = 3
# A correction in one frame spreads over its neighbours with this standard deviation, frames.
SPREAD = 2.5


@dataclass(frozen=True, eq=False)
class PosedBody:
    """A person in N postures: joint rotations, probes of the skin with normals, and joints."""

    rotations: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    joints: np.ndarray

    def above(self, limb: Limb) -> tuple[np.ndarray, np.ndarray]:
        """Axes (N, 3, 3) and position (N, 3) of a limb's parent joint."""
        axes, joint = np.eye(3), limb.parent
        while joint >= 0:
            axes, joint = self.rotations[:, joint] @ axes, PARENTS[joint]
        return axes, self.joints[:, limb.parent].astype(np.float64)


class Retargeter:
    """Adapts motions to one person's skin and limbs."""

    def __init__(self, person: Person) -> None:
        self.skin = Skin(person)
        self.limbs = [Limb(person, name) for name in LIMBS]
        # For each limb, joint -> index in its chain. The toes belong to the ankle.
        self._link = np.zeros((len(LIMBS), len(JOINT_NAMES)), np.int64)
        for links, limb in zip(self._link, self.limbs, strict=True):
            links[:] = len(limb.chain) - 1
            links[limb.chain] = np.arange(len(limb.chain))

    def place(self, rows: np.ndarray) -> PosedBody:
        """Pose the body in postures (N, P)."""
        rotations = to_rotations(rows)
        return PosedBody(rotations, *self.skin.place(rotations))

    def reach(
        self, rows: np.ndarray, own: np.ndarray, times: np.ndarray, motion: Motion
    ) -> np.ndarray:
        """Bring hands to their spots.

        Args:
            rows: (T, P) a motion.
            own: (T, P) the person's offsets in it, from `personal_offsets`.
            times: (T,) seconds.
            motion: Its touches name the hands and spots.
        """
        if not motion.touches:
            return rows
        rows, placed = rows.copy(), self.place(rows)
        for touch in motion.touches:
            if touch.spot not in self.skin.probes.spots:
                continue
            share = motion.share(touch, times)
            at = np.flatnonzero(share > 0.01)
            spot = self.skin.probes.spots[touch.spot]
            aim = placed.points[at, spot] + touch.clearance * placed.normals[at, spot]
            limb = self.limbs[LIMBS.index(touch.arm)]
            above = tuple(part[at] for part in placed.above(limb))
            tip = np.array([touch.tip if touch.arm == "left_arm" else -touch.tip, 0, 0])
            last = np.full(len(at), len(limb.chain) - 1)
            start = (as_row(touch.there) + own[at, limb.columns]).clip(
                LOW[limb.columns], HIGH[limb.columns]
            )
            there = start
            for _ in range(REACHES if len(at) else 0):
                joints, axes = limb.place(there, *above)
                point = joints[:, -1] + axes[:, -1] @ tip
                if abs(aim - point).max() < NEAR:
                    break
                way = (aim - point)[:, :, None] * np.eye(3)
                there = limb.toward(there, above, point, last, way)
            rows[at, limb.columns] += share[at, None] * (there - start)
        return rows.clip(LOW, HIGH)

    def settle(self, rows: np.ndarray) -> np.ndarray:
        """Lower or raise the legs of a person on the floor until they lie on it.

        Args:
            rows: (T, P) a motion.
        """
        seat = rows[:, COLUMNS["seat"].start]
        at = np.flatnonzero(seat > 0.01)
        if not len(at):
            return rows
        here, row = rows[at].copy(), np.arange(len(at))
        up = carried_turns(here)[:, 1]
        for _ in range(SETTLING):
            placed = self.place(here)
            height = np.einsum("npc,nc->np", placed.points, up)
            floor = height[:, self.skin.probes.bottom].min(1)
            for number in LEGS:
                limb, mine = self.limbs[number], self.skin.probes.limbs[number]
                lowest = mine[height[:, mine].argmin(1)]
                rise = floor - height[row, lowest]
                here[:, limb.columns] = limb.toward(
                    here[:, limb.columns],
                    placed.above(limb),
                    placed.points[row, lowest],
                    self._link[number, self.skin.probes.owner[lowest]],
                    (rise[:, None] * up)[:, None],
                    turning=1,
                )
        rows = rows.copy()
        rows[at] += seat[at, None] * (here - rows[at])
        return rows

    def _add_floor(self, rows: np.ndarray, placed: PosedBody, found: Depths) -> None:
        """Add penetrations of the floor: arms below all other points of a carried body."""
        at = np.flatnonzero(rows[:, COLUMNS["carried"].start] > 0.99)
        if not len(at):
            return
        up = carried_turns(rows[at])[:, 1]
        height = np.einsum("npc,nc->np", placed.points[at], up)
        probes = self.skin.probes
        others = np.ones(len(probes.vertex), bool)
        others[np.concatenate([probes.limbs[number] for number in ARMS])] = False
        for number in ARMS:
            lowest = probes.limbs[number][height[:, probes.limbs[number]].argmin(1)]
            depth = height[:, others].min(1) - height[np.arange(len(at)), lowest]
            deeper = depth > found.depth[at, number]
            frame, probe = at[deeper], lowest[deeper]
            found.depth[frame, number] = depth[deeper]
            found.point[frame, number] = placed.points[frame, probe]
            found.normal[frame, number] = up[deeper]
            found.joint[frame, number] = probes.owner[probe]

    def untangle(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Move limbs out of the body, and arms out of the floor.

        Args:
            rows: (T, P) a motion.

        Returns:
            The corrected motion, and the largest remaining penetration in any frame, metres.
        """
        rows, deepest, changed = rows.copy(), np.zeros(len(rows)), np.arange(len(rows))
        for left in range(ROUNDS, -1, -1):
            placed = self.place(rows[changed])
            found = self.skin.depths(placed.points, placed.normals)
            self._add_floor(rows[changed], placed, found)
            deepest[changed] = found.depth.max(1)
            if deepest.max() <= AIM or not left:
                break
            before = rows.copy()
            for number, limb in enumerate(self.limbs):
                inside = np.flatnonzero(found.depth[:, number] > AIM)
                if not len(inside):
                    continue
                angles = rows[changed[inside], limb.columns]
                out = found.depth[inside, number, None] - 0.5 * AIM
                turned = limb.toward(
                    angles,
                    tuple(part[inside] for part in placed.above(limb)),
                    found.point[inside, number],
                    self._link[number, found.joint[inside, number]],
                    (found.normal[inside, number] * out)[:, None],
                )
                rows[:, limb.columns] += _spread(turned - angles, changed[inside], len(rows))
            rows = rows.clip(LOW, HIGH)
            changed = np.flatnonzero((rows != before).any(1))
        return rows, float(deepest.max())


def _spread(turns: np.ndarray, at: np.ndarray, frames: int) -> np.ndarray:
    """Spread changes of angles (n, k) at the frames `at` to all frames (frames, k), fading out."""
    if frames == 1:
        return turns
    both = np.zeros((frames, turns.shape[1] + 1))
    both[at, :-1], both[at, -1] = turns, 1
    # A kernel of height 1: a single frame keeps its change, and many in a row are averaged.
    both = gaussian_filter1d(both, SPREAD, axis=0, mode="constant", truncate=2.5)
    both *= SPREAD * np.sqrt(2 * np.pi)
    return both[:, :-1] / np.maximum(both[:, -1:], 1)
