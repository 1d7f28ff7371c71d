"""How far the joints of a fit may be from the true ones: a standard deviation for each.

A fit's normal matrix tells how its evidence and its priors hold every joint (`ops.fit_variance`).
What it cannot tell is measured on made people, in the constants below: how large the errors of the
evidence are, how far poses are from the prior's mean, and how often a limb that points toward the
viewer points away in truth. They are for the preset `accurate`, with which 68 of 100 joints are
within one deviation, and hold for people who are like the made ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import JOINT_NAMES, Body
from bodyreg.data.fits import Fits
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.losses import TERMS

ERRORS = 5.2
"""Squared errors of places across the view, against those that independent, equal errors of the
evidence would make; 2 if they were so, because the loss has w r² for r² / 2σ²."""
ADAPTED, ADAPTING = 26, 4
"""A fit comes nearer to few keypoints than the truth is. With n coordinates of evidence, their
squared errors are 1 + (ADAPTED / n) ** ADAPTING times what is left of them."""
POSES, POSES_BY_ERRORS = 1.2, 1.5
"""Squared errors along the view against the prior's variance, and against that of the evidence."""
ANGLE_VARIANCE = 0.4
"""Radians²: that of a joint's angle, if the prior has one spread for all (`joint_weight`)."""
MIRRORED, SHOWN = 0.06, 60
"""Share of limbs that are mirrored in depth where nothing tells their depths, and the number of
dense points, which tell which side is seen, that halves it."""
FOCAL = 0.5
"""Error of the effect of perspective where the focal length is not known."""
SHAPE = 8.0
"""Millimetres that a joint is elsewhere in another person's body; one coordinate."""
MOST = 1000.0
"""Millimetres: no guess is worse. Of joints that nothing determines."""
FAR = 1e3
"""Frame units²: a variance of such joints."""

PRIOR = {
    "elbow": (45, 2.8, 2.0),
    "wrist": (150, 4.3, 3.1),
    "hand": (240, 4.6, 3.6),
    "knee": (50, 2.4, 1.4),
    "ankle": (200, 2.1, 1.2),
    "foot": (265, 1.9, 1.2),
    "head": (14, 1.6, 1.2),
}
"""Joints that only the prior holds: their variance across the view by the prior, cm², and their
squared errors across and along the view against it. Arms are farther from everyday poses."""
PRIOR_BY_ERRORS = 0.2
"""The same of squared errors across the view against the variance of the evidence."""
SOME = 0.3
"""Share of that variance from which on a joint is held by the prior in part."""

LIMBS = np.array(
    [
        [JOINT_NAMES.index(f"{side}_{name}") for name in names for side in ("left", "right")]
        for names in (("knee", "elbow"), ("ankle", "wrist"), ("foot", "hand"))
    ]
)
"""(3, 4) joints at the ends of segments that are seen alike when they are mirrored in depth; the
columns are limbs, from their beginning to their end."""
UNSEEN = np.array(
    [PRIOR.get(name.rpartition("_")[2], (np.inf, 0, 0)) for name in JOINT_NAMES]
).T * [[1e-4], [1], [1]]
"""(3, 24) the numbers of `PRIOR` for each joint, in m²; others are held by the evidence."""
DENSE, KEYPOINT = TERMS.index("dense"), TERMS.index("keypoint")


class Arrays(NamedTuple):
    """What is read of the evidence of B people, see `ops.fit.Evidence`."""

    point_start: np.ndarray
    point_weight: np.ndarray
    keypoint_weight: np.ndarray
    depth_weight: np.ndarray
    perspective: np.ndarray


