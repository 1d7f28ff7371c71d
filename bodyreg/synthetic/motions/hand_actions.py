"""Families of motions of hands that gesture, greet, or go to the face."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.motions import base_motions
from bodyreg.synthetic.motions.gestures import (
    alike,
    fold_arms,
    keep,
    sample_base,
    to_and_fro,
    touch,
)
from bodyreg.synthetic.motions.motion import Cycle, Motion, Touch
from bodyreg.synthetic.motions.poses import Arm, Leg, Posture

Random = np.random.Generator


def direct(random: Random) -> Motion:
    """Gives directions: an arm points, the head follows, and the arm points elsewhere."""
    u = random.uniform
    motion = sample_base(random, standing=0.85, walking=0.15)
    rest = motion.posture.right_arm
    points, turns = [], []
    for _ in range(2):
        plane = u(-5, 105)
        elbow = u(0, 15) if plane > 80 or random.random() < 0.7 else u(20, 45)
        points.append(Arm(u(68, 110), plane, u(-25, 15), elbow, u(0, 60), u(-10, 5), u(15, 60)))
        turns.append(float(np.clip(plane - 90, -60, 25)) + u(-12, 12))
    seconds = [u(0.8, 1.6), 0.7, u(0.8, 1.6), 0.8, u(0.2, 0.8), 0.8]
    motion.moves["right_arm"] = Cycle(
        [points[0], points[0], points[1], points[1], rest, rest], seconds
    )
    aside = [turns[0], turns[0], turns[1], turns[1], 0.0, 0.0]
    motion.moves["turn"] = Cycle(aside, seconds)
    motion.moves["twist"] = Cycle([0.25 * angle for angle in aside], seconds)
    return keep(motion, nod=u(-8, 8))


def discuss(random: Random) -> Motion:
    """Talks with the hands; now and then folds the arms or leans forward."""
    u = random.uniform
    motion = sample_base(random, standing=0.8, seated=0.15, kneeling=0.05)
    if random.random() < 0.15:
        return fold_arms(motion, random)
    for side in ("left_arm", "right_arm"):
        lift = u(5, 25)
        values = [
            Arm(
                lift + u(0, 28), u(40, 85), u(-25, 35), u(60, 115), u(-50, 40), u(-25, 20), u(5, 40)
            )
            for _ in range(4)
        ]
        motion.moves[side] = Cycle(values, [u(0.45, 0.9) for _ in values])
    if random.random() < 0.3:
        keep(motion, left_arm=base_motions.hanging(random))
    motion.moves["nod"] = Cycle([u(-8, 14) for _ in range(4)], [u(0.4, 1.0) for _ in range(4)])
    motion.moves["turn"] = Cycle([u(-35, 35) for _ in range(3)], [u(0.8, 2.0) for _ in range(3)])
    return keep(motion, bend=motion.posture.bend + u(0, 8))


def eat(random: Random) -> Motion:
    """A hand moves from a plate to the mouth and back; the other holds the plate or rests."""
    u = random.uniform
    motion = sample_base(random, seated=0.55, standing=0.3, on_the_floor=0.15)
    plate = Arm(u(28, 40), u(65, 85), u(20, 40), u(72, 95), u(0, 40), u(-10, 10), 50)
    mouth = Arm(u(42, 60), u(62, 85), u(30, 50), u(122, 134), u(-60, -30), u(5, 25), 55)
    seconds = [u(0.5, 1.2), u(0.7, 1.0), u(0.4, 0.9), u(0.7, 1.0)]
    motion.moves["right_arm"] = Cycle([plate, plate, mouth, mouth], seconds)
    touch(motion, "right_arm", "mouth", 0.07, 0.02)
    low, high = u(14, 28), u(2, 12)
    motion.moves["nod"] = Cycle([low, low, high, high], seconds)
    if random.random() < 0.6:
        motion.posture.left_arm = Arm(
            u(22, 34), u(60, 80), u(25, 45), u(80, 98), u(-60, -20), u(-10, 10), 50
        )
    return keep(motion, turn=u(-12, 12), bend=u(4, 20))


def greet(random: Random) -> Motion:
    """Waves, bows, shakes hands, salutes, or opens the arms."""
    u = random.uniform
    motion = sample_base(random, standing=0.85, walking=0.15)
    way = random.random()
    if way < 0.4:
        raised, plane, inward, elbow = u(72, 120), u(0, 30), u(-88, -70), u(55, 95)
        there, back = (
            Arm(raised, plane, inward + d, elbow + d, u(10, 30), 0, 5) for d in (-16, 16)
        )
        beat = u(0.28, 0.45)
        motion.moves["right_arm"] = Cycle([there, back], [beat, beat])
        return keep(motion, nod=u(-8, 4), turn=u(-20, 20))
    if way < 0.6:
        up, down = motion.posture, Posture(
            *alike(Arm(u(14, 40), u(50, 85), u(0, 30), u(5, 30), u(0, 30))),
            *(Leg(u(22, 40), 4, 6, u(2, 10)) for _ in range(2)),
            bend=u(30, 55), nod=u(5, 30),
        )  # fmt: skip
        return base_motions.through([up, up, down, down], [u(0.4, 1), 1.0, u(0.4, 1.2), 1.0])
    if way < 0.78:
        raised, elbow = u(32, 48), u(42, 62)
        high, low = (Arm(raised + d, 85, 8, elbow + d, 5, 0, 35) for d in (5, -5))
        motion.moves["right_arm"] = Cycle([high, low], [0.3, 0.3])
        return keep(motion, bend=u(4, 16), turn=u(-8, 8), nod=u(0, 10))
    if way < 0.88:
        salute = Arm(u(78, 92), u(20, 40), u(-55, -35), u(128, 138), u(20, 50), u(-5, 10), 5)
        motion.moves["right_arm"] = to_and_fro(random, motion.posture.right_arm, salute, 1.5)
        touch(motion, "right_arm", "right_temple", 0.08, 0.04)
        return keep(motion, nod=u(-5, 5), turn=u(-10, 10))
    wide = Arm(u(55, 90), u(15, 50), u(-45, -10), u(8, 40), u(-70, -30), 0, 10)
    for side in ("left_arm", "right_arm"):
        motion.moves[side] = to_and_fro(random, getattr(motion.posture, side), wide, 1.6)
    return keep(motion, bend=u(-8, 8), nod=u(-8, 5))


def phone(random: Random) -> Motion:
    """A hand at the ear while walking, standing or sitting; the other hand may gesture."""
    u = random.uniform
    motion = sample_base(random, standing=0.5, walking=0.3, seated=0.2)
    ear = Arm(u(42, 66), u(38, 68), u(-6, 14), u(136, 146), u(-20, 20), u(-5, 15), 45)
    motion.touches.append(Touch("right_arm", ear, "right_ear", 0.02, 0.045))
    keep(motion, right_arm=ear, tilt=-u(0, 12), nod=u(0, 14), turn=u(-20, 20))
    if random.random() < 0.35:
        rest = motion.posture.left_arm
        speaking = Arm(u(20, 45), u(40, 80), u(-10, 30), u(60, 105), u(-60, 10), 0, 20)
        motion.moves["left_arm"] = to_and_fro(random, rest, speaking, 1.0)
    return motion


def smoke(random: Random) -> Motion:
    """A hand moves slowly to the mouth, stays there, and goes down beside the body."""
    u = random.uniform
    motion = sample_base(random, standing=0.5, walking=0.15, seated=0.25, crouching=0.1)
    mouth = Arm(u(40, 58), u(58, 80), u(26, 46), u(124, 136), u(-30, 20), u(0, 20), 35)
    rest = motion.posture.right_arm
    if random.random() < 0.5:
        rest = Arm(u(12, 22), u(20, 60), u(20, 50), u(60, 105), u(-20, 20), u(-10, 10), 35)
    motion.moves["right_arm"] = to_and_fro(random, rest, mouth, 1.4, 0.9)
    touch(motion, "right_arm", "mouth", 0.07, 0.03)
    if random.random() < 0.25:
        # The other arm lies across the belly, as if it held the elbow.
        motion.posture.left_arm = Arm(u(18, 26), u(50, 70), u(62, 78), u(84, 96), 20, 0, 40)
        motion.moves.pop("left_arm", None)
    return keep(motion, turn=u(-25, 25), nod=u(-10, 10))
