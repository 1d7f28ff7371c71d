"""What people do: fifteen families of motions, named after Human3.6M's actions.

What a family does is everyday observation, not a statistic of any data set. Families act with the
right hand; `sample_motion` mirrors some of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bodyreg.synthetic import carriage
from bodyreg.synthetic.motion import Cycle, Motion, sample_rows
from bodyreg.synthetic.poses import Arm, Leg, Posture, mirrored, to_axis_angle

# Share of people who act with the other hand.
OTHER_HAND = 0.4

Random = np.random.Generator


def sample_motion(action: str, random: Random, frames: int) -> np.ndarray:
    """Draw a short motion.

    Args:
        action: One of `ACTIONS`.
        random: Where it comes from.
        frames: T, ten a second.

    Returns:
        (T, 24, 3) float32 axis-angle in radians; the root's slots are zero.
    """
    return to_axis_angle(sample_posture_rows(action, random, frames)).astype(np.float32)


def sample_posture_rows(action: str, random: Random, frames: int) -> np.ndarray:
    """The same as rows (T, P) of clinical angles, see `bodyreg.synthetic.poses`."""
    rows = sample_rows(_FAMILIES[action](random), random, frames)
    return mirrored(rows) if random.random() < OTHER_HAND else rows


def _carriage(random: Random, **shares: float) -> Motion:
    """One of several ways to carry oneself, by their shares."""
    name = random.choice(list(shares), p=np.array([*shares.values()]) / sum(shares.values()))
    return getattr(carriage, str(name))(random)


def _hold(motion: Motion, **values: Arm | float) -> Motion:
    """The motion with fields that stay."""
    for name, value in values.items():
        motion.moves.pop(name, None)
        setattr(motion.posture, name, value)
    return motion


def _to_and_fro(random: Random, rest: Arm, there: Arm, hold: float, move: float = 0.8) -> Cycle:
    """A hand that goes somewhere, stays for about `hold` seconds, and comes back for a while."""
    u = random.uniform
    return Cycle([rest, rest, there, there], [u(0.3, 1.2), move, hold * u(0.7, 1.3), move])


def _directions(random: Random) -> Motion:
    """Shows the way: an arm points, the head looks there, and the arm points elsewhere."""
    u = random.uniform
    motion = _carriage(random, standing=0.85, walking=0.15)
    rest = motion.posture.right_arm
    points, turns = [], []
    for _ in range(2):
        plane = u(-5, 115)
        elbow = u(0, 18) if random.random() < 0.75 else u(30, 70)
        points.append(Arm(u(62, 112), plane, u(-25, 20), elbow, u(0, 60), u(-10, 5), u(15, 60)))
        turns.append(float(np.clip(plane - 90, -60, 25)) + u(-12, 12))
    seconds = [u(0.8, 1.6), 0.7, u(0.8, 1.6), 0.8, u(0.2, 0.8), 0.8]
    motion.moves["right_arm"] = Cycle(
        [points[0], points[0], points[1], points[1], rest, rest], seconds
    )
    aside = [turns[0], turns[0], turns[1], turns[1], 0.0, 0.0]
    motion.moves["turn"] = Cycle(aside, seconds)
    motion.moves["twist"] = Cycle([0.25 * angle for angle in aside], seconds)
    return _hold(motion, nod=u(-8, 8))


def _discussion(random: Random) -> Motion:
    """Talks with the hands; now and then folds the arms or leans forward."""
    u = random.uniform
    motion = _carriage(random, standing=0.8, seated=0.15, kneeling=0.05)
    if random.random() < 0.15:
        return _fold_arms(motion, random)
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
        _hold(motion, left_arm=carriage.hanging(random))
    motion.moves["nod"] = Cycle([u(-8, 14) for _ in range(4)], [u(0.4, 1.0) for _ in range(4)])
    motion.moves["turn"] = Cycle([u(-35, 35) for _ in range(3)], [u(0.8, 2.0) for _ in range(3)])
    return _hold(motion, bend=motion.posture.bend + u(0, 8))


def _eating(random: Random) -> Motion:
    """A hand from a plate to the mouth and back; the other holds the plate or rests."""
    u = random.uniform
    motion = _carriage(random, seated=0.55, standing=0.3, on_the_floor=0.15)
    plate = Arm(u(28, 40), u(65, 85), u(20, 40), u(72, 95), u(0, 40), u(-10, 10), 50)
    mouth = Arm(u(42, 60), u(62, 85), u(30, 50), u(122, 134), u(-60, -30), u(5, 25), 55)
    seconds = [u(0.5, 1.2), u(0.7, 1.0), u(0.4, 0.9), u(0.7, 1.0)]
    motion.moves["right_arm"] = Cycle([plate, plate, mouth, mouth], seconds)
    low, high = u(14, 28), u(2, 12)
    motion.moves["nod"] = Cycle([low, low, high, high], seconds)
    if random.random() < 0.6:
        motion.posture.left_arm = Arm(
            u(22, 34), u(60, 80), u(25, 45), u(80, 98), u(-60, -20), u(-10, 10), 50
        )
    return _hold(motion, turn=u(-12, 12), bend=u(4, 20))


def _greeting(random: Random) -> Motion:
    """Waves, bows, shakes hands, salutes, or opens the arms."""
    u = random.uniform
    motion = _carriage(random, standing=0.85, walking=0.15)
    way = random.random()
    if way < 0.4:
        raised, plane, inward, elbow = u(72, 120), u(0, 30), u(-88, -70), u(55, 95)
        there, back = (
            Arm(raised, plane, inward + d, elbow + d, u(10, 30), 0, 5) for d in (-16, 16)
        )
        beat = u(0.28, 0.45)
        motion.moves["right_arm"] = Cycle([there, back], [beat, beat])
        return _hold(motion, nod=u(-8, 4), turn=u(-20, 20))
    if way < 0.6:
        up, down = motion.posture, Posture(
            *_pair(Arm(u(14, 40), u(50, 85), u(0, 30), u(5, 30), u(0, 30))),
            *(Leg(u(22, 40), 4, 6, u(2, 10)) for _ in range(2)),
            bend=u(30, 55), nod=u(5, 30),
        )  # fmt: skip
        return carriage.through([up, up, down, down], [u(0.4, 1), 1.0, u(0.4, 1.2), 1.0])
    if way < 0.78:
        raised, elbow = u(32, 48), u(42, 62)
        high, low = (Arm(raised + d, 85, 8, elbow + d, 5, 0, 35) for d in (5, -5))
        motion.moves["right_arm"] = Cycle([high, low], [0.3, 0.3])
        return _hold(motion, bend=u(4, 16), turn=u(-8, 8), nod=u(0, 10))
    if way < 0.88:
        salute = Arm(u(78, 92), u(20, 40), u(-55, -35), u(128, 138), u(20, 50), u(-5, 10), 5)
        motion.moves["right_arm"] = _to_and_fro(random, motion.posture.right_arm, salute, 1.5)
        return _hold(motion, nod=u(-5, 5), turn=u(-10, 10))
    wide = Arm(u(55, 90), u(15, 50), u(-45, -10), u(8, 40), u(-70, -30), 0, 10)
    for side in ("left_arm", "right_arm"):
        motion.moves[side] = _to_and_fro(random, getattr(motion.posture, side), wide, 1.6)
    return _hold(motion, bend=u(-8, 8), nod=u(-8, 5))


def _phoning(random: Random) -> Motion:
    """A hand at the ear, the head toward it; strolls, stands, sits; the other hand gestures."""
    u = random.uniform
    motion = _carriage(random, standing=0.5, walking=0.3, seated=0.2)
    ear = Arm(u(42, 66), u(38, 68), u(-6, 14), u(136, 146), u(-20, 20), u(-5, 15), 45)
    _hold(motion, right_arm=ear, tilt=-u(0, 12), nod=u(0, 14), turn=u(-20, 20))
    if random.random() < 0.35:
        rest = motion.posture.left_arm
        speaking = Arm(u(20, 45), u(40, 80), u(-10, 30), u(60, 105), u(-60, 10), 0, 20)
        motion.moves["left_arm"] = _to_and_fro(random, rest, speaking, 1.0)
    return motion


def _photo(random: Random) -> Motion:
    """A camera at the eye, or a phone held out; stands, bends or kneels for it."""
    u = random.uniform
    motion = _carriage(random, standing=0.7, kneeling=0.15, crouching=0.15)
    if random.random() < 0.6:
        raised, elbow = u(58, 74), u(122, 134)
        pair = _pair(Arm(raised, u(68, 82), u(24, 34), elbow, u(10, 40), u(-15, 5), 50), random)
    else:
        raised, elbow = u(66, 84), u(35, 75)
        pair = _pair(Arm(raised, u(78, 90), u(14, 24), elbow, u(0, 30), u(-20, 0), 45), random)
        if random.random() < 0.4:
            pair[0] = motion.posture.left_arm
    return _hold(
        motion, left_arm=pair[0], right_arm=pair[1], nod=u(-6, 8), turn=u(-8, 8), tilt=u(-8, 8),
        twist=u(-15, 15),
    )  # fmt: skip


def _posing(random: Random) -> Motion:
    """For a picture: hands on the hips, folded arms, arms up, hands behind the head, a lunge."""
    u = random.uniform
    motion = _carriage(random, standing=0.75, kneeling=0.1, on_the_floor=0.08, lying=0.07)
    sides = {side: [] for side in ("left_arm", "right_arm")}
    for _ in range(2):
        for side, arm in zip(sides, _pose_arms(random, motion.posture), strict=True):
            sides[side] += [arm, arm]
    hold = u(1.2, 3)
    for side, arms in sides.items():
        motion.moves[side] = Cycle(arms, [hold, 0.9, hold, 0.9])
    if motion.posture.carried == 0 and random.random() < 0.3:
        lift = u(30, 80)
        front = Leg(lift, u(2, 15), u(2, 20), lift + u(-8, 12), u(-5, 12))
        back = Leg(u(-22, -4), u(2, 12), u(0, 25), u(8, 30), u(-5, 12))
        _hold(motion, left_leg=front, right_leg=back, lean=0.0, pitch=u(0, 8), carried=1.0)
    return _hold(motion, turn=u(-40, 40), nod=u(-12, 10), tilt=u(-12, 12), twist=u(-18, 18))


def _pose_arms(random: Random, posture: Posture) -> list[Arm]:
    u = random.uniform
    hip = Arm(u(40, 50), u(-24, -8), u(42, 55), u(82, 96), u(20, 50), u(20, 45), 40)
    behind_head = Arm(u(98, 112), u(8, 25), u(-84, -70), u(126, 140), u(-20, 20), u(0, 15), 15)
    out = Arm(u(70, 100), u(-15, 20), u(-40, 30), u(0, 50), u(-30, 40), u(-20, 20), 10)
    high = Arm(u(125, 165), u(10, 60), u(-40, 20), u(5, 70), u(-30, 30), 0, 20)
    chin = Arm(u(30, 45), u(68, 80), u(30, 45), u(128, 138), u(-50, -20), u(10, 30), 60)
    way = random.random()
    if way < 0.3:
        return [hip, hip]
    if way < 0.4:
        return [behind_head, behind_head]
    if way < 0.5:
        return _folded(random)
    one = [hip, behind_head, out, high, chin][random.integers(5)]
    other = [hip, out, high, posture.right_arm][random.integers(4)]
    return [one, one] if way < 0.7 and one is not chin else [one, other]


def _purchases(random: Random) -> Motion:
    """Reaches to shelves high and low, carries bags and boxes, pushes a trolley."""
    u = random.uniform
    way = random.random()
    if way < 0.4:
        motion = carriage.standing(random)
        shelf = Arm(u(55, 160), u(55, 100), u(-20, 25), u(0, 45), u(-20, 50), u(-15, 15), 40)
        basket = Arm(u(20, 40), u(60, 85), u(10, 35), u(60, 95), u(0, 40), 0, 50)
        motion.moves["right_arm"] = _to_and_fro(random, basket, shelf, 1.0)
        nod = float(np.clip(40 - 0.45 * shelf.raised, -30, 25))
        return _hold(motion, nod=nod, turn=u(-15, 15), lean=u(-4, 8), bend=u(-6, 10))
    if way < 0.6:
        return _carriage(random, picking_up=0.6, crouching=0.4)
    motion = _carriage(random, standing=0.4, walking=0.6)
    if way < 0.75:
        # A box or a heap of things before the belly.
        pair = _pair(Arm(u(15, 32), u(65, 85), u(5, 20), u(72, 95), u(-50, 10), 0, 40), random)
    elif way < 0.88:
        pair = _pair(Arm(u(28, 42), 88, 5, u(40, 65), u(40, 70), u(-25, -5), 65), random)
        motion.posture.bend += u(3, 10)
    else:
        # Bags hang down beside the body.
        pair = [Arm(u(9, 14), 10, 20, u(2, 10), u(-10, 15), 0, 80) for _ in range(2)]
        _hold(motion, lean=u(-6, 6))
    return _hold(motion, left_arm=pair[0], right_arm=pair[1], nod=u(-4, 20))


def _sitting(random: Random) -> Motion:
    """On a chair: the hands lie on the lap, a hand holds the chin, the elbows rest on the knees."""
    u = random.uniform
    motion = carriage.seated(random)
    way = random.random()
    if way < 0.2:
        chin = Arm(u(32, 46), u(68, 80), u(28, 42), u(128, 138), u(-40, 0), u(0, 30), 65)
        lap = motion.posture.right_arm
        motion.moves["right_arm"] = Cycle([chin, chin, lap, lap], [u(2, 4), 0.9, u(0.5, 2), 0.9])
        _hold(motion, bend=u(10, 25), nod=u(8, 18), turn=u(-10, 10))
    elif way < 0.4:
        pair = _pair(Arm(u(50, 66), u(82, 95), u(25, 40), u(40, 70), u(0, 40), 0, 40), random)
        _hold(motion, left_arm=pair[0], right_arm=pair[1], bend=u(32, 48), nod=u(-25, 10))
    elif way < 0.5:
        _fold_arms(motion, random)
    elif way < 0.6:
        back = _pair(Arm(u(30, 45), u(-40, -15), u(20, 40), u(20, 70)), random)
        _hold(motion, left_arm=back[0], bend=u(-8, 5))
    elif way < 0.75:
        # Hands on a table: typing, reading.
        pair = _pair(Arm(u(28, 45), u(72, 88), u(5, 25), u(55, 80), u(30, 70), -8, 30), random)
        _hold(motion, left_arm=pair[0], right_arm=pair[1], nod=u(8, 28))
    turns = [u(-45, 45) for _ in range(3)]
    motion.moves.setdefault("turn", Cycle(turns, [u(1, 3) for _ in turns]))
    return motion


def _sitting_down(random: Random) -> Motion:
    """Down to the floor or a chair and up again; sits, kneels or lies on the floor."""
    u = random.uniform
    if random.random() < 0.4:
        motion = _carriage(random, on_the_floor=0.75, kneeling=0.12, lying=0.13)
        motion.moves["turn"] = Cycle([u(-40, 40) for _ in range(3)], [u(1, 3) for _ in range(3)])
        return motion
    up = carriage.standing(random).posture
    end = _carriage(random, on_the_floor=0.6, seated=0.4).posture
    if abs(end.pitch) < 13 and end.left_leg.knee > 70 and end.left_leg.flexion < 100:
        squat = Leg(72, 8, 12, 80, 14)
    else:
        squat = Leg(104, 14, 16, 124, 24)
    arms = [Arm(u(25, 60), u(60, 85), u(0, 20), u(10, 50), 20) for _ in range(2)]
    half = Posture(*arms, squat, squat, bend=u(28, 45), nod=u(-5, 10), turn=u(-15, 15))
    seconds = [u(0.4, 1), 1.1, 1.0, u(1.5, 4), 1.1, 1.1]
    return carriage.through([up, up, half, end, end, half], seconds)


def _smoking(random: Random) -> Motion:
    """A hand slowly to the mouth, a while there, and down beside the body."""
    u = random.uniform
    motion = _carriage(random, standing=0.5, walking=0.15, seated=0.25, crouching=0.1)
    mouth = Arm(u(40, 58), u(58, 80), u(26, 46), u(124, 136), u(-30, 20), u(0, 20), 35)
    rest = motion.posture.right_arm
    if random.random() < 0.5:
        rest = Arm(u(12, 22), u(20, 60), u(20, 50), u(60, 105), u(-20, 20), u(-10, 10), 35)
    motion.moves["right_arm"] = _to_and_fro(random, rest, mouth, 1.4, 0.9)
    if random.random() < 0.25:
        # The other arm across the belly, as if to hold the elbow.
        motion.posture.left_arm = Arm(u(18, 26), u(50, 70), u(62, 78), u(84, 96), 20, 0, 40)
        motion.moves.pop("left_arm", None)
    return _hold(motion, turn=u(-25, 25), nod=u(-10, 10))


def _waiting(random: Random) -> Motion:
    """Shifts the weight, looks around and at the watch, folds the arms, paces, sits down."""
    u = random.uniform
    motion = _carriage(random, standing=0.72, walking=0.1, seated=0.13, crouching=0.05)
    looks = [u(-62, 62) for _ in range(4)]
    seconds = [u(0.8, 2.2) for _ in looks]
    motion.moves["turn"] = Cycle(looks, seconds)
    motion.moves["twist"] = Cycle([0.2 * look for look in looks], seconds)
    way = random.random()
    if way < 0.2:
        return _fold_arms(motion, random)
    if way < 0.4:
        watch = Arm(u(30, 42), u(60, 78), u(48, 62), u(92, 106), u(20, 50), u(-5, 10), 40)
        motion.moves["left_arm"] = _to_and_fro(random, carriage.hanging(random), watch, 1.4)
        _hold(motion, turn=u(0, 20), nod=u(18, 30), twist=0.0)
    elif way < 0.55:
        pair = _pair(Arm(u(22, 30), u(-62, -50), u(55, 70), u(52, 68), u(0, 30), 0, 40), random)
        _hold(motion, left_arm=pair[0], right_arm=pair[1])
    elif way < 0.7:
        hip = Arm(u(40, 50), u(-24, -8), u(42, 55), u(82, 96), u(20, 50), u(20, 45), 40)
        _hold(motion, right_arm=hip)
    return motion


def _walk_dog(random: Random) -> Motion:
    """Walks with a leash in a hand ahead, tugged now and then; sometimes bends to the dog."""
    u = random.uniform
    if random.random() < 0.12:
        motion = _carriage(random, picking_up=0.5, crouching=0.5)
    else:
        motion = carriage.walking(random, u(0.1, 0.9))
    raised, elbow = u(22, 48), u(18, 60)
    leash = [Arm(raised + d, u(60, 88), u(-5, 20), elbow - d, u(0, 40), 0, 75) for d in (0, 9, 3)]
    motion.moves["right_arm"] = Cycle(leash, [u(0.5, 1.4) for _ in leash])
    if random.random() < 0.25:
        motion.moves["left_arm"] = motion.moves["right_arm"]
    return _hold(motion, nod=u(8, 26), turn=u(-30, 25), bend=motion.posture.bend + u(-6, 4))


def _walking(random: Random) -> Motion:
    """Walks, from a stroll to a brisk walk, looking where it goes."""
    motion = carriage.walking(random)
    if random.random() < 0.12:
        _hold(motion, right_arm=carriage.hanging(random))
    return motion


def _walk_together(random: Random) -> Motion:
    """Walks beside somebody, talking: the head is turned to that side, at times a hand speaks."""
    u = random.uniform
    motion = carriage.walking(random)
    motion.moves["turn"] = Cycle([-u(38, 65), -u(25, 60), -u(0, 15)], [u(1, 3) for _ in range(3)])
    if random.random() < 0.35:
        speaking = [Arm(u(15, 45), u(45, 85), u(-20, 25), u(60, 105), u(-60, 20)) for _ in range(3)]
        motion.moves["right_arm"] = Cycle(speaking, [u(0.5, 1.0) for _ in speaking])
    return _hold(motion, nod=u(-6, 6))


def _pair(arm: Arm, random: Random | None = None) -> list[Arm]:
    """Two arms that do the same, nearly so."""
    if random is None:
        return [arm, arm]
    numbers = np.array([*vars(arm).values()])
    return [Arm(*(numbers + random.normal(0, 2.5, len(numbers)))) for _ in range(2)]


def _folded(random: Random) -> list[Arm]:
    """Arms folded before the chest, the right one above."""
    u = random.uniform
    inward, elbow = u(66, 76), u(98, 106)
    low = Arm(u(24, 28), u(50, 58), inward, elbow, u(0, 30), u(-5, 10), 30)
    return [low, Arm(low.raised + 13, low.plane + 12, inward - 4, elbow + 4, u(0, 30), 0, 30)]


def _fold_arms(motion: Motion, random: Random) -> Motion:
    left, right = _folded(random)
    return _hold(motion, left_arm=left, right_arm=right)


_FAMILIES: dict[str, Callable[[Random], Motion]] = {
    "Directions": _directions,
    "Discussion": _discussion,
    "Eating": _eating,
    "Greeting": _greeting,
    "Phoning": _phoning,
    "Photo": _photo,
    "Posing": _posing,
    "Purchases": _purchases,
    "Sitting": _sitting,
    "SittingDown": _sitting_down,
    "Smoking": _smoking,
    "Waiting": _waiting,
    "WalkDog": _walk_dog,
    "Walking": _walking,
    "WalkTogether": _walk_together,
}

ACTIONS: tuple[str, ...] = tuple(_FAMILIES)
