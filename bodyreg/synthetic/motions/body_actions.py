"""Families of motions of the whole body, and of hands that hold objects."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.motions import base_motions
from bodyreg.synthetic.motions.gestures import (
    SPOT_REACH,
    alike,
    fold_arms,
    folded,
    keep,
    sample_base,
    to_and_fro,
    touch,
)
from bodyreg.synthetic.motions.motion import Cycle, Motion, Touch
from bodyreg.synthetic.motions.poses import Arm, Leg, Posture

Random = np.random.Generator


def photograph(random: Random) -> Motion:
    """A camera at the eye, or a phone held out, while standing, bending or kneeling."""
    u = random.uniform
    motion = sample_base(random, standing=0.7, kneeling=0.15, crouching=0.15)
    stoops = motion.posture.bend > 12
    if random.random() < 0.6:
        raised, elbow = u(58, 74), u(122, 134)
        pair = alike(Arm(raised, u(68, 82), u(24, 34), elbow, u(10, 40), u(-15, 5), 50), random)
        for side, arm in zip(("left", "right"), pair, strict=True):
            motion.touches.append(Touch(f"{side}_arm", arm, f"{side}_temple", 0.03, 0.08))
    else:
        raised, elbow = u(66, 84), u(35, 75)
        raised += 35 * stoops
        pair = alike(Arm(raised, u(78, 90), u(14, 24), elbow, u(0, 30), u(-20, 0), 45), random)
        if random.random() < 0.4:
            pair[0] = motion.posture.left_arm
    return keep(
        motion, left_arm=pair[0], right_arm=pair[1], nod=u(-10, 6) - 25 * stoops,
        turn=u(-8, 8), tilt=u(-8, 8), twist=u(-15, 15), bend=min(motion.posture.bend, u(5, 25)),
    )  # fmt: skip


def strike_poses(random: Random) -> Motion:
    """Posing: hands on the hips, folded arms, arms up, hands behind the head, a lunge."""
    u = random.uniform
    motion = sample_base(random, standing=0.75, kneeling=0.1, on_the_floor=0.08, lying=0.07)
    shown = [_pose_arms(random, motion.posture) for _ in range(2)]
    stay = u(1.2, 3)
    seconds = [stay, 0.9, stay, 0.9]
    for number, side in enumerate(("left", "right")):
        (first, spot), (second, other) = (arms[number] for arms in shown)
        motion.moves[f"{side}_arm"] = Cycle([first, first, second, second], seconds)
        for arm, name, share in ((first, spot, [1, 1, 0, 0]), (second, other, [0, 0, 1, 1])):
            if name:
                tip, clearance = SPOT_REACH[name]
                name = name if name == "chin" else f"{side}_{name}"
                when = Cycle([float(s) for s in share], seconds)
                motion.touches.append(Touch(f"{side}_arm", arm, name, tip, clearance, when))
    if motion.posture.carried == 0 and random.random() < 0.3:
        lift = u(30, 80)
        front = Leg(lift, u(2, 15), u(2, 20), lift + u(-8, 12), u(-5, 12))
        back = Leg(u(-22, -4), u(2, 12), u(0, 25), u(8, 30), u(-5, 12))
        keep(motion, left_leg=front, right_leg=back, lean=0.0, pitch=u(0, 8), carried=1.0)
    return keep(motion, turn=u(-40, 40), nod=u(-12, 10), tilt=u(-12, 12), twist=u(-18, 18))


def _pose_arms(random: Random, posture: Posture) -> list[tuple[Arm, str]]:
    """The left and the right arm, and the spots that their hands touch, if any."""
    u = random.uniform
    hip = Arm(u(38, 48), u(-24, -8), u(42, 55), u(82, 96), u(10, 40), u(30, 60), 30), "waist"
    behind = Arm(u(98, 112), u(8, 25), u(-84, -70), u(126, 140), u(-20, 20), u(0, 15), 15), "nape"
    out = Arm(u(70, 100), u(-15, 20), u(-40, 30), u(0, 50), u(-30, 40), u(-20, 20), 10), ""
    high = Arm(u(125, 165), u(10, 60), u(-40, 20), u(5, 70), u(-30, 30), 0, 20), ""
    chin = Arm(u(30, 45), u(68, 80), u(30, 45), u(128, 138), u(-50, -20), u(10, 30), 60), "chin"
    way = random.random()
    if way < 0.3:
        return [hip, hip]
    if way < 0.4:
        return [behind, behind]
    if way < 0.5:
        return [(arm, "") for arm in folded(random)]
    one = [hip, behind, out, high, chin][random.integers(5)]
    other = [hip, out, high, (posture.right_arm, "")][random.integers(4)]
    return [one, one] if way < 0.7 and one is not chin else [one, other]


def shop(random: Random) -> Motion:
    """Reaches to shelves high and low, carries bags and boxes, pushes a trolley."""
    u = random.uniform
    way = random.random()
    if way < 0.4:
        motion = base_motions.standing(random)
        shelf = Arm(u(55, 160), u(55, 100), u(-20, 25), u(0, 45), u(-20, 50), u(-15, 15), 40)
        basket = Arm(u(20, 40), u(60, 85), u(10, 35), u(60, 95), u(0, 40), 0, 50)
        motion.moves["right_arm"] = to_and_fro(random, basket, shelf, 1.0)
        nod = float(np.clip(40 - 0.45 * shelf.raised, -30, 25))
        return keep(motion, nod=nod, turn=u(-15, 15), lean=u(-4, 8), bend=u(-6, 10))
    if way < 0.6:
        return sample_base(random, picking_up=0.6, crouching=0.4)
    motion = sample_base(random, standing=0.4, walking=0.6)
    if way < 0.75:
        # Both arms hold a box in front of the belly.
        pair = alike(Arm(u(15, 32), u(65, 85), u(5, 20), u(72, 95), u(-50, 10), 0, 40), random)
    elif way < 0.88:
        pair = alike(Arm(u(28, 42), 88, 5, u(40, 65), u(40, 70), u(-25, -5), 65), random)
        motion.posture.bend += u(3, 10)
    else:
        # The hands hold bags beside the body.
        pair = [Arm(u(9, 14), 10, 20, u(2, 10), u(-10, 15), 0, 80) for _ in range(2)]
        keep(motion, lean=u(-6, 6))
    return keep(motion, left_arm=pair[0], right_arm=pair[1], nod=u(-4, 20))


def sit(random: Random) -> Motion:
    """On a chair: hands on the lap, a hand at the chin, elbows on the knees, or folded arms."""
    u = random.uniform
    motion = base_motions.seated(random)
    way = random.random()
    if way < 0.2:
        chin = Arm(u(32, 46), u(68, 80), u(28, 42), u(128, 138), u(-40, 0), u(0, 30), 65)
        lap = motion.posture.right_arm
        motion.moves["right_arm"] = Cycle([lap, lap, chin, chin], [u(0.5, 2), 0.9, u(2, 4), 0.9])
        touch(motion, "right_arm", "chin", 0.0, 0.03)
        keep(motion, bend=u(10, 25), nod=u(8, 18), turn=u(-10, 10))
    elif way < 0.4:
        pair = alike(Arm(u(50, 66), u(82, 95), u(25, 40), u(40, 70), u(0, 40), 0, 40), random)
        keep(motion, left_arm=pair[0], right_arm=pair[1], bend=u(32, 48), nod=u(-25, 10))
    elif way < 0.5:
        fold_arms(motion, random)
    elif way < 0.6:
        back = alike(Arm(u(30, 45), u(-40, -15), u(20, 40), u(20, 70)), random)
        keep(motion, left_arm=back[0], bend=u(-8, 5))
    elif way < 0.75:
        # Hands on a table: typing, reading.
        pair = alike(Arm(u(28, 45), u(72, 88), u(5, 25), u(55, 80), u(30, 70), -8, 30), random)
        keep(motion, left_arm=pair[0], right_arm=pair[1], nod=u(8, 28))
    turns = [u(-45, 45) for _ in range(3)]
    motion.moves.setdefault("turn", Cycle(turns, [u(1, 3) for _ in turns]))
    return motion


def sit_down(random: Random) -> Motion:
    """Down to the floor or a chair and up again; sits, kneels or lies on the floor."""
    u = random.uniform
    if random.random() < 0.4:
        motion = sample_base(random, on_the_floor=0.75, kneeling=0.12, lying=0.13)
        motion.moves["turn"] = Cycle([u(-40, 40) for _ in range(3)], [u(1, 3) for _ in range(3)])
        return motion
    up = base_motions.standing(random).posture
    end = sample_base(random, on_the_floor=0.6, seated=0.4).posture
    if abs(end.pitch) < 13 and end.left_leg.knee > 70 and end.left_leg.flexion < 100:
        squat = Leg(72, 8, 12, 80, 14)
    else:
        squat = Leg(104, 14, 16, 124, 24)
    arms = [Arm(u(25, 60), u(60, 85), u(0, 20), u(10, 50), 20) for _ in range(2)]
    half = Posture(*arms, squat, squat, bend=u(28, 45), nod=u(-5, 10), turn=u(-15, 15))
    seconds = [u(0.4, 1), 1.1, 1.0, u(1.5, 4), 1.1, 1.1]
    return base_motions.through([up, up, half, end, end, half], seconds)


def wait(random: Random) -> Motion:
    """Shifts the weight, looks around and at the watch, folds the arms, paces, sits down."""
    u = random.uniform
    motion = sample_base(random, standing=0.72, walking=0.1, seated=0.13, crouching=0.05)
    looks = [u(-62, 62) for _ in range(4)]
    seconds = [u(0.8, 2.2) for _ in looks]
    motion.moves["turn"] = Cycle(looks, seconds)
    motion.moves["twist"] = Cycle([0.2 * look for look in looks], seconds)
    way = random.random()
    if way < 0.2:
        return fold_arms(motion, random)
    if way < 0.4:
        watch = Arm(u(28, 38), u(62, 78), u(58, 70), u(94, 106), u(20, 50), u(-5, 10), 40)
        motion.moves["left_arm"] = to_and_fro(random, base_motions.hanging(random), watch, 1.4)
        keep(motion, turn=u(0, 20), nod=u(18, 30), twist=0.0)
    elif way < 0.55:
        pair = alike(Arm(u(22, 30), u(-62, -50), u(55, 70), u(52, 68), u(0, 30), 0, 40), random)
        keep(motion, left_arm=pair[0], right_arm=pair[1])
    elif way < 0.7:
        hip = Arm(u(40, 50), u(-24, -8), u(42, 55), u(82, 96), u(10, 40), u(30, 60), 30)
        keep(motion, right_arm=hip)
        motion.touches.append(Touch("right_arm", hip, "right_waist", *SPOT_REACH["waist"]))
    return motion


def walk_dog(random: Random) -> Motion:
    """Walks with a leash in a hand ahead, tugged now and then; sometimes bends to the dog."""
    u = random.uniform
    if random.random() < 0.12:
        motion = sample_base(random, picking_up=0.5, crouching=0.5)
    else:
        motion = base_motions.walking(random, u(0.1, 0.9))
    raised, elbow = u(22, 48), u(18, 60)
    leash = [Arm(raised + d, u(60, 88), u(-5, 20), elbow - d, u(0, 40), 0, 75) for d in (0, 9, 3)]
    motion.moves["right_arm"] = Cycle(leash, [u(0.5, 1.4) for _ in leash])
    if random.random() < 0.25:
        motion.moves["left_arm"] = motion.moves["right_arm"]
    return keep(motion, nod=u(8, 26), turn=u(-30, 25), bend=motion.posture.bend + u(-6, 4))


def walk(random: Random) -> Motion:
    """Walks, from a stroll to a brisk walk, and looks ahead."""
    motion = base_motions.walking(random)
    if random.random() < 0.12:
        keep(motion, right_arm=base_motions.hanging(random))
    return motion


def walk_together(random: Random) -> Motion:
    """Walks beside another person and talks: the head turns to that side, a hand may gesture."""
    u = random.uniform
    motion = base_motions.walking(random)
    motion.moves["turn"] = Cycle([-u(38, 65), -u(25, 60), -u(0, 15)], [u(1, 3) for _ in range(3)])
    if random.random() < 0.35:
        speaking = [Arm(u(15, 45), u(45, 85), u(-20, 25), u(60, 105), u(-60, 20)) for _ in range(3)]
        motion.moves["right_arm"] = Cycle(speaking, [u(0.5, 1.0) for _ in speaking])
    return keep(motion, nod=u(-6, 6))
