"""Postures in clinical words (flexion, abduction, ...), and the joint rotations they mean.

Angles are degrees in clinical words (flexion, abduction, ...) from standing with the arms hanging
and the palms to the thighs. Ranges of motion: American Academy of Orthopaedic Surgeons, "Joint
Motion: Method of Measuring and Recording" — hip flexion 120, extension 30, abduction 45; knee
flexion 135; ankle 20 up, 50 down; shoulder elevation 180; elbow flexion 150; wrist 80 / 70; trunk
flexion 80, bending 35, rotation 45; neck 45 each way, rotation 60. What an activity uses of them
is everyday observation, not a statistic of any data set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """A whole body, left and right as the person feels them; trunk and neck span several joints."""

    left_arm: Arm = field(default_factory=Arm)
    right_arm: Arm = field(default_factory=Arm)
    left_leg: Leg = field(default_factory=Leg)
    right_leg: Leg = field(default_factory=Leg)
    bend: float = 3  # trunk flexion
    lean: float = 0  # to the left
    twist: float = 0  # to the left
    nod: float = 5
    tilt: float = 0
    turn: float = 0


def to_axis_angle(posture: Posture, jitter: np.ndarray | None = None) -> np.ndarray:
    """A posture as joint rotations of the rig (T-pose rest, x left, y up, z front).

    Args:
        posture: The angles.
        jitter: (24, 3) rotation vectors applied in the joints' own axes.

    Returns:
        (24, 3) axis-angle, radians; the root's slot zero.
    """
    turns = {name: Rotation.identity() for name in JOINT_NAMES}
    for joint, share in {"spine1": 0.4, "spine2": 0.35, "spine3": 0.25}.items():
        turns[joint] = _axes(share, bend=posture.bend, twist=posture.twist, lean=posture.lean)
    for joint, share in {"neck": 0.5, "head": 0.5}.items():
        turns[joint] = _axes(share, bend=posture.nod, twist=posture.turn, lean=posture.tilt)
    turns |= {f"left_{joint}": turn for joint, turn in _leg(posture.left_leg).items()}
    turns |= {f"right_{joint}": _flip(turn) for joint, turn in _leg(posture.right_leg).items()}
    turns |= {f"left_{joint}": turn for joint, turn in _arm(posture.left_arm).items()}
    turns |= {f"right_{joint}": _flip(turn) for joint, turn in _arm(posture.right_arm).items()}
    pose = np.stack([turns[name].as_rotvec() for name in JOINT_NAMES])
    if jitter is not None:
        pose = (Rotation.from_rotvec(pose) * Rotation.from_rotvec(jitter)).as_rotvec()
    pose[0] = 0
    return pose


def _axes(share: float, *, bend: float, twist: float, lean: float) -> Rotation:
    """Trunk and neck: bending forward is about +x, twisting left +y, leaning left -z."""
    return Rotation.from_euler("YXZ", share * np.array([twist, bend, -lean]), degrees=True)


def _leg(leg: Leg) -> dict[str, Rotation]:
    return {
        "hip": Rotation.from_euler("XZY", [-leg.flexion, leg.abduction, leg.outward], degrees=True),
        "knee": Rotation.from_euler("x", leg.knee, degrees=True),
        "ankle": Rotation.from_euler("x", -leg.ankle, degrees=True),
        "foot": Rotation.identity(),
    }


def _arm(arm: Arm) -> dict[str, Rotation]:
    """The left arm. The shoulder blade takes a third of what is raised beyond 30 degrees."""
    plane = np.radians(arm.plane)
    blade = max(0.0, arm.raised - 30) / 3
    collar = Rotation.from_euler(
        "YZ", [-0.3 * blade * np.sin(plane), 0.8 * blade * abs(np.cos(plane))], degrees=True
    )
    # The shortest turn of a hanging arm, about a level axis, to where it is raised.
    axis = np.array([-np.sin(plane), 0, np.cos(plane)])
    raise_arm = Rotation.from_rotvec(np.radians(arm.raised) * axis)
    inward = Rotation.from_euler("y", -arm.inward, degrees=True)
    hang = Rotation.from_euler("z", -90, degrees=True)
    return {
        "collar": collar,
        "shoulder": collar.inv() * raise_arm * inward * hang,
        "elbow": Rotation.from_euler("YX", [-arm.elbow, arm.pronation], degrees=True),
        "wrist": Rotation.from_euler("z", -arm.wrist, degrees=True),
        "hand": Rotation.identity(),
    }


def _flip(turn: Rotation) -> Rotation:
    """The same rotation on the other side of the body."""
    return Rotation.from_rotvec(turn.as_rotvec() * [1, -1, -1])


def mirrored(posture: Posture) -> Posture:
    """Left and right exchanged."""
    return Posture(
        left_arm=posture.right_arm, right_arm=posture.left_arm,
        left_leg=posture.right_leg, right_leg=posture.left_leg,
        bend=posture.bend, lean=-posture.lean, twist=-posture.twist,
        nod=posture.nod, tilt=-posture.tilt, turn=-posture.turn,
    )  # fmt: skip
