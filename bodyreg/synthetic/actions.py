"""What people do in photographs, drawn at random within healthy joint ranges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bodyreg.synthetic.poses import Arm, Leg, Posture, mirrored, to_axis_angle

# Every joint moves a little in every action (degrees, standard deviation).
JITTER = 4.0


def _standing(random: np.random.Generator) -> Posture:
    """At ease: the weight on one leg, the arms hanging."""
    u = random.uniform
    relaxed = u(0, 30)
    return Posture(
        left_arm=Arm(u(8, 22), u(-10, 70), u(0, 40), u(5, 45)),
        right_arm=Arm(u(8, 22), u(-10, 70), u(0, 40), u(5, 45)),
        left_leg=Leg(u(-5, 8), u(0, 10), u(0, 20), u(0, 8)),
        right_leg=Leg(0.6 * relaxed, u(2, 14), u(0, 25), relaxed, u(0, 8)),
        bend=u(-5, 12), lean=u(-8, 8), twist=u(-12, 12), nod=u(-10, 20), turn=u(-45, 45),
    )  # fmt: skip


def _walking(random: np.random.Generator) -> Posture:
    """A phase of the stride, strolling to running; arms swing against the legs."""
    u = random.uniform
    phase, stride = u(0, 2 * np.pi), u(15, 38)
    brisk = (stride - 15) / 23

    def leg(angle: float) -> Leg:
        swing = max(0.0, np.cos(angle))  # moving forward, the foot off the ground
        return Leg(
            stride * np.sin(angle) + 5 * brisk,
            u(0, 6),
            u(0, 10),
            8 + (42 + 35 * brisk) * swing,
            -10 * max(0.0, -np.sin(angle)) + 5 * swing,
        )

    def arm(angle: float) -> Arm:
        reach = 0.9 * stride * np.sin(angle) + 5
        elbow = 15 + 70 * brisk + u(-10, 10)
        return Arm(abs(reach) + 8, 75 if reach > 0 else -70, u(5, 30), elbow)

    return Posture(
        left_arm=arm(phase + np.pi), right_arm=arm(phase),
        left_leg=leg(phase), right_leg=leg(phase + np.pi),
        bend=u(2, 8) + 12 * brisk, twist=-10 * np.sin(phase), nod=u(-5, 12), turn=u(-25, 25),
    )  # fmt: skip


def _reaching(random: np.random.Generator) -> Posture:
    """One arm out to something, anywhere from the knee to above the head."""
    u = random.uniform
    posture = _standing(random)
    posture.left_arm = Arm(u(50, 165), u(0, 110), u(-30, 30), u(0, 60), u(-40, 40), u(-20, 20))
    posture.lean, posture.twist, posture.bend = u(-12, 12), u(-30, 20), u(-5, 25)
    return posture


def _both_hands(random: np.random.Generator) -> Posture:
    """Working at something in front: carrying, cooking, typing while standing."""
    u = random.uniform
    posture = _standing(random)
    raised, elbow = u(10, 60), u(50, 110)
    for side in ("left_arm", "right_arm"):
        arm = Arm(raised + u(-10, 10), u(50, 90), u(10, 45), elbow + u(-15, 15), u(-50, 30))
        setattr(posture, side, arm)
    posture.bend, posture.nod = u(0, 20), u(5, 35)
    return posture


def _phoning(random: np.random.Generator) -> Posture:
    """A hand at the ear."""
    u = random.uniform
    posture = _standing(random)
    posture.left_arm = Arm(u(35, 60), u(45, 80), u(0, 20), u(132, 147), u(-20, 20), u(-10, 20))
    posture.tilt = u(0, 15)
    return posture


def _waving(random: np.random.Generator) -> Posture:
    """A hand beside or above the head."""
    u = random.uniform
    posture = _standing(random)
    posture.left_arm = Arm(u(70, 120), u(0, 35), u(-90, -55), u(50, 115), u(-20, 20))
    return posture


def _arms_up(random: np.random.Generator) -> Posture:
    """Both arms high: cheering, hanging washing, stretching."""
    u = random.uniform
    posture = _standing(random)
    for side in ("left_arm", "right_arm"):
        setattr(posture, side, Arm(u(110, 165), u(10, 80), u(-40, 20), u(5, 70), u(-30, 30)))
    posture.bend, posture.nod = u(-15, 5), u(-30, 5)
    return posture


def _arms_out(random: np.random.Generator) -> Posture:
    """Both arms sideways: balancing, showing, greeting."""
    u = random.uniform
    posture = _standing(random)
    for side in ("left_arm", "right_arm"):
        setattr(posture, side, Arm(u(45, 100), u(-20, 45), u(-40, 30), u(0, 60), u(-40, 40)))
    return posture


def _sitting(random: np.random.Generator) -> Posture:
    """On a chair: hands on the lap, on a table, or one at the chin."""
    u = random.uniform
    lap = [Arm(u(10, 40), u(50, 90), u(10, 40), u(35, 80), u(-40, 40)) for _ in range(2)]
    if random.random() < 0.3:
        lap[0] = Arm(u(35, 60), u(60, 90), u(0, 25), u(115, 140))
    knee = u(65, 110)
    return Posture(
        left_arm=lap[0], right_arm=lap[1],
        left_leg=Leg(u(70, 95), u(2, 18), u(0, 15), knee + u(-15, 15), u(-10, 10)),
        right_leg=Leg(u(70, 95), u(2, 18), u(0, 15), knee + u(-15, 15), u(-10, 10)),
        bend=u(-10, 30), lean=u(-8, 8), twist=u(-15, 15), nod=u(-5, 30), turn=u(-40, 40),
    )  # fmt: skip


def _crouching(random: np.random.Generator) -> Posture:
    """Between bent knees and a squat, busy with something low."""
    u = random.uniform
    depth = u(0.3, 1)
    arms = [Arm(u(30, 80), u(60, 95), u(0, 35), u(10, 70)) for _ in range(2)]
    legs = [
        Leg(105 * depth + u(-8, 8), u(4, 22), u(5, 25), 120 * depth + u(-8, 8), 20 * depth)
        for _ in range(2)
    ]
    return Posture(
        left_arm=arms[0], right_arm=arms[1], left_leg=legs[0], right_leg=legs[1],
        bend=u(15, 30) + 15 * depth, lean=u(-8, 8), twist=u(-12, 12),
        nod=u(-20, 15), turn=u(-30, 30),
    )  # fmt: skip


def _picking_up(random: np.random.Generator) -> Posture:
    """Bent over, an arm or two toward the ground."""
    u = random.uniform
    fold = u(30, 70)
    arms = [Arm(u(40, 95), u(70, 95), u(0, 25), u(5, 40)) for _ in range(2)]
    if random.random() < 0.5:
        arms[1] = Arm(u(10, 30), u(-20, 60), u(0, 40), u(10, 70))
    knee = u(5, 50)
    legs = [
        Leg(fold + u(-8, 8), u(2, 12), u(0, 15), max(0, knee + u(-8, 8)), u(0, 10))
        for _ in range(2)
    ]
    return Posture(
        left_arm=arms[0], right_arm=arms[1], left_leg=legs[0], right_leg=legs[1],
        bend=u(30, 60), lean=u(-8, 8), twist=u(-20, 20), nod=u(-30, 10), turn=u(-25, 25),
    )  # fmt: skip


def _climbing(random: np.random.Generator) -> Posture:
    """A foot up on a step, or a lunge."""
    u = random.uniform
    posture = _standing(random)
    lift = u(35, 85)
    posture.left_leg = Leg(lift, u(0, 12), u(0, 15), lift + u(-5, 30), u(-5, 15))
    posture.right_leg = Leg(u(-25, 0), u(0, 8), u(0, 10), u(5, 30), u(-10, 15))
    posture.bend = u(0, 25)
    return posture


_FAMILIES: dict[str, Callable[[np.random.Generator], Posture]] = {
    "standing": _standing,
    "walking": _walking,
    "reaching": _reaching,
    "both hands": _both_hands,
    "phoning": _phoning,
    "waving": _waving,
    "arms up": _arms_up,
    "arms out": _arms_out,
    "sitting": _sitting,
    "crouching": _crouching,
    "picking up": _picking_up,
    "climbing": _climbing,
}

UPRIGHT = {"sitting", "walking", "climbing"}
"""Activities with an upright pelvis: a chair or a step carries the body, or it is in motion.
In the others the feet do, and the pelvis tilts so that the weight is above them."""

ACTIONS: tuple[str, ...] = tuple(_FAMILIES)


def sample_motion(action: str, random: np.random.Generator, frames: int) -> np.ndarray:
    """Draw a short motion.

    Args:
        action: One of `ACTIONS`.
        random: Where it comes from.
        frames: T, ten a second.

    Returns:
        (T, 24, 3) float32 axis-angle in radians; the root's slots are zero.
    """
    posture = _FAMILIES[action](random)
    if random.random() < 0.5:
        posture = mirrored(posture)
    pose = to_axis_angle(posture, random.normal(0, np.radians(JITTER), (24, 3)))
    return np.repeat(pose[None], frames, 0).astype(np.float32)
