"""Which fits are doubtful, and why: each measure over its limit.

A registration returns a body for any evidence. A few points, two people taken for one, or a limb of
another person give a body as complete as that of good evidence, so every fit says what it rests on.

The limits are for the preset `accurate`. They lie beyond 99 of 100 made people with the errors of a
detector (`benchmarks/hard`; docs/doubts.md has the false alarms on other people), and below what
gross errors of detectors cause.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.rejected import LIMBS, limb_columns
from bodyreg.registration.config import PIXEL, RegistrationConfig
from bodyreg.registration.evidence import outside
from bodyreg.registration.residuals import residuals

FEWEST = 10
"""Points and keypoints of positive weight. A body in front of a camera has about as many numbers
that are not left to the priors."""
FEWEST_SEGMENTS = 7.5
"""Segments of the body with a point or keypoint; faces and hands alone have fewer."""
FEWEST_OF_LIMB = 1.2
"""Points and keypoints of a leg below the hip, or of both arms below the shoulders, plus one."""
MANY = 20
"""Dense points of a person whose legs have some if they are seen; their keypoints are invented, if
not. On 150 made people, none had neither leg among so many points."""
NARROWEST = 0.09
"""Width of the evidence over its length (roots of its principal variances). Made people, also from
the side, have 0.12 or more; strips of a tenth of their width have 0.03 to 0.07."""
SMALLEST = 32
"""Side of the frame, pixels: there one pixel is as far as `FARTHEST`."""
FARTHEST = 8 * PIXEL
"""Distances from points and from keypoints, frame units. Two people who are taken for one: 9 and
more."""
LEAST_LIKELY = 75
"""Squared standard deviations from everyday poses, over all angles. 99 of 100 made people have less
than 45."""
LEAST_PROPORTIONED = 0.15
"""Root of the mean squared logarithm of segment scales over their mean. 99 of 100 made people,
children among them, have less than 0.1."""
LEAST_CERTAIN = 180
"""Millimetres: root of the mean squared deviation of the joints. 99 of 100 made people have less
than 125, and 95 of 100 who are seen by keypoints alone."""


def doubts(
    body: Body,
    observations: Observations,
    config: RegistrationConfig,
    fits: Fits,
    sides: np.ndarray | float,
    foreign: np.ndarray | float,
) -> dict[str, np.ndarray]:
    """What makes fits doubtful, as `Fits.doubts` holds it.

    Args:
        body: The fitted body.
        observations: N people, as they were fitted.
        config: Of the registration.
        fits: Their fits, with deviations and with what is rejected.
        sides: (N,) doubt whether sides are exchanged, over its limit (`hypotheses.Verdict`).
        foreign: (N,) doubt whether parts of the evidence are another person's, likewise.
    """
    points, keypoints = residuals(body, fits, observations, config)
    rejected = np.zeros(len(fits), np.uint8) if fits.rejected is None else fits.rejected
    shown = np.where(outside(observations), 0, observations.keypoint_weight)
    count, segments, limb, width = _seen(body, replace(observations, keypoint_weight=shown))
    found = {
        "evidence": FEWEST / np.maximum(count, 1),
        "parts": FEWEST_SEGMENTS / np.maximum(segments, 1),
        "limbs": FEWEST_OF_LIMB / (limb + 1),
        "strip": NARROWEST / np.maximum(width, 1e-3),
        "small": SMALLEST / (2 * observations.frame[:, 2].astype(np.float64)),
        "points": points / FARTHEST,
        "keypoints": keypoints / FARTHEST,
        "pose": _unlikely(fits, config) / LEAST_LIKELY,
        "shape": _proportions(fits, body) / LEAST_PROPORTIONED,
        "deviation": _uncertain(fits) / LEAST_CERTAIN,
        "sides": np.broadcast_to(sides, len(fits)),
        "foreign": np.maximum(foreign, 2.0 * (rejected > 0)),
        "mirrored": 2.0 * fits.mirrored,
    }
    return {name: value.astype(np.float32) for name, value in found.items()}


def _seen(
    body: Body, observations: Observations
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What the evidence shows of N people.

    Returns:
        (N,) numbers of points and keypoints, of segments with some, of those that a leg or both
        arms have, and the width over the length of all.
    """
    people, present = len(observations), observations.keypoint_weight > 0
    weighs = observations.point_weight > 0
    person = observations.point_person[weighs]
    seen = np.zeros((people, len(body.parents)), bool)
    corner = observations.point_barycentric[weighs].argmax(1)[:, None]
    vertex = np.take_along_axis(observations.point_vertex[weighs], corner, 1)[:, 0]
    seen[person, body.segment[vertex]] = True
    limb = _of_limb(body, observations, person, body.segment[vertex])
    points = body.keypoints(observations.keypoint_name)
    strongest = points.anchors[..., 3].argmax(1, keepdim=True)
    for column, joint in enumerate(points.joint_ids.gather(1, strongest)[:, 0].tolist()):
        seen[:, joint] |= present[:, column]
    person = np.concatenate([person, np.nonzero(present)[0]])
    places = [observations.point_xy[weighs], observations.keypoint_xy[present]]
    xy = np.concatenate(places).astype(np.float64) - observations.frame[person, :2]

    total = np.bincount(person, minlength=people)

    def mean(value: np.ndarray) -> np.ndarray:
        return np.bincount(person, value, minlength=people) / np.maximum(total, 1)

    x, y = (value - mean(value)[person] for value in xy.T)
    half, product = (mean(x * x) - mean(y * y)) / 2, mean(x * y)
    middle, apart = (mean(x * x) + mean(y * y)) / 2, np.hypot(half, product)
    width = np.maximum(middle - apart, 0) / np.maximum(middle + apart, 1e-30)
    return total, seen.sum(1), limb, np.sqrt(width)


