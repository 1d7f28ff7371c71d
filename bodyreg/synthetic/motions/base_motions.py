"""Base motions of actions: standing, walking, sitting, crouching, kneeling, lying.

Each function samples a motion of the whole body. Its arms and head are at rest; gestures replace
them.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from bodyreg.synthetic.motions.motion import Cycle, Motion
from bodyreg.synthetic.motions.poses import Arm, Leg, Posture

# Hip flexion, knee flexion and ankle dorsiflexion of level walking at eighths of the stride,
# starting at heel strike (Perry & Burnfield, "Gait Analysis", rounded).
GAIT = np.array([
    [30, 26, 12, -1, -11, -2, 20, 33],
    [5, 18, 12, 6, 9, 38, 62, 33],
    [0, -5, 3, 8, 10, -16, -6, 1],
])  # fmt: skip


def through(postures: list[Posture], seconds: list[float]) -> Motion:
    """A motion through whole postures."""
    moves = {
        f.name: Cycle([getattr(p, f.name) for p in postures], seconds) for f in fields(Posture)
    }
    return Motion(postures[0], moves)


def hanging(random: np.random.Generator) -> Arm:
    """An arm at rest: beside the body, or with the hand in a pocket."""
    u = random.uniform
    if random.random() < 0.15:
        return Arm(u(18, 26), u(-25, 5), u(25, 45), u(40, 55), u(-10, 20), 0, 50)
    return Arm(u(9, 20), u(-10, 60), u(0, 40), u(6, 40), u(-10, 40), u(-5, 10), u(15, 45))


def standing(random: np.random.Generator) -> Motion:
    """Standing at ease: the weight shifts between the legs, the arms hang."""
    u = random.uniform
    relaxed = u(0, 28)
    bearing = Leg(u(-4, 6), u(-2, 4), u(0, 18), u(0, 6))
    free = Leg(0.6 * relaxed, u(1, 8), u(3, 25), relaxed, u(0, 6))
    seconds = [u(2, 5), u(0.8, 1.4), u(2, 5), u(0.8, 1.4)]
    legs = Cycle([bearing, bearing, free, free], seconds)
    other = Cycle([free, free, bearing, bearing], seconds)
    lean = u(0, 5)
    posture = Posture(
        left_arm=hanging(random), right_arm=hanging(random),
        bend=u(-5, 10), twist=u(-8, 8), nod=u(-6, 16), turn=u(-30, 30),
    )  # fmt: skip
    return Motion(
        posture,
        {
            "left_leg": legs,
            "right_leg": other,
            "lean": Cycle([lean, lean, -lean, -lean], seconds),
        },
    )


def walking(random: np.random.Generator, brisk: float | None = None) -> Motion:
    """Walking, from a stroll (`brisk` 0) to a brisk walk (1); arms swing against the legs."""
    u = random.uniform
    brisk = u(0, 1) if brisk is None else brisk
    stride, spread, outward = 0.65 + 0.5 * brisk + u(-0.1, 0.1), u(0, 4), u(0, 12)
    seconds = [(1.35 - 0.35 * brisk + u(-0.08, 0.08)) / 8] * 8
    legs = [Leg(stride * hip, spread, outward, stride * knee, ankle) for hip, knee, ankle in GAIT.T]
    reach, elbow = 10 + 16 * brisk + u(-4, 6), 8 + 18 * brisk + u(0, 12)
    swing = -np.cos(np.arange(8) * np.pi / 4)

    def arm(amount: float) -> Arm:
        forward = reach * amount + 4
        plane = 80 if forward > 0 else -60
        return Arm(abs(forward) + 7, plane, 10, elbow + 12 * max(0, amount), 10, 0, 30)

    arms = [arm(amount) for amount in swing]
    posture = Posture(
        bend=u(0, 5) + 4 * brisk, nod=u(-5, 14), turn=u(-25, 25),
        pitch=u(0, 4) + 2 * brisk, carried=1,
    )  # fmt: skip
    return Motion(
        posture,
        {
            "left_leg": Cycle(legs, seconds),
            "right_leg": Cycle(legs[4:] + legs[:4], seconds),
            "left_arm": Cycle(arms, seconds),
            "right_arm": Cycle(arms[4:] + arms[:4], seconds),
            "twist": Cycle([-7 * amount for amount in swing], seconds),
        },
    )


def seated(random: np.random.Generator) -> Motion:
    """Sitting on a chair: feet on the floor, legs crossed, or legs stretched out."""
    u = random.uniform
    recline = u(-12, 4)
    thigh, knee, apart = u(82, 92), u(75, 105), 9
    way = random.random()
    if way > 0.9:  # stretched out
        thigh, knee, apart = u(74, 82), u(25, 50), 4
    legs = [
        _on_the_ground(thigh + u(-2, 2), knee + u(-apart, apart), recline, u(4, 16), u(0, 14))
        for _ in range(2)
    ]
    if way < 0.25:  # a leg over the other
        legs[0] = Leg(u(105, 112) + recline, u(-18, -13), u(0, 8), u(75, 100), u(-25, 0))
        legs[1] = _on_the_ground(u(80, 86), u(80, 95), recline, u(-3, 1), u(0, 5))
    rest = [Arm(u(18, 30), u(60, 85), u(15, 35), u(38, 60), u(20, 60), 0, 30) for _ in range(2)]
    return Motion(
        Posture(
            left_arm=rest[0], right_arm=rest[1], left_leg=legs[0], right_leg=legs[1],
            bend=u(0, 24), lean=u(-6, 6), twist=u(-8, 8), nod=u(-4, 20), turn=u(-30, 30),
            pitch=recline, carried=1,
        )
    )  # fmt: skip


def _on_the_ground(
    thigh: float, knee: float, pitch: float, abduction: float, outward: float
) -> Leg:
    """The leg of a sitting person: the thigh's angle from vertical in degrees, and a level sole."""
    return Leg(thigh + pitch, abduction, outward, knee, float(np.clip(knee - thigh, -45, 25)))


