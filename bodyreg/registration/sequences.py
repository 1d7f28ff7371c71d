"""The fits of one person in a video, made smooth in time.

All pictures show one body, so the fits get the same segment scales and shape and, where it is not
known, the same focal length. Accelerations cost their squares: one more quadratic form, which ties
the pictures together, beside the terms of each of them. All pictures are fitted at once, by the
composed solver.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import AXIS_ANGLE, JOINT_NAMES, Body
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data.bodies import pixels_per_metre
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import as_read
from bodyreg.registration import cameras, hypotheses, precision, schedule, solver
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.deviations import joint_deviations, with_focal_unknown
from bodyreg.registration.doubts import doubts
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.losses import TERMS
from bodyreg.registration.objective import Objective, frozen_root
from bodyreg.registration.padding import pad
from bodyreg.registration.register import as_fits, matched, require_evidence
from bodyreg.registration.schedule import Setting
from bodyreg.registration.shapes import in_shapes
from bodyreg.registration.starts import warm_starts

ACCELERATION_WEIGHT = 1e-7
"""Of the objective, per squared metre a squared second of one joint."""
LEVER = 0.2
"""Metres from a segment's axis of a point whose acceleration tells that of the segment's turn."""
ITERATIONS = 250
"""Of Adam."""


def smooth(
    body: Body,
    observations: Observations,
    fits: Fits,
    seconds: np.ndarray,
    config: RegistrationConfig | None = None,
    *,
    smoothness: float = 1.0,
) -> Fits:
    """Fit the pictures of one person in a video together, from a fit of each picture.

    The result depends on nothing else, and has the same bits each time. It is never worse by the
    objective than the given fits with one body: what is still stays so.

    Args:
        body: The body.
        observations: The person in T pictures, in the order of time.
        fits: Fits to start from, one for every picture, matched by id.
        seconds: (T,) the times of the pictures, rising.
        config: The terms of the single pictures; the preset `accurate` if left out. What it says of
            solvers is not read. Dense points weigh more if those of most pictures are precise.
        smoothness: Factor of the weight of accelerations. 0 only makes the body the same.

    Returns:
        T fits in the order of the observations, with the same segment scales and, if the given fits
        have shapes, the mean of these. Their losses have one term more: "smoothness".

    Raises:
        UserError: as `register`.
    """
    usual = config or RegistrationConfig.preset("accurate")
    observations.check(body)
    fits = matched(fits, observations)
    observations = as_read(observations, fits, body)
    require_evidence(observations)
    unknown = cameras.unknown(observations, usual)
    precise = 2 * len(precision.precise(fits, observations, usual)) > len(fits)
    config = precision.for_precise(usual) if precise else usual
    config = replace(config, solver="adam", warm_iterations=ITERATIONS)
    fits, shape, template = _of_one_body(fits), None, body
    if fits.shape is not None:
        shape = np.tile(fits.shape.mean(0, dtype=np.float64), (len(fits), 1))
        body, fits = body.with_shape(shape[0]), replace(fits, shape=None)
    observations = _of_one_camera(observations, fits)
    device, dtype = torch.device("cpu"), torch.float32
    rig = make_rig(body, observations.keypoint_name, device, dtype)
    plan = schedule.warm(config)
    evidence = gather(observations, config, device, dtype)
    single = Objective(ops, rig, pad(rig, evidence), plan)
    metre = float(np.median(pixels_per_metre(fits).astype(np.float32)))
    together = _Together(single, observations.frame, metre, seconds, smoothness)
    *settings, final = map(Setting.of_row, plan.settings.tolist())
    start = warm_starts(fits, body, device, dtype)[:, 0]
    flat = of_one_body(solver.minimise(together, start, settings))
    with torch.no_grad():
        before = of_one_body(start)
        if together(flat, final).sum() > together(before, final).sum():
            flat = before  # a person who stands still, in pictures that are nearly alike
        values, cost = single.terms(flat, final), together.smoothness(flat).numpy()
    zero = flat.new_zeros(len(flat))
    terms = [final.weights.get(name, 0.0) * values.get(name, zero) for name in TERMS]
    weighted = torch.stack(terms, 1)
    found = as_fits(body, observations, config, evidence, flat, weighted.sum(1), weighted)
    assert found.loss is not None
    found = replace(
        found,
        loss=found.loss + cost,
        terms=found.terms | {"smoothness": cost},
        joint_deviation=joint_deviations(config, flat, weighted, rig, evidence, plan),
        exchanged=fits.exchanged,
        rejected=fits.rejected,
    )
    found = precision.with_usual_weights(found, usual) if precise else found
    if len(unknown):
        found = found.replaced(unknown, with_focal_unknown(body, found.select(unknown)))
    if shape is not None:
        found = in_shapes(found, shape, usual)
    of_first = hypotheses.doubts_of(fits)
    return replace(found, doubts=doubts(template, observations, usual, found, *of_first))


def of_one_body(flat: Tensor) -> Tensor:
    """(T,108) parameters, with the means of their segment scales."""
    place = AXIS_ANGLE.slices["segment_scale"]
    mean = flat[:, place].mean(0, keepdim=True).expand(len(flat), -1)
    return torch.cat([flat[:, : place.start], mean, flat[:, place.stop :]], 1)


def _of_one_body(fits: Fits) -> Fits:
    """The fits with the mean of their segment scales, as large as before in their pictures."""
    mean = fits.segment_scale.astype(np.float64).mean(0)
    larger = fits.segment_scale.astype(np.float64).mean(1) / mean.mean()
    return replace(
        fits,
        segment_scale=np.tile(mean.astype(np.float32), (len(fits), 1)),
        scale=(fits.scale * larger).astype(np.float32),
    )


def _of_one_camera(observations: Observations, fits: Fits) -> Observations:
    """The observations; where the focal length is not known, it is that of the most fits."""
    if fits.focal is None:
        return observations
    focal = np.where(np.isnan(fits.focal), np.inf, fits.focal)
    values, counts = np.unique(focal, return_counts=True)
    alike = replace(fits, focal=np.full(len(fits), values[counts.argmax()], np.float32))
    return cameras.as_fitted(observations, alike)


class _Together:
    """The objective of all pictures of one person.

    Args:
        single: The objective of each picture alone.
        frame: (T, 3) their crops.
        metre: The pixels of a metre, about.
        seconds: (T,) their times.
        smoothness: Factor of the weight of accelerations.
    """

    def __init__(
        self,
        single: Objective,
        frame: np.ndarray,
        metre: float,
        seconds: np.ndarray,
        smoothness: float,
    ) -> None:
        def real(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.asarray(array, np.float64)).to(single.rig.joints)

        steps = np.diff(seconds)
        if len(seconds) != len(frame) or not (steps > 0).all():
            raise ValueError("seconds: expected a rising time for each picture")
        self._single = single
        self._half_side = real(frame[:, 2:] / metre)
        self._centre = real(frame[:, :2] / metre * [1, -1])
        self._inverse_steps = real(1 / steps[:, None])
        self._inverse_spans = real(2 / (steps[1:] + steps[:-1])[:, None])
        self._weight = ACCELERATION_WEIGHT * smoothness

    def __call__(self, flat: Tensor, setting: Setting) -> Tensor:
        """(T,108) parameters -> (T,) losses, of one body in all pictures."""
        flat = of_one_body(flat)
        return self._single(flat, setting) + self.smoothness(flat)

    def smoothness(self, flat: Tensor) -> Tensor:
        """(T,) weighted squares of accelerations, 0 at both ends.

        Those of joints about the pelvis, of points at the segments for their turns, and of the
        pelvis, which counts as all joints. Its distance is told by the logarithm of its size on the
        picture, where a step of 1 counts as a metre.
        """
        if len(flat) < 3:
            return flat.new_zeros(len(flat))
        p, rig = AXIS_ANGLE.split(flat), self._single.rig
        rotation = ops.gram_schmidt(p.rotation, self._single.plan.six_numbers)[:, None]
        transforms, places = ops.kinematics(
            rotation_matrices(frozen_root(p.pose)), p.segment_scale, rig.joints, rig.parents
        )
        turns = rotation @ (transforms[..., :3] / p.segment_scale[..., None, None])
        joints = (rotation @ (places - places[:, :1])[..., None])[..., 0]
        pelvis = p.translation * self._half_side + self._centre
        distance = (p.scale.abs()[:, None] * self._half_side).log()
        count = len(JOINT_NAMES)
        where = torch.cat(
            [
                joints.flatten(1),
                (LEVER / math.sqrt(2) * turns).flatten(1),
                math.sqrt(count) * pelvis,
                math.sqrt(count) * distance,
            ],
            1,
        )
        velocity = (where[1:] - where[:-1]) * self._inverse_steps
        acceleration = (velocity[1:] - velocity[:-1]) * self._inverse_spans
        cost = self._weight * acceleration.square().sum(1)
        return torch.nn.functional.pad(cost, (1, 1))
