"""Fits of pictures that near cameras took, against pinhole cameras and the objective's formulas."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from bodyreg import Body, reference
from bodyreg.body import AXIS_ANGLE
from bodyreg.data.frames import perspective_in_frame
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.cameras import focal_lengths
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.losses import TERMS
from bodyreg.registration.padding import pad
from bodyreg.registration.schedule import Setting

from .conftest import composed, near
from .standing import Standing, shin_tilts, standing
from .test_losses import generator, parameters

CPU, F64 = torch.device("cpu"), torch.float64


def test_a_near_camera_tilts_no_shin():
    """The template with straight legs, which have a tilt of 0, fitted without depths.

    Seen by parallel rays, the fits lean by some degrees. A near camera adds nothing to that.
    """
    body, yaws = Body.default(), [0, math.pi / 4]
    observations = standing(body, [math.inf, 5, 2.5], yaws)
    upright = Standing(body, 5, yaws[1]).placed(body.keypoints(body.joint_names))
    assert shin_tilts(upright[None]) == pytest.approx(0, abs=0.1)
    far, middle, close = {}, {}, {}
    for camera in ("weak", "perspective"):
        config = RegistrationConfig(camera=camera)
        fits = register(body, observations, config, engine="ops", dtype=F64)
        tilts = shin_tilts(fits.joints(body)).reshape(3, len(yaws)).mean(1)
        far[camera], middle[camera], close[camera] = tilts
    assert far["weak"] == far["perspective"]
    assert close["weak"] > far["weak"] + 6
    assert abs(middle["perspective"] - far["perspective"]) < 2
    assert abs(close["perspective"] - far["perspective"]) < 2


@pytest.mark.parametrize("distance", [math.inf, 6, 2])
def test_the_true_body_costs_nothing(distance):
    """Dense points and keypoints are exact; what is left is the rounding of float32 pixels."""
    body = Body.default()
    person = Standing(body, distance, 0.7)
    observations = person.observations()
    score = composed(reference, body, observations, RegistrationConfig(camera="perspective"))
    setting = Setting({"dense": 1.0, "keypoint": 1.0}, math.inf)
    terms = score.terms(person.parameters(observations.frame[0]), setting)
    assert terms["dense"] < 1e-11 and terms["keypoint"] < 1e-11


@pytest.mark.parametrize("engine", ["ops", "reference"])
@pytest.mark.parametrize("term", ["dense", "keypoint", "depth", "facing", "visibility"])
def test_gradient_of_every_term_of_the_evidence(body, people, engine, term):
    """Reference: finite differences, in random directions through all parameters."""
    observations = near(people.observations.select(np.arange(2)))
    module = importlib.import_module(f"bodyreg.{engine}")
    score = composed(module, body, observations, RegistrationConfig(camera="perspective"))
    flat = parameters(2, 3)
    direction = torch.randn(3, 2, AXIS_ANGLE.count, generator=generator(4), dtype=F64)

    def along(steps):
        setting = Setting({term: 1.0}, 0.15)
        return score(flat + (steps[:, None, None] * direction).sum(0), setting)

    assert gradcheck(along, torch.zeros(3, dtype=F64, requires_grad=True), atol=1e-7)


@pytest.mark.parametrize("width", [math.inf, 0.15])
def test_engines_agree(body, people, width):
    """Reference: the plain-torch engine; every term and the gradient of their sum."""
    observations = near(people.observations, known=slice(0, 4))
    flat = parameters(6, 5).requires_grad_()
    setting = Setting(dict.fromkeys(TERMS, 1.0), width)
    results = []
    for engine in ("ops", "reference"):
        module = importlib.import_module(f"bodyreg.{engine}")
        score = composed(module, body, observations, RegistrationConfig(camera="perspective"))
        terms = score.terms(flat, setting)
        total = sum(terms.values()).sum()
        results.append([*terms.values(), torch.autograd.grad(total, flat)[0]])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ["ops", "reference"])
def test_a_long_focal_length_is_weak_perspective(body, people, engine):
    """The terms, as the focal length grows: the first order of 1 / f is left."""
    module = importlib.import_module(f"bodyreg.{engine}")
    setting, values = Setting(dict.fromkeys(TERMS, 1.0), 0.15), {}
    for focal in (1e6, 1e7, math.inf):
        observations = near(people.observations)
        observations.focal[:] = focal
        score = composed(module, body, observations, RegistrationConfig(camera="perspective"))
        values[focal] = torch.stack([*score.terms(parameters(6, 7), setting).values()])
    long, longer = (values[focal] - values[math.inf] for focal in (1e6, 1e7))
    assert 0 < long.abs().max() < 1e-2
    torch.testing.assert_close(10 * longer, long, rtol=1e-2, atol=1e-6)


def test_rays_written_out(body, people):
    """Reference: the camera's place and the points' places in the frame, point by point."""
    observations = near(people.observations, known=slice(0, 3))
    weight = observations.point_weight.copy()
    weight[::5] = 0
    observations = replace(observations, point_weight=weight)
    rig = make_rig(body, observations.keypoint_name, CPU, F64)
    evidence = gather(observations, RegistrationConfig(camera="perspective"), CPU, F64)
    padded = pad(rig, evidence)
    for person in range(6):
        inverse_focal, *centre = evidence.perspective[person].tolist()
        rows = observations.points_of(person)
        weight = evidence.point_weight[rows]
        segment = padded.point_segment[person, : len(weight), 0]
        for k in range(24):
            chosen = (segment == k) & (weight > 0)
            expected = torch.tensor([0.0, 0, 1], dtype=F64)
            if inverse_focal > 0 and chosen.any():
                share = (weight[chosen] / weight[chosen].sum())[:, None]
                middle = (share * evidence.point_xy[rows][chosen]).sum(0)
                camera = torch.tensor([*centre, 1 / inverse_focal], dtype=F64)
                expected = camera - torch.cat([middle, torch.zeros(1, dtype=F64)])
                expected = expected / expected.norm()
            torch.testing.assert_close(
                padded.segment_ray[person, k], expected, rtol=1e-6, atol=1e-7
            )
            if inverse_focal == 0:
                assert torch.equal(padded.segment_ray[person, k], expected)
            at_points = padded.point_ray[person, : len(weight)][segment == k]
            assert (at_points == padded.segment_ray[person, k]).all()


@pytest.mark.parametrize("engine", ["fit", "ops", "reference"])
def test_cameras_of_others_change_no_bit(body, people, quick, engine):
    """With perspective and without, alone, together, and in another order."""
    observations = near(people.observations, known=slice(1, 4))
    quick = replace(quick, camera="perspective")
    together = register(body, observations, quick, engine=engine)
    without = replace(observations, focal=None, principal_point=None, picture_size=None)
    weak = register(body, without, quick, engine=engine)
    for person in range(6):
        alone = register(body, observations.select([person]), quick, engine=engine)
        for name in ("pose", "rotation", "scale", "translation", "loss"):
            found = getattr(together, name)[person]
            assert np.array_equal(getattr(alone, name)[0], found)
            assert np.array_equal(getattr(weak, name)[person], found) == (not 1 <= person < 4)
    order = [4, 1, 0, 5, 3, 2]
    turned = register(body, observations.select(order), quick, engine=engine)
    assert np.array_equal(turned.pose, together.pose[order])


def test_focal_lengths_are_known_assumed_or_none(people):
    """Reference: the rule, person by person."""
    nan = math.nan
    observations = replace(
        people.observations,
        focal=np.array([500, 500, nan, nan, math.inf, nan]),
        picture_size=np.array([[0, 0], [300, 400], [300, 400], [0, 400], [300, 400], [0, 0]]),
    )
    config = RegistrationConfig(camera="perspective", assumed_focal=1.2)
    found = focal_lengths(observations, config)
    np.testing.assert_array_equal(found, [500, 500, 600, nan, nan, nan])
    expected = perspective_in_frame(
        found, observations.principal_point, observations.picture_size, observations.frame
    )
    assert (expected[:, 0] > 0).tolist() == [True, True, True, False, False, False]
    got = gather(observations, config, CPU, F64).perspective
    assert got.dtype == F64 and np.array_equal(got, expected)
    distant = replace(config, assumed_focal=math.inf)
    known_alone = focal_lengths(observations, distant)
    np.testing.assert_array_equal(known_alone, [500, 500, nan, nan, nan, nan])
    assert np.isnan(focal_lengths(observations, replace(config, camera="weak"))).all()
    assert np.isnan(focal_lengths(people.observations, config)).all()
    weak = gather(observations, replace(config, camera="weak"), CPU, F64).perspective
    assert weak.shape == (6, 3) and not weak.any()


def test_fits_have_the_cameras_they_were_fitted_with(body, people):
    """Known, assumed, of a distant camera, and unknown; the places they are seen at follow."""
    nan = math.nan
    observations = replace(
        people.observations.select(slice(0, 4)),
        focal=np.array([900, nan, math.inf, nan]),
        principal_point=np.array([[250, 240], [nan, nan], [nan, nan], [nan, nan]]),
        picture_size=np.array([[0, 0], [300, 400], [300, 400], [0, 0]]),
    )
    config = RegistrationConfig(iterations=3, starts=1, assumed_focal=2.0, find_focal=False)
    fits = register(body, observations, config, engine="ops")
    np.testing.assert_array_equal(fits.focal, np.float32([900, 1000, nan, nan]))
    expected = [[250, 240], [150, 200], [nan, nan], [nan, nan]]
    np.testing.assert_array_equal(fits.principal_point, np.float32(expected))
    used = gather(observations, config, CPU, torch.float32).perspective
    np.testing.assert_array_equal(fits.perspective, used)
    weak = register(body, observations, replace(config, camera="weak"), engine="ops")
    assert weak.focal is None and weak.principal_point is None
    # All shards of a run have the same arrays, whatever is known of their people.
    none = replace(observations, focal=None, principal_point=None, picture_size=None)
    unknown = register(body, none, config, engine="ops")
    assert np.isnan(unknown.focal).all() and np.isnan(unknown.principal_point).all()
    np.testing.assert_array_equal(unknown.pose, weak.pose)