def crouching(random: np.random.Generator) -> Motion:
    """Between bent knees and a squat, moving up and down, with the hands low."""
    u = random.uniform
    depth = u(0.35, 1)
    spread, outward = u(6, 20), u(6, 25)

    def leg(depth: float) -> Leg:
        return Leg(108 * depth, spread, outward, 125 * depth, 24 * depth)

    arms = [Arm(u(35, 75), u(65, 95), u(0, 30), u(10, 65), u(-10, 40)) for _ in range(2)]
    seconds = [u(1, 3), u(0.8, 1.5), u(1, 3), u(0.8, 1.5)]
    low, high = leg(depth), leg(depth - u(0.05, 0.3))
    legs = Cycle([low, low, high, high], seconds)
    posture = Posture(
        left_arm=arms[0], right_arm=arms[1], bend=u(12, 28) + 14 * depth,
        lean=u(-6, 6), twist=u(-10, 10), nod=u(-20, 12), turn=u(-25, 25),
    )  # fmt: skip
    return Motion(posture, {"left_leg": legs, "right_leg": legs})


def picking_up(random: np.random.Generator) -> Motion:
    """Bending down, with one or both hands to the ground, and up again."""
    u = random.uniform
    up = standing(random).posture
    fold, knee = u(25, 65), u(8, 60)
    arms = [Arm(u(45, 85), u(75, 95), u(0, 25), u(5, 30), u(0, 40), 0, 35) for _ in range(2)]
    if random.random() < 0.5:
        arms[0] = Arm(u(12, 30), u(10, 50), u(0, 30), u(10, 60))
    legs = [Leg(fold + u(-6, 6), u(3, 12), u(0, 15), knee + u(-6, 6), knee / 6) for _ in range(2)]
    down = Posture(
        *arms,
        *legs,
        bend=u(35, 65),
        lean=u(-8, 8),
        twist=u(-15, 15),
        nod=u(-25, 8),
        turn=u(-20, 20),
    )
    return through([up, up, down, down], [u(0.3, 1), u(0.8, 1.3), u(0.5, 1.5), u(0.8, 1.3)])


