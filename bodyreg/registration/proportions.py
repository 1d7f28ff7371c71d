"""Proportions learned from a data set: the usual lengths of limbs, from pictures alone.

The people of a data set differ from the template in ways that they share. So do the detectors,
annotators and charts that found their points. A limb that is shorter than the template's looks like
a limb that points at the viewer or away, and standing people bend their knees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.body.landmarks import STATURE
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.register import register


def _both(name: str) -> tuple[str, str]:
    return f"left_{name}", f"right_{name}"


LIMBS: dict[str, tuple[str, ...]] = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", *_both("collar")),
    "thighs": _both("hip"),
    "shanks": _both("knee"),
    "upper arms": _both("shoulder"),
    "forearms": _both("elbow"),
}
"""Limb -> its segments. Proportions are those of the limbs; head, hands and feet stay as they are:
pictures show their sizes with errors that are larger than the differences."""

_JOINTS = [[JOINT_NAMES.index(name) for name in segments] for segments in LIMBS.values()]

ROUNDS = 3
# Keypoints alone tell the lengths of legs only: elbows bend in most poses, so that fits without
# dense points trade lengths of arms and trunk for angles. Each leg needs the joints at its ends.
ENDS = {"thighs": ("hip", "knee"), "shanks": ("knee", "ankle")}
# Metres on a body 1.7 m tall: landmarks of a joint are not farther from it at rest.
NEAR = 0.1
# A limb with fewer dense points of a person is not shown by them.
LEAST_POINTS = 3
# Scales of fits that have failed may be 0 or less.
LEAST_SCALE = 0.1
# Logarithm of a limb's length: no people differ more from the template.
MOST = 0.4
# Standard deviations of logarithms of lengths, as they are on made people: of what is found from n
# people, times the root of n; and of the errors that the fits of all people share.
PEOPLE, BY_POINTS, BY_KEYPOINTS = 0.09, 0.015, 0.02


class LearnedProportions(NamedTuple):
    """What a data set has taught.

    Attributes:
        segment_scale: (24,) float32 usual scales of the segments, for `Body.with_proportions`. The
            body in these proportions has the stature that it has without them.
        limbs: Limb -> its usual scale, over the mean of all limbs.
        people: Limb -> the number of people who show it.
    """

    segment_scale: np.ndarray
    limbs: dict[str, float]
    people: dict[str, int]


def learn_proportions(
    body: Body,
    observations: Observations,
    config: RegistrationConfig | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> LearnedProportions:
    """Learn the proportions that people share: empirical Bayes, without any 3-D data.

    A round fits all people with priors that pull to the proportions of the round before, and takes
    the median of each limb's length, in shares of the person's size, over the people who show it.
    Left and right are taken to be equal. At the end a limb's difference d from the template, as a
    logarithm, is multiplied by t² / (t² + v), with v = e² + s²/n: e is the error that the fits of
    all people share, s the spread of n people, and t² the mean of d² - v over the limbs, at least
    0. So people who differ from the template no more than fits err change nothing, and a few people
    change little.

    Dense points show all limbs. Keypoints show legs only.

    Args:
        body: The body. Proportions that it has do not count.
        observations: N people.
        config: How they are fitted; the preset `accurate` if left out.
        device: Where to compute.
        progress: Show a progress bar for each round.

    Raises:
        UserError: no person shows a limb, or as `register`.
    """
    observations.check(body)
    shown, dense = _shown(body, observations)
    if not shown.any():
        raise UserError(
            "no proportions can be learned: they need dense points, or keypoints of hips, knees "
            "and ankles"
        )
    found = np.zeros(len(LIMBS))
    config = replace(config or RegistrationConfig.preset("accurate"), fit_shape=False)
    for _ in range(ROUNDS):
        now = body.with_proportions(_of_segments(found))
        fits = register(now, observations, config, device=device, progress=progress)
        found = _medians(_limb_lengths(fits.segment_scale), shown)
    found *= _trust(found, shown, dense)
    scale = _of_segments(found)
    return LearnedProportions(
        np.float32(scale * _stature(body, np.ones_like(scale)) / _stature(body, scale)),
        dict(zip(LIMBS, np.exp(found).tolist(), strict=True)),
        dict(zip(LIMBS, shown.sum(0).tolist(), strict=True)),
    )


def _shown(body: Body, observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """(N, limbs) whether a person shows a limb by any evidence, and by dense points."""
    people = len(observations)
    limb = np.full(len(JOINT_NAMES), len(LIMBS))
    for number, joints in enumerate(_JOINTS):
        limb[joints] = number
    owner = np.repeat(np.arange(people), observations.point_count)
    present = observations.point_weight > 0
    corner = np.take_along_axis(
        observations.point_vertex,
        observations.point_barycentric.argmax(1)[:, None].astype(np.int64),
        1,
    )[:, 0]
    place = owner * (len(LIMBS) + 1) + limb[body.segment[corner]]
    count = np.bincount(place[present], minlength=people * (len(LIMBS) + 1))
    dense = count.reshape(people, len(LIMBS) + 1)[:, : len(LIMBS)] >= LEAST_POINTS
    shown = dense.copy()
    for name, ends in ENDS.items():
        seen = [_has_joint(body, observations, end) for end in ends]
        shown[:, list(LIMBS).index(name)] |= np.logical_and.reduce(seen)
    return shown, dense


def _has_joint(body: Body, observations: Observations, joint: str) -> np.ndarray:
    """(N,) whether a person has a keypoint near this joint, on either side."""
    points = body.keypoints(observations.keypoint_name).anchors.numpy()[..., :3].sum(1)
    joints = body.joints[[JOINT_NAMES.index(name) for name in _both(joint)]]
    distance = np.linalg.norm(points[:, None] - joints, axis=2)
    near = (distance < NEAR * body.stature / STATURE).any(1)
    return np.logical_or.reduce(observations.keypoint_weight[:, near] > 0, axis=1)


def _limb_lengths(segment_scale: np.ndarray) -> np.ndarray:
    """(N, limbs) logarithms of the scales of limbs, of mean 0 for each person."""
    scale = np.log(segment_scale.astype(np.float64).clip(min=LEAST_SCALE))
    lengths = np.stack([scale[:, joints].mean(1) for joints in _JOINTS], 1)
    return lengths - lengths.mean(1, keepdims=True)


def _medians(lengths: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(limbs,) medians over the people who show a limb; 0 if there are none."""
    return np.array(
        [
            np.median(values[there]) if there.any() else 0.0
            for values, there in zip(lengths.T, shown.T, strict=True)
        ]
    ).clip(-MOST, MOST)


def _trust(found: np.ndarray, shown: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """(limbs,) shares of what is found that are kept, by the James-Stein estimator's rule."""
    count = shown.sum(0)
    people = np.maximum(count, 1)
    points = (shown & dense).sum(0) / people
    error = points * BY_POINTS**2 + (1 - points) * BY_KEYPOINTS**2 + PEOPLE**2 / people
    usual = max(0.0, float((found**2 - error)[count > 0].mean()))
    return usual / (usual + error)


def _of_segments(limbs: np.ndarray) -> np.ndarray:
    """(24,) segment scales, from logarithms of the limbs' scales."""
    scale = np.ones(len(JOINT_NAMES))
    for joints, value in zip(_JOINTS, np.exp(limbs), strict=True):
        scale[joints] = value
    return scale


def _stature(body: Body, segment_scale: np.ndarray) -> float:
    """Metres from the soles to the head's top in these proportions."""
    points = body.vertex_points(normals=False)
    transforms, _ = body.pose(torch.zeros(1, 24, 3), torch.from_numpy(segment_scale)[None].float())
    vertices = ops.lbs(transforms, points.joint_ids, points.anchors)
    return float(np.ptp(vertices[0, :, 1].numpy()))
