"""Postures in clinical angles (flexion, abduction, ...), and their joint rotations.

Angles are degrees from standing with hanging arms and the palms to the thighs. Ranges of motion:
American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording"; larger
ranges have their source beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body.joints import JOINT_NAMES


@dataclass
class Arm:
    """One arm. `plane` is its azimuth when raised: 0 sideways, 90 forward, 180 across, -40 back."""

    raised: float = 12
    plane: float = 30
    inward: float = 15  # internal rotation of the humerus
    elbow: float = 15
    pronation: float = 0
    wrist: float = 0  # flexion
    grip: float = 20  # flexion of the fingers


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
    """A whole body, left and right as seen by the person; trunk and neck span several joints.

    `carried` is 0 if the feet bear the weight: the body then turns until its centre of mass is
    above them. It is 1 if a chair, the floor or momentum bears the weight: the pelvis then has this
    `pitch` (forward) and `roll` (to the left). `seat` is 1 if the body sits or lies on the floor:
    the legs then turn at the hips until they lie on the floor too.
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
"""Ranges of motion of healthy adults, degrees."""


def _columns() -> dict[str, slice]:
    columns, at = {}, 0
    for name, value in vars(Posture()).items():
        width = len(fields(value)) if isinstance(value, Arm | Leg) else 1
        columns[name] = slice(at, at + width)
        at += width
    return columns


COLUMNS = _columns()
"""Columns of each field in a posture's row of numbers."""


def as_row(part: Posture | Arm | Leg | float) -> np.ndarray:
    """The numbers of a posture, or of one of its fields, in order."""
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
"""Limits of the numbers of a row."""


SPINE = {"spine1": (0.4, 0.25), "spine2": (0.35, 0.35), "spine3": (0.25, 0.4)}
"""Each joint's share of the trunk's bend, and of its twist."""

CHAINS: dict[str, list[int]] = {
    f"{side}_{kind}": [JOINT_NAMES.index(f"{side}_{name}") for name in names]
    for kind, names in {
        "arm": ("collar", "shoulder", "elbow", "wrist", "hand"),
        "leg": ("hip", "knee", "ankle"),
    }.items()
    for side in ("left", "right")
}
"""The joints that a limb's angles rotate, from the trunk outward."""


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

    # Bending forward is a rotation about +x, twisting left about +y, leaning left about -z. The
    # lower spine bends more, the upper spine twists more.
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
    """Joint rotations (N, 24, 3, 3) -> (N, 24, 3) float64 axis-angle."""
    return Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(turns.shape[:-1])


def carried_turns(rows: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations of a carried pelvis, model axes to world axes."""
    roll, pitch = (rows[:, COLUMNS[name].start] for name in ("roll", "pitch"))
    rolled, pitched = about("zx", -roll, pitch)
    return rolled @ pitched


def leg_rotations(legs: np.ndarray) -> np.ndarray:
    """Rotations (3, N, 3, 3) of the chain of left legs (N, 5)."""
    flexion, abduction, outward, knee, ankle = legs.T
    turns = about("xzyxx", -flexion, abduction, outward, knee, -ankle)
    turns[2] = turns[0] @ turns[1] @ turns[2]
    return turns[2:]


def arm_rotations(arms: np.ndarray) -> np.ndarray:
    """Rotations (5, N, 3, 3) of the chain of left arms (N, 7).

    The shoulder blade takes a third of the elevation beyond 30 degrees. Forearm and wrist share the
    pronation, because the two bones of the forearm twist along their length.
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
    # The shortest rotation, about a level axis, from the hanging arm to its raised direction.
    humerus = back @ up @ there @ rotate @ hang
    return np.stack([collar, collar.swapaxes(1, 2) @ humerus, flex @ half, half @ bent, curl])


def flip(turn: np.ndarray) -> np.ndarray:
    """The mirrored rotations (..., 3, 3), for the other side of the body."""
    return turn * _OTHER_SIDE


def about(axes: str, *degrees: np.ndarray) -> np.ndarray:
    """Rotations (k, N, 3, 3) about k axes, each "x", "y" or "z", by k arrays (N,) of degrees."""
    angle = np.radians(np.array(degrees))[..., None, None]
    across, twice = _across(axes)
    return _EYE + np.sin(angle) * across + (1 - np.cos(angle)) * twice


@lru_cache(maxsize=16)
def _across(axes: str) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (k, 1, 3, 3) of Rodrigues' formula: the axes' cross products and their squares."""
    across = _ACROSS[["xyz".index(axis) for axis in axes], None]
    return across, across @ across


_EYE = np.eye(3)
_OTHER_SIDE = np.array([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])
_ACROSS = np.array([
    [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
    [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
    [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
])  # fmt: skip