def kneeling(random: np.random.Generator) -> Motion:
    """Kneeling on one knee, on both, or sitting on the heels."""
    u = random.uniform
    way = random.random()
    arms = [Arm(u(12, 40), u(40, 80), u(5, 35), u(20, 70), u(0, 40)) for _ in range(2)]
    pitch = u(-3, 6)
    if way < 0.45:
        front = Leg(88 + pitch + u(-4, 4), u(2, 10), u(0, 10), u(86, 98), u(-2, 8))
        back = Leg(pitch + u(-8, 4), u(0, 6), u(0, 6), u(88, 100), u(-40, 5))
        legs = [front, back]
    elif way < 0.7:
        flexion, knee = pitch + u(0, 12), u(88, 96)
        legs = [Leg(flexion, u(3, 10), u(0, 8), knee, u(-45, -35)) for _ in range(2)]
    else:
        legs = [
            Leg(u(58, 64) + pitch, u(4, 10), u(0, 6), u(143, 149), u(-50, -45)) for _ in range(2)
        ]
    return Motion(
        Posture(
            *arms, *legs, bend=u(0, 25), lean=u(-6, 6), twist=u(-12, 12), nod=u(-5, 25),
            turn=u(-35, 35), pitch=pitch, carried=1,
        )
    )  # fmt: skip


def on_the_floor(random: np.random.Generator) -> Motion:
    """Sitting on the floor: legs out, drawn up or crossed, or leaning back."""
    u = random.uniform
    way = random.random()
    pitch = u(-22, -6)
    arms = [Arm(u(22, 45), u(70, 90), u(10, 30), u(15, 45), u(30, 70), 0, 25) for _ in range(2)]
    bend, nod = u(10, 35), u(-5, 22)
    if way < 0.25:
        legs = [Leg(84 + pitch, u(2, 14), u(2, 20), u(4, 12), u(-35, -15)) for _ in range(2)]
    elif way < 0.6:
        legs = [_drawn_up(u(28, 46), pitch, u(2, 10)) for _ in range(2)]
        if random.random() < 0.4:
            legs[0] = Leg(84 + pitch, u(2, 10), u(2, 15), u(4, 12), u(-35, -15))
    elif way < 0.8:
        legs = [Leg(114 + pitch, 34, 38, knee, u(-20, 0)) for knee in (u(112, 118), 132)]
    else:
        # Leaning back on the hands.
        pitch, bend, nod = u(-38, -28), u(-5, 10), u(5, 25)
        legs = [_drawn_up(u(15, 40), pitch, u(2, 10)), _drawn_up(u(5, 40), pitch, u(2, 10))]
        arms = [Arm(u(38, 50), u(-75, -62), u(-20, 0), u(0, 8), 20, -60, 5) for _ in range(2)]
    return Motion(
        Posture(
            *arms, *legs, bend=bend, lean=u(-5, 5), twist=u(-8, 8), nod=nod, turn=u(-30, 30),
            pitch=pitch, carried=1, seat=1,
        )
    )  # fmt: skip


def _drawn_up(rise: float, pitch: float, spread: float) -> Leg:
    """The leg of a person on the floor: the thigh `rise` degrees up, the foot on the floor."""
    fall = np.degrees(np.arcsin(min(1, (0.04 + 0.40 * np.sin(np.radians(rise))) / 0.42)))
    return Leg(90 + rise + pitch, spread, 4, rise + fall, -0.5 * (90 - fall))


def lying(random: np.random.Generator) -> Motion:
    """Lying on the back, with the knees up or down, or on a side."""
    u = random.uniform
    arms = [Arm(u(15, 60), u(-5, 10), u(-20, 40), u(5, 70), u(0, 40)) for _ in range(2)]
    if random.random() < 0.7:
        legs = [
            Leg(u(2, 10), u(3, 12), u(5, 25), u(2, 12), u(-40, -25))
            if random.random() < 0.5
            else Leg(u(40, 52), u(2, 8), u(0, 8), u(80, 100), u(-25, -10))
            for _ in range(2)
        ]
        pitch, roll, seat = -90, 0, 1
    else:
        legs = [Leg(u(20, 60), u(-2, 4), u(0, 8), u(30, 80), u(-30, -10)) for _ in range(2)]
        arms = [Arm(u(60, 90), u(75, 95), u(0, 30), u(20, 80)) for _ in range(2)]
        pitch, roll, seat = 0, 90, 0
    return Motion(
        Posture(
            *arms, *legs, bend=u(0, 8), nod=u(0, 20), turn=u(-30, 30), tilt=u(-5, 5),
            pitch=pitch, roll=roll, carried=1, seat=seat,
        )
    )  # fmt: skip
