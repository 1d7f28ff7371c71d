"""Postures in clinical words (flexion, abduction, ...), and the joint rotations they mean.

Angles are degrees from standing with the arms hanging and the palms to the thighs. Ranges of
motion: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording";
what goes beyond it is said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body.joints import JOINT_NAMES


@dataclass
class Arm:
    """One arm. `plane` is where it is raised to: 0 sideways, 90 forward, 180 across, -40 behind."""

    raised: float = 12
    plane: float = 30
    inward: float = 15  # internal rotation of the humerus
    elbow: float = 15
    pronation: float = 0
    wrist: float = 0  # flexion
    grip: float = 20  # how far the fingers are curled


@dataclass
class Leg:
    """One leg."""

    flexion: float = 0
    abduction: float = 4
    outward: float = 6  # external rotation of the hip
    knee: float = 4
    ankle: float = 0  # dorsiflexion


@dataclass
class Posture:
    """A whole body, left and right as the person feels them; trunk and neck span several joints.

    `carried` is 0 where the feet bear the weight: the pelvis then tilts until it is above them. It
    is 1 where a chair, the floor or motion does, and the pelvis has this `pitch` (forward) and
    `roll` (to the left). `seat` is 1 where the body sits or lies on the floor: the legs then sink
    or rise at the hips until they lie on it too.
    """

    left_arm: Arm = field(default_factory=Arm)
    right_arm: Arm = field(default_factory=Arm)
    left_leg: Leg = field(default_factory=Leg)
    right_leg: Leg = field(default_factory=Leg)
    bend: float = 3  # trunk flexion
    lean: float = 0  # to the left
    twist: float = 0  # to the left
    nod: float = 5
    tilt: float = 0  # of the head, to the left
    turn: float = 0  # of the head, to the left
    pitch: float = 0
    roll: float = 0
    carried: float = 0
    seat: float = 0


LIMITS: dict[str, tuple[float, float]] = {
    # Shoulder: elevation 180, horizontal extension 50, horizontal flexion 130.
    "raised": (0, 180), "plane": (-75, 130), "inward": (-90, 90),
    "elbow": (0, 150), "pronation": (-80, 80), "wrist": (-70, 80), "grip": (0, 90),
    # Hip: flexion 120, with the knee bent and the pelvis along 135 (Kapandji).
    "flexion": (-30, 130), "abduction": (-30, 45), "outward": (-45, 45),
    # Kneeling on the heels bends a knee to 150. Squatting, an ankle bends to 30 under the weight.
    "knee": (0, 150), "ankle": (-50, 30),
    "bend": (-25, 80), "lean": (-35, 35), "twist": (-45, 45),
    "nod": (-45, 45), "tilt": (-45, 45), "turn": (-70, 70),
    "pitch": (-90, 90), "roll": (-90, 90), "carried": (0, 1), "seat": (0, 1),
}  # fmt: skip
"""What a joint can do, degrees: ranges of motion of healthy adults."""


def _columns() -> dict[str, slice]:
    columns, at = {}, 0
    for name, value in vars(Posture()).items():
        width = len(fields(value)) if isinstance(value, Arm | Leg) else 1
        columns[name] = slice(at, at + width)
        at += width
    return columns


COLUMNS = _columns()
"""Where each field of a posture stands in its row of numbers."""


def as_row(part: Posture | Arm | Leg | float) -> np.ndarray:
    """The numbers of a posture, or of a part of one, in order."""
    if isinstance(part, Arm | Leg):
        return np.array([*vars(part).values()], np.float64)
    if isinstance(part, Posture):
        return np.concatenate([as_row(value) for value in vars(part).values()])
    return np.array([part], np.float64)


def _limits() -> np.ndarray:
    names = [
        name
        for value, field_name in ((v, n) for n, v in vars(Posture()).items())
        for name in (vars(value) if isinstance(value, Arm | Leg) else [field_name])
    ]
    return np.array([LIMITS[name] for name in names]).T


LOW, HIGH = _limits()
"""Limits of a row's numbers."""


SPINE = {"spine1": (0.4, 0.25), "spine2": (0.35, 0.35), "spine3": (0.25, 0.4)}
"""Each joint's share of what the trunk bends, and of what it twists."""

CHAINS: dict[str, list[int]] = {
    f"{side}_{kind}": [JOINT_NAMES.index(f"{side}_{name}") for name in names]
    for kind, names in {
        "arm": ("collar", "shoulder", "elbow", "wrist", "hand"),
        "leg": ("hip", "knee", "ankle"),
    }.items()
    for side in ("left", "right")
}
"""The joints that a limb's numbers turn, from the trunk outward."""


def mirrored(rows: np.ndarray) -> np.ndarray:
    """Rows (..., P) with left and right exchanged."""
    other = rows.copy()
    for one, two in (("left_arm", "right_arm"), ("left_leg", "right_leg")):
        other[..., COLUMNS[one]] = rows[..., COLUMNS[two]]
        other[..., COLUMNS[two]] = rows[..., COLUMNS[one]]
    for name in ("lean", "twist", "tilt", "turn", "roll"):
        other[..., COLUMNS[name]] *= -1
    return other


