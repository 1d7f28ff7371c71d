"""Learns how joints move together in everyday poses, from joints in two dimensions alone.

    python tools/learn_poses.py POSES.npy --out bodyreg/registration/everyday_poses.json

POSES.npy has (N, 34) numbers: 17 joints in pixels, y down, in the order of the poses of MPII that
3dpose_gan (DwangoMediaVillage) publishes; `JOINTS` names those that are used. Every pose is
registered with the prior of single angles. The covariance of the fits, in units of the prior's
spreads, shows which joints move together; a fit cannot show more variance than its evidence, so the
rest of the prior's variance is added for each angle alone. Its principal directions whose variance
differs most from 1 are the modes. Means of the arms, the trunk and the head follow the data; those
of the legs stay: the average pose bends the knees, and the picture often cannot tell.

More rounds, with what the first has learned as the prior, confirm their own errors: on people with
known truth the second was worse than the first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest import mock

import numpy as np

from bodyreg import Body, Observations, RegistrationConfig, register
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS
from bodyreg.registration import evidence
from bodyreg.registration.prior import MODES, PosePrior, single_angles

JOINTS = {
    1: "right_hip", 2: "right_knee", 3: "right_ankle", 4: "left_hip", 5: "left_knee",
    6: "left_ankle", 8: "upper_neck", 10: "head_top", 11: "left_shoulder", 12: "left_elbow",
    13: "left_wrist", 14: "right_shoulder", 15: "right_elbow", 16: "right_wrist",
}  # fmt: skip
"""Places in the file -> landmarks of MPII."""
COUNT = 17

BELIEVED = 0.8
"""Share of the fits that are believed: those of lowest loss."""
MOVED = 0.75
"""Share of the way from the prior's mean to that of the fits."""
LEGS = ("hip", "knee", "ankle", "foot")


def deviations(body: Body, poses: np.ndarray, prior: PosePrior) -> np.ndarray:
    """Poses (N, 17, 2) -> (M, 69) fits and their mirror images, in spreads from the mean."""
    xy = poses[:, list(JOINTS)].astype(np.float32)
    names = tuple(f"mpii/{joint}" for joint in JOINTS.values())
    people = Observations.of_keypoints(names, xy, np.ones(xy.shape[:2], np.float32))
    with mock.patch.object(evidence, "pose_prior", return_value=prior):
        evidence.make_rig.cache_clear()
        fits = register(body, people, RegistrationConfig(starts=8), progress=True)
    evidence.make_rig.cache_clear()
    pose = fits.pose[fits.loss < np.quantile(fits.loss, BELIEVED)].astype(np.float64)
    mirrored = pose[:, list(MIRROR_JOINTS)] * (1, -1, -1)
    both = (np.concatenate([pose, mirrored]) - prior.mean) / prior.spread
    return both[:, 1:].reshape(len(both), -1)


def modes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (24, 69) and variances of a covariance, those farthest from 1 first."""
    alone = np.maximum(1 - np.diag(covariance), 0)
    variance, direction = np.linalg.eigh(covariance + np.diag(alone))
    chosen = np.argsort(-np.abs(np.log(variance)))[:MODES]
    # An eigenvector has no sign of its own: its largest number is positive here.
    direction = direction[:, chosen].T
    largest = np.abs(direction).argmax(1)
    direction *= np.sign(direction[np.arange(MODES), largest])[:, None]
    return direction, variance[chosen]


def main() -> None:
    """Register, find the modes, write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("poses", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", required=True, help="where the poses come from")
    options = parser.parse_args()
    poses = np.load(options.poses, allow_pickle=False).reshape(-1, COUNT, 2)
    found = deviations(Body.default(), poses, single_angles())
    direction, variance = modes(np.cov(found.T))
    shift = MOVED * found.mean(0).reshape(-1, 3)
    for row, name in enumerate(JOINT_NAMES[1:]):
        if any(part in name for part in LEGS):
            shift[row] = 0
    learned = {
        "format": "bodyreg-everyday-poses-1",
        "source": options.source,
        "shift": shift.round(4).tolist(),
        "modes": [
            {"variance": round(float(v), 4), "direction": d.reshape(-1, 3).round(4).tolist()}
            for d, v in zip(direction, variance, strict=True)
        ],
    }
    options.out.write_text(json.dumps(learned) + "\n")


if __name__ == "__main__":
    main()