def _of_limb(
    body: Body, observations: Observations, person: np.ndarray, segment: np.ndarray
) -> np.ndarray:
    """(N,) numbers of points and keypoints of the leg that has fewer, or of both arms.

    Args:
        body: The body.
        observations: N people.
        person: (P,) those of the points that weigh.
        segment: (P,) the segments of these points.
    """
    own = limb_columns(body.joint_names)[:, segment]
    points = np.stack([np.bincount(person[some], minlength=len(observations)) for some in own], 1)
    columns = limb_columns(observations.keypoint_name)
    count = points + ((observations.keypoint_weight > 0)[:, None] & columns).sum(2)
    many = np.bincount(person, minlength=len(observations)) >= MANY
    legs = np.array(["leg" in limb for limb in LIMBS])
    invented = many & (points[:, legs] == 0).all(1)
    count = np.where(invented[:, None] & legs, 0, count)
    return np.minimum(count[:, legs].min(1), count[:, ~legs].sum(1))


def _unlikely(fits: Fits, config: RegistrationConfig) -> np.ndarray:
    """(N,) squared standard deviations of the poses; 0 without an anatomical prior."""
    if "prior" not in fits.terms:
        return np.zeros(len(fits))
    return fits.terms["prior"].astype(np.float64) / config.prior_weight


def _proportions(fits: Fits, body: Body) -> np.ndarray:
    """(N,) root of the mean squared logarithm of segment scales over their geometric mean."""
    usual = 1 if body.proportions is None else body.proportions
    scales = np.log(np.maximum(np.abs(fits.segment_scale / usual), 1e-3)).astype(np.float64).T
    mean = functools.reduce(np.add, scales) / len(scales)
    return np.sqrt(functools.reduce(np.add, (scales - mean) ** 2) / len(scales))


def _uncertain(fits: Fits) -> np.ndarray:
    """(N,) millimetres: root of the mean squared deviation of all joints but the pelvis."""
    assert fits.joint_deviation is not None
    squares = (fits.joint_deviation[:, 1:].astype(np.float64) ** 2).reshape(len(fits), 46).T
    return np.sqrt(functools.reduce(np.add, squares) / (len(squares) / 2))
