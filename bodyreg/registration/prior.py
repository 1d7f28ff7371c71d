"""What joints of a human body can do, and what they usually do: the anatomical prior.

Rotations are axis-angle vectors in model axes of the T-pose rig: x to the body's left, y up, z to
the front. A bone that hangs down (thigh, shank) flexes forward by -x and backward by +x; the trunk
bends forward by +x, turns to its left by +y and leans to its right by +z. The left arm points
along +x: it sinks by -z, swings forward by -y and twists about x.

Ranges of motion are the goniometric norms of the American Academy of Orthopaedic Surgeons ("Joint
Motion: Method of Measuring and Recording", 1965) as tabulated by Norkin & White ("Measurement of
Joint Motion", 5th ed., 2016); single spinal regions follow Kapandji ("The Physiology of the
Joints"), the clavicle Levangie & Norkin ("Joint Structure and Function"). They are quoted beside
each line. Means and spreads describe everyday poses (standing, walking, sitting, reaching). They
are estimates, not measurements, and therefore wide. The means of hips and knees are those of people
who stand: where the picture cannot tell a bent knee from a straight one, legs are straight.

Joints also move together: a person with bent knees has bent hips. `everyday_poses.json` has what
real poses show of this, as modes of the pose in units of the spreads. tools/learn_poses.py learns
it from joints in two dimensions alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS


@dataclass(frozen=True)
class JointPrior:
    """Mean, spread and limits of a joint's axis-angle components, degrees, in the order x, y, z."""

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True)
class PosePrior:
    """The prior of the whole rig, float64; the pelvis has none.

    Attributes:
        mean, spread, low, high: (24, 3) radians.
        mode: (24, 3, 24) per radian, directions in which joints move together.
        mode_weight: (24,) 1/λ - 1, where the variance along a mode is λ times the single angles'.
    """

    mean: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mode: np.ndarray
    mode_weight: np.ndarray


# Central joints, and the left of each pair; the right is its mirror image.
JOINTS: dict[str, JointPrior] = {
    # Hip: flexion 120, extension 20-30, abduction 45, adduction 30, rotation 45 each way (AAOS).
    # Flexion with the knee bent reaches 135 (Kapandji), which sitting and squatting need.
    "left_hip": JointPrior((-2, 5, 5), (25, 14, 11), (-135, -45, -30), (25, 50, 60)),
    # Knee: flexion 135-150, extension 0-10 (AAOS); rotation only when bent, 10 either way of use.
    "left_knee": JointPrior((3, 0, 0), (30, 7, 6), (-5, -20, -12), (150, 20, 12)),
    # Ankle: plantar flexion 50, dorsiflexion 20; with the subtalar joint inversion 35, eversion 15.
    "left_ankle": JointPrior((0, 3, 0), (14, 9, 8), (-30, -25, -25), (50, 25, 30)),
    # Toes: extension 70, flexion 45 at the first metatarsophalangeal joint (AAOS).
    "left_foot": JointPrior((0, 0, 0), (10, 5, 5), (-60, -10, -10), (40, 10, 10)),
    # Thoracolumbar spine: flexion 80, extension 25, side bending 35, rotation 45 in all (AAOS),
    # shared by three joints; lumbar flexes more and thoracic turns more (Kapandji).
    "spine1": JointPrior((5, 0, 0), (11, 7, 7), (-15, -15, -15), (40, 15, 15)),
    "spine2": JointPrior((3, 0, 0), (9, 8, 7), (-12, -20, -15), (30, 20, 15)),
    "spine3": JointPrior((3, 0, 0), (8, 9, 7), (-12, -25, -15), (30, 25, 15)),
    # Cervical spine: flexion 45, extension 45, side bending 45, rotation 60-80 (AAOS), by two.
    "neck": JointPrior((3, 0, 0), (12, 14, 9), (-30, -40, -25), (35, 40, 25)),
    "head": JointPrior((0, 0, 0), (12, 16, 9), (-30, -45, -25), (30, 45, 25)),
    # Clavicle: elevation 48, depression 15, protraction 20, retraction 30 (Levangie & Norkin).
    "left_collar": JointPrior((0, 0, -3), (6, 8, 9), (-20, -30, -15), (20, 20, 40)),
    # Shoulder: abduction 180 with the scapula, so 90 above the T-pose of which the collar gives 30;
    # hanging arms are 90 below it; horizontal adduction 130-145, horizontal extension 40-45;
    # rotation 70 inward and 90 outward (AAOS). Vectors of large rotations mix the axes: room added.
    "left_shoulder": JointPrior((0, -15, -55), (35, 36, 34), (-130, -140, -115), (110, 60, 85)),
    # Elbow: flexion 140-150, extension 0-10; pronation and supination 80 each way (AAOS), which the
    # elbow and the wrist share. A twisted bent elbow has a part about z.
    "left_elbow": JointPrior((0, -40, 0), (15, 38, 9), (-80, -155, -40), (80, 10, 40)),
    # Wrist: flexion 80, extension 70, ulnar deviation 30, radial 20, forearm's twist 80 (AAOS).
    "left_wrist": JointPrior((0, 0, 0), (25, 9, 16), (-85, -25, -80), (85, 35, 70)),
    # Fingers at the metacarpophalangeal joints: flexion 90, extension 20-45 (AAOS).
    "left_hand": JointPrior((0, 0, -10), (8, 8, 16), (-15, -20, -90), (15, 20, 40)),
}  # fmt: skip

PELVIS = JointPrior((0, 0, 0), (180, 180, 180), (-180,) * 3, (180,) * 3)
"""The root slot is frozen at zero: the camera's rotation turns the body."""

MODES = 24
"""Of the pose; csrc/fit/term_math.h has their number too."""

EVERYDAY_POSES = Path(__file__).with_name("everyday_poses.json")


def mirrored(prior: JointPrior) -> JointPrior:
    """The other side's prior: a mirror keeps turns about x and reverses those about y and z."""

    def flip(v: tuple[float, float, float]) -> tuple[float, float, float]:
        return v[0], -v[1], -v[2]

    # What is reversed changes the ends of its range, too.
    low, high = flip(prior.low), flip(prior.high)
    return JointPrior(
        flip(prior.mean),
        prior.spread,
        (low[0], high[1], high[2]),
        (high[0], low[1], low[2]),
    )


def single_angles() -> PosePrior:
    """The prior of the 24-joint rig whose joints do not depend on each other."""
    rows = [PELVIS] + [None] * (len(JOINT_NAMES) - 1)
    for name, prior in JOINTS.items():
        joint = JOINT_NAMES.index(name)
        rows[MIRROR_JOINTS[joint]] = mirrored(prior)
        rows[joint] = prior
    mean, spread, low, high = (
        np.radians([getattr(row, part) for row in rows])
        for part in ("mean", "spread", "low", "high")
    )
    return PosePrior(mean, spread, low, high, np.zeros((*mean.shape, MODES)), np.zeros(MODES))


def pose_prior() -> PosePrior:
    """The prior of the 24-joint rig: of single angles, and of what moves together."""
    prior, learned = single_angles(), json.loads(EVERYDAY_POSES.read_text("utf-8"))
    mean, mode = prior.mean.copy(), prior.mode.copy()
    mean[1:] += prior.spread[1:] * learned["shift"]
    directions = np.stack([one["direction"] for one in learned["modes"]], -1)
    mode[1:] = directions / prior.spread[1:, :, None]
    variance = np.array([one["variance"] for one in learned["modes"]])
    return replace(prior, mean=mean, mode=mode, mode_weight=1 / variance - 1)