def joint_deviations(
    config: RegistrationConfig,
    parameters: Tensor,
    terms: Tensor,
    rig: Rig,
    evidence: Evidence,
    plan: Plan,
) -> np.ndarray:
    """Standard deviations of the joints' places across and along the view.

    An error is the difference of the fit's and the true place relative to the pelvis, in the size
    of the picture. Across the view it is a distance in the plane of the picture, so its deviation
    is the root of the mean squared distance.

    Args:
        config: Of the registration.
        parameters: (B, 108) where the fits ended.
        terms: (B, T) the weighted terms there.
        rig: The body.
        evidence: Of the B people.
        plan: The plan of the fits.

    Returns:
        (B, 24, 2) float32 millimetres of the fitted body: across the view, and along it. 0 for the
        pelvis.
    """
    final = plan._replace(settings=plan.settings[-1:])
    with torch.inference_mode():
        found = ops.fit_variance(parameters, rig, evidence, final)
    place, variance = (x.cpu().numpy().astype(np.float64) for x in found)
    variance = np.maximum(np.where(variance < FAR, variance, FAR), 0)  # and not NaN
    metre = np.abs(parameters[:, -1:].cpu().numpy().astype(np.float64))
    seen = Arrays(*(getattr(evidence, name).cpu().numpy() for name in Arrays._fields))
    errors = _errors(terms.cpu().numpy(), seen)[:, None]
    poses = config.prior_weight + ANGLE_VARIANCE * config.joint_weight
    shape = (SHAPE / 1000 * metre) ** 2
    flat = variance[..., 0] + variance[..., 1]
    unseen = np.clip((poses * flat / metre**2 / UNSEEN[0] - SOME) / (1 - SOME), 0, 1)
    spread = ((1 - unseen) * POSES + unseen * UNSEEN[2]) * poses
    along = (spread + POSES_BY_ERRORS * errors) * variance[..., 2] + shape
    along += _mirrored(config, seen)[:, None] * _mirror(place[..., 2], rig)
    spread = unseen * (UNSEEN[1] * poses + PRIOR_BY_ERRORS * errors)
    across = ((1 - unseen) * (ERRORS * errors) + spread) * flat + 2 * shape
    across += _lean(place, seen.perspective) * along
    deviation = np.sqrt(np.stack([across, along], 2)) * (1000 / metre)[..., None]
    deviation[_shown(seen) < 2] = MOST  # one point tells no size, so millimetres mean nothing
    deviation[:, 0] = 0
    return np.minimum(deviation, MOST).astype(np.float32)


def with_focal_unknown(body: Body, fits: Fits) -> Fits:
    """The same fits, with what an assumed focal length adds to the deviations across the view."""
    if fits.joint_deviation is None:
        return fits
    place = fits.joints(body).astype(np.float64)
    depth = place[..., 2] - place[:, :1, 2]
    shift = 1000 / fits.scale[:, None] * np.sqrt(_lean(place, fits.perspective)) * depth
    deviation = fits.joint_deviation.copy()
    deviation[..., 0] = np.minimum(np.hypot(deviation[..., 0], FOCAL * shift), MOST)
    return replace(fits, joint_deviation=deviation)


def _lean(place: np.ndarray, perspective: np.ndarray) -> np.ndarray:
    """(B, 24) squared slopes of the rays from the camera to the joints."""
    near = perspective.astype(np.float64)[:, None]
    slope = near[..., :1] * (place[..., :2] - near[..., 1:])
    return slope[..., 0] ** 2 + slope[..., 1] ** 2


def _errors(terms: np.ndarray, evidence: Arrays) -> np.ndarray:
    """(B,) mean weighted squared error of a coordinate of the evidence, as the truth has it."""
    coordinates = 2 * np.maximum(_shown(evidence), 1)
    left = terms[:, DENSE].astype(np.float64) + terms[:, KEYPOINT]
    return left / coordinates * (1 + (ADAPTED / coordinates) ** ADAPTING)


def _shown(evidence: Arrays) -> np.ndarray:
    """(B,) numbers of points and keypoints."""
    return _points(evidence) + np.count_nonzero(evidence.keypoint_weight > 0, axis=1)


def _points(evidence: Arrays) -> np.ndarray:
    """(B,) numbers of dense points, without those of weight 0."""
    before = np.concatenate([[0], np.cumsum(evidence.point_weight > 0)])
    return np.diff(before[evidence.point_start])


def _mirrored(config: RegistrationConfig, evidence: Arrays) -> np.ndarray:
    """(B,) share of limbs that are mirrored in depth."""
    share = MIRRORED / (1 + _points(evidence) / SHOWN)
    if config.depth_weight == 0:
        return share
    known = np.minimum(evidence.depth_weight, evidence.keypoint_weight)  # guessed ones weigh less
    present = evidence.keypoint_weight.sum(1)
    return share * (1 - known.sum(1) / np.where(present > 0, present, 1))


def _mirror(z: np.ndarray, rig: Rig) -> np.ndarray:
    """(B, 24) squared distances by which joints would move if segments above were mirrored."""
    steps = (2 * (z[:, LIMBS] - z[:, np.array(rig.parents)[LIMBS]])) ** 2
    moved = np.zeros_like(z)
    moved[:, LIMBS] = np.cumsum(steps, axis=1)
    return moved