def to_rotations(rows: np.ndarray) -> np.ndarray:
    """Rows of numbers as joint rotations of the rig (T-pose rest, x left, y up, z front).

    Args:
        rows: (N, P) postures, degrees.

    Returns:
        (N, 24, 3, 3) float64; the root's is the identity.
    """
    turns = np.empty((len(rows), len(JOINT_NAMES), 3, 3))
    turns[:] = _EYE

    def columns(*names: str) -> np.ndarray:
        return rows[:, [COLUMNS[name].start for name in names]].T

    # Bending forward is about +x, twisting left +y, leaning left -z. The lower spine bends more,
    # the upper turns more.
    bend, twist, lean = columns("bend", "twist", "lean")
    nod, turn, tilt = columns("nod", "turn", "tilt")
    angles = [a for s, t in SPINE.values() for a in (t * twist, s * bend, -s * lean)]
    single = about("yxz" * 4, *angles, 0.5 * turn, 0.5 * nod, -0.5 * tilt)
    trunk = single[0::3] @ single[1::3] @ single[2::3]
    for name, turned in zip((*SPINE, "neck", "head"), (*trunk, trunk[-1]), strict=True):
        turns[:, JOINT_NAMES.index(name)] = turned
    for kind, rotations in (("leg", leg_rotations), ("arm", arm_rotations)):
        both = np.concatenate([rows[:, COLUMNS[f"{side}_{kind}"]] for side in ("left", "right")])
        turned = rotations(both).swapaxes(0, 1)
        turns[:, CHAINS[f"left_{kind}"]] = turned[: len(rows)]
        turns[:, CHAINS[f"right_{kind}"]] = flip(turned[len(rows) :])
    return turns


def to_axis_angle(turns: np.ndarray) -> np.ndarray:
    """Joint rotations (N, 24, 3, 3) as (N, 24, 3) float64 rotation vectors."""
    return Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(turns.shape[:-1])


def carried_turns(rows: np.ndarray) -> np.ndarray:
    """(N, 3, 3): how a pelvis that is carried is turned, model axes to the world's."""
    roll, pitch = (rows[:, COLUMNS[name].start] for name in ("roll", "pitch"))
    rolled, pitched = about("zx", -roll, pitch)
    return rolled @ pitched


def leg_rotations(legs: np.ndarray) -> np.ndarray:
    """Left legs (N, 5) as rotations (3, N, 3, 3) of their chain."""
    flexion, abduction, outward, knee, ankle = legs.T
    turns = about("xzyxx", -flexion, abduction, outward, knee, -ankle)
    turns[2] = turns[0] @ turns[1] @ turns[2]
    return turns[2:]


def arm_rotations(arms: np.ndarray) -> np.ndarray:
    """Left arms (N, 7) as rotations (5, N, 3, 3) of their chain.

    The shoulder blade takes a third of what is raised beyond 30 degrees; forearm and wrist share
    pronation, as the two bones of the forearm do.
    """
    raised, plane, inward, elbow, pronation, wrist, grip = arms.T
    blade = np.maximum(0, raised - 30) / 3
    sideways, forward = np.cos(np.radians(plane)), np.sin(np.radians(plane))
    lift = np.maximum(abs(sideways), (raised - 90) / 90)
    protract, elevate, back, up, there, rotate, hang, flex, half, bent, curl = about(
        "yzyzyyzyxzz", -0.3 * blade * forward, 0.8 * blade * lift, -plane, raised, plane, -inward,
        np.full_like(raised, -90), -elbow, pronation / 2, -wrist, -grip,
    )  # fmt: skip
    collar = protract @ elevate
    # The shortest turn of a hanging arm, about a level axis, to where it is raised.
    humerus = back @ up @ there @ rotate @ hang
    return np.stack([collar, collar.swapaxes(1, 2) @ humerus, flex @ half, half @ bent, curl])


def flip(turn: np.ndarray) -> np.ndarray:
    """The same rotations (..., 3, 3) on the other side of the body."""
    return turn * _OTHER_SIDE


def about(axes: str, *degrees: np.ndarray) -> np.ndarray:
    """Rotations (k, N, 3, 3) about k of the axes x, y and z by as many (N,) degrees."""
    angle = np.radians(np.array(degrees))[..., None, None]
    across, twice = _across(axes)
    return _EYE + np.sin(angle) * across + (1 - np.cos(angle)) * twice


@lru_cache(maxsize=16)
def _across(axes: str) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (k, 1, 3, 3) of Rodrigues' formula: the cross products with axes, once and twice."""
    across = _ACROSS[["xyz".index(axis) for axis in axes], None]
    return across, across @ across


_EYE = np.eye(3)
_OTHER_SIDE = np.array([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])
_ACROSS = np.array([
    [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
    [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
    [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
])  # fmt: skip
