"""Landmarks measured on a data set: where its annotators see them, on the fitted bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from bodyreg.body import Body, Landmark
from bodyreg.body.joints import mirror_name
from bodyreg.body.landmarks import STATURE, moved
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import as_read
from bodyreg.errors import UserError
from bodyreg.metrics.reprojection import placed_segments
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.register import register

STILL = 5e-4
"""Metres: calibration ends when no landmark moves farther in a round."""

# A direction that the views hardly show moves by the share of this in what they show.
RIDGE = 0.01
# Residuals this many times as large as is usual for the landmark count a quarter.
ROBUST = 3.0
# Median of the length of a plane normal vector of standard deviation 1.
MEDIAN_LENGTH = 1.1774
MIRROR = np.array([-1.0, 1.0, 1.0])


class Calibration(NamedTuple):
    """What a calibration has found.

    Attributes:
        landmarks: The keypoints' landmarks at their new places.
        shift: Name -> (3,) how far each has moved in all, metres in the axes of the rest pose.
        rounds: The number of rounds.
        last: The largest move of a landmark in the last round, metres.
    """

    landmarks: dict[str, Landmark]
    shift: dict[str, np.ndarray]
    rounds: int
    last: float


def calibrate(
    body: Body,
    observations: Observations,
    config: RegistrationConfig | None = None,
    *,
    rounds: int = 30,
    device: str | torch.device = "cpu",
    report: Callable[[int, float], None] = lambda number, move: None,
) -> Calibration:
    """Move the landmarks of the keypoints to where they are observed.

    A round fits all people (all but the first start from the fits before), and moves every landmark
    by the offset, in the axes of its segments, that leaves the least squares of its residuals in
    the pictures. People who face different ways show all three coordinates of an offset. Outliers
    count less. The two sides are taken to be mirror images, and landmarks in the middle stay there.
    It ends when the landmarks stand still.

    Dense points say where a body is, whatever its landmarks are. With keypoints alone, landmarks
    and proportions are told apart by the priors only.

    Args:
        body: The body.
        observations: N people.
        config: How they are fitted; the preset `accurate` if left out.
        rounds: At most.
        device: Where to compute.
        report: Is told the number of each round, and its largest move in metres.

    Raises:
        UserError: no keypoint is a landmark that can move, or as `register`.
    """
    known = body.named_landmarks
    names = [n for n in observations.keypoint_name if n in known and known[n].places]
    if not names:
        raise UserError(
            "no keypoint is a landmark that can be moved: joints of the rig and landmarks of the "
            "mesh stay where they are; name keypoints as a convention does (coco/left_hip)"
        )
    size = body.stature / STATURE
    landmarks = {name: known[name] for name in names}
    shift = {name: np.zeros(3) for name in names}
    config = replace(config or RegistrationConfig.preset("accurate"), fit_shape=False)
    fits, last, number = None, np.inf, 0
    while number < rounds and last > STILL:
        number += 1
        now = body.with_landmarks(landmarks)
        fits = register(now, observations, config, initial=fits, device=device)
        step = landmark_offsets(now, as_read(observations, fits, now), fits, names)
        last = max(float(np.linalg.norm(offset)) for offset in step.values())
        for name, offset in step.items():
            landmarks[name] = moved(landmarks[name], offset / size)
            shift[name] = shift[name] + offset
        report(number, last)
    return Calibration(landmarks, shift, number, last)


def landmark_offsets(
    body: Body, observations: Observations, fits: Fits, names: list[str]
) -> dict[str, np.ndarray]:
    """The offset of each landmark that makes its residuals in the pictures least.

    Args:
        body: The fitted body.
        observations: N people.
        fits: Their fits, in the same order and frames.
        names: Keypoints of the observations.

    Returns:
        Name -> (3,) metres in the axes of the rest pose; 0 for a keypoint that is never present.
    """
    columns = [observations.keypoint_name.index(name) for name in names]
    present = observations.keypoint_weight[:, columns] > 0
    slopes, places = _slopes(body, fits, names)
    seen, view = _view(fits, places)
    residual = observations.keypoints_in_frame()[:, columns] - seen
    slopes = view @ slopes
    normal, right = {}, {}
    for k, name in enumerate(names):
        a, r = slopes[present[:, k], k], residual[present[:, k], k].astype(np.float64)
        weight = _robust(np.hypot(*r.T))[:, None, None]
        normal[name] = (weight * np.swapaxes(a, 1, 2) @ a).sum(0)
        right[name] = (weight * np.swapaxes(a, 1, 2) @ r[..., None]).sum(0)[:, 0]
    return {name: _solved(name, normal, right) for name in names}


def _slopes(body: Body, fits: Fits, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What a landmark's offset, metres, moves in frame units, and where the landmarks are.

    Returns:
        (N, K, 3, 3), and (N, K, 3).
    """
    placed = placed_segments(fits, body).numpy().astype(np.float64)
    points = body.keypoints(names)
    ids, anchors = points.joint_ids.numpy(), points.anchors.numpy().astype(np.float64)
    matrices = placed[:, ids]  # (N, K, m, 3, 4)
    slopes = (anchors[..., 3, None, None] * matrices[..., :3]).sum(2)
    return slopes, (matrices @ anchors[..., None]).sum(2)[..., 0]


def _view(fits: Fits, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where pictures show places (N, K, 3), and the slope (N, K, 2, 3) of that by the places."""
    small = 1e-2
    slope = [
        (fits.seen(places + small * axis)[..., :2] - fits.seen(places - small * axis)[..., :2])
        for axis in np.eye(3)
    ]
    return fits.seen(places)[..., :2], np.stack(slope, axis=-1) / (2 * small)


def _robust(distance: np.ndarray) -> np.ndarray:
    """Weights of residuals of these lengths, by Geman and McClure; 1 for the least."""
    usual = np.median(distance) / MEDIAN_LENGTH if len(distance) else 0
    return (1 + (distance / max(ROBUST * usual, 1e-9)) ** 2) ** -2.0


def _solved(name: str, normal: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> np.ndarray:
    """The offset of a landmark, from the equations of both sides."""
    other = mirror_name(name)
    if other == name:
        matrix, vector = normal[name].copy(), right[name].copy()
        matrix[0], matrix[:, 0], vector[0] = 0, 0, 0
    else:
        matrix, vector = normal[name], right[name]
        if other in normal:
            matrix = matrix + MIRROR[:, None] * normal[other] * MIRROR
            vector = vector + MIRROR * right[other]
    ridge = RIDGE * np.trace(matrix) / 3
    return np.linalg.solve(matrix + ridge * np.eye(3), vector) if ridge > 0 else np.zeros(3)
