"""Arms and legs as kinematic chains: forward kinematics, and steps of inverse kinematics."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.motions.poses import (
    CHAINS,
    COLUMNS,
    HIGH,
    LOW,
    arm_rotations,
    flip,
    leg_rotations,
)
from bodyreg.synthetic.people import Person

LIMBS = ("left_arm", "right_arm", "left_leg", "right_leg")
# Inverse kinematics moves the first four angles of a limb: raised, plane, inward, elbow of an arm;
# flexion, abduction, outward, knee of a leg.
ANGLES = 4
# Step of the numerical derivatives, and the largest change of an angle in one step, degrees.
STEP, FARTHEST = 0.5, 14.0
# Damping, metres per degree: an angle that moves the point by less hardly turns.
WORTH = 1e-3


class Limb:
    """One limb of one person. Positions are metres in model axes."""

    def __init__(self, person: Person, name: str) -> None:
        side, kind = name.split("_")
        self._rotations = arm_rotations if kind == "arm" else leg_rotations
        self._flipped = side == "right"
        self.columns = COLUMNS[name]
        self.chain = CHAINS[name]
        above = [person.body.parents[joint] for joint in self.chain]
        self.parent = above[0]
        at = person.body.joints.astype(np.float64)
        scale = person.segment_scale.astype(np.float64)
        self._bones = scale[above, None] * (at[self.chain] - at[above])

    def place(
        self, angles: np.ndarray, rotation: np.ndarray, position: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N, J, 3) and their axes (N, J, 3, 3) of the chain.

        Args:
            angles: (N, k) the limb's angles, degrees.
            rotation: (N, 3, 3) axes of the joint above.
            position: (N, 3) position of the joint above.
        """
        turns = self._rotations(angles)
        if self._flipped:
            turns = flip(turns)
        joints, axes = np.empty((*turns.shape[:2], 3)), np.empty(turns.shape)
        for link, (turn, bone) in enumerate(zip(turns, self._bones, strict=True)):
            joints[link] = position = position + rotation @ bone
            axes[link] = rotation = rotation @ turn
        return joints.swapaxes(0, 1), axes.swapaxes(0, 1)

    def toward(
        self,
        angles: np.ndarray,
        above: tuple[np.ndarray, np.ndarray],
        point: np.ndarray,
        joint: np.ndarray,
        way: np.ndarray,
        turning: int = ANGLES,
    ) -> np.ndarray:
        """Angles (N, k) that move points of the limb by about `way`: one damped least-squares step.

        Args:
            angles: (N, k) the limb's angles, degrees.
            above: Axes (N, 3, 3) and position (N, 3) of the joint above.
            point: (N, 3) points fixed to the limb, model axes.
            joint: (N,) index into `chain` of the joint that carries each point.
            way: (N, r, 3) wanted displacements along r directions.
            turning: Number of angles that may turn, counted from the first.
        """
        count, width = angles.shape
        many = np.repeat(angles[:, None], 1 + ANGLES, 1)
        many[:, 1:, :ANGLES] += STEP * np.eye(ANGLES)
        repeated = (np.repeat(part, 1 + ANGLES, 0) for part in above)
        joints, axes = self.place(many.reshape(-1, width), *repeated)
        row = np.arange(count)
        joints = joints.reshape(count, 1 + ANGLES, -1, 3)[row, :, joint]
        axes = axes.reshape(count, 1 + ANGLES, -1, 3, 3)[row, :, joint]
        local = np.einsum("nba,nb->na", axes[:, 0], point - joints[:, 0])
        moved = joints + np.einsum("nkab,nb->nka", axes, local)
        per_degree = (moved[:, 1:] - moved[:, :1]) / STEP
        per_degree[:, turning:] = 0
        length = np.sqrt(np.einsum("nrc,nrc->nr", way, way))[..., None]
        slope = (way / np.maximum(length, 1e-9)) @ per_degree.swapaxes(1, 2)
        # An angle at its limit does not turn; the other angles do the rest.
        push = (slope * length).sum(1)
        low, high = LOW[self.columns], HIGH[self.columns]
        at_end = np.where(push > 0, (angles >= high)[:, :ANGLES], (angles <= low)[:, :ANGLES])
        slope = slope * ~at_end[:, None]
        square = slope @ slope.swapaxes(1, 2) + WORTH**2 * np.eye(way.shape[1])
        turn = slope.swapaxes(1, 2) @ np.linalg.solve(square, length)
        turned = angles.copy()
        turned[:, :ANGLES] += turn[..., 0].clip(-FARTHEST, FARTHEST)
        return turned.clip(low, high)
