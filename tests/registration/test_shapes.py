"""Shapes: bodies that differ from the template, told by dense points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.errors import UserError
from bodyreg.exchange import motion_of, to_glb
from bodyreg.metrics.reprojection import reprojection_error
from bodyreg.registration import RegistrationConfig, register, smooth
from bodyreg.registration.schedule import final_setting
from bodyreg.registration.shape_system import ShapeSystem, Unknowns, minimum
from tests.exchange.people import Glb, from_pelvis

from .conftest import make_people, near

NAMES = ("broad", "thick", "low")
UNMODELLED = {"facing", "visibility", "exponential", "det", "shape"}
"""Terms that the normal equations leave out, and the one of `register` alone."""


@pytest.fixture(scope="module")
def template(body) -> Body:
    """The ellipsoids with shape directions: wider, deeper, with lower hips and shoulders."""
    x, y, z = body.vertices.T
    nothing, trunk = np.zeros_like(x), np.isin(body.segment, (0, 3, 6, 9))
    vertices = np.stack([
        np.stack([0.35 * x * trunk, nothing, nothing], 1),
        np.stack([nothing, nothing, 0.5 * z], 1),
        np.stack([nothing, -0.25 * np.maximum(y, 0), nothing], 1),
    ])  # fmt: skip
    x, y, z = body.joints.T
    joints = np.zeros((3, 24, 3))
    joints[2, :, 1] = -0.25 * np.maximum(y, 0)
    return replace(
        body,
        shape_names=NAMES,
        shape_directions=vertices.astype(np.float32),
        shape_joint_directions=joints.astype(np.float32),
    )


@pytest.fixture(scope="module")
def config(quick) -> RegistrationConfig:
    return replace(quick, fit_shape=True)


def shaped(template: Body, shape: list[float], count: int, seed: int, **more) -> Observations:
    """People with this shape."""
    people = make_people(template.with_shape(shape), count, seed, **more).observations
    return replace(people, body=template.fingerprint)


def random_start(fits: Fits, random: np.random.Generator, count: int) -> Unknowns:
    """Near a fit; some angles and scales are beyond their limits."""
    start = Unknowns.of(fits, random.normal(0, 0.3, count))
    step = random.normal(0, 0.1, 102 + count)
    step[:3] = 0
    step[3 + random.integers(0, 69, 5)] += 2
    step[72 + random.integers(0, 24, 3)] += random.choice([-0.6, 1.2], 3)
    return start.moved(step, 9)


@pytest.mark.parametrize("preset", ["accurate", "paper"])
@pytest.mark.parametrize("kind", ["parallel", "near", "proportions"])
def test_the_value_is_that_of_the_objective(template, preset, kind):
    """Of the terms that it models, where a fit ends."""
    body, people = template, shaped(template, [0.3, 0.4, -0.2], 3, 5)
    if kind == "near":
        people = near(people)
    if kind == "proportions":
        body = body.with_proportions(np.random.default_rng(2).uniform(0.9, 1.1, 24))
    config = RegistrationConfig.preset(preset, iterations=40, starts=1)
    fits = register(body, people, config, dtype=torch.float64)
    for i in range(len(fits)):
        one = fits.select([i])
        system = ShapeSystem(body, people.select([i]), one, config)
        found = system.normal(Unknowns.of(one, np.zeros(3))).value
        expected = sum(float(v[i]) for n, v in fits.terms.items() if n not in UNMODELLED)
        assert found == pytest.approx(expected, rel=1e-4)
    assert {"dense", "keypoint", "depth"} <= set(final_setting(config).weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["parallel", "near", "behind"])
def test_the_gradient_is_the_slope_of_the_value(template, quick, kind, seed):
    random = np.random.default_rng(seed)
    people = shaped(template, [0.3, 0.4, -0.2], 1, seed)
    if kind != "parallel":
        people = near(people)
    if kind == "behind":  # the camera is inside of the body
        people = replace(people, focal=np.full(1, 30.0))
    config = replace(quick, joint_weight=1e-4, scale_deviation_weight=1e-3)
    fits = register(template, people, replace(config, iterations=5))
    system = ShapeSystem(template, people, fits, config)
    at = random_start(fits, random, 3)
    gradient = system.normal(at).gradient
    assert not gradient[:3].any()  # the root stays
    for _ in range(12):
        way = random.normal(size=len(gradient))
        way[:3] = 0
        ends = [system.normal(at.moved(1e-6 * sign * way, 9)).value for sign in (-1, 1)]
        slope = (ends[1] - ends[0]) / 2e-6
        assert slope == pytest.approx(2 * gradient @ way, rel=1e-4, abs=1e-9)


def test_the_gradient_of_real_landmarks():
    """Their offsets grow with the stature, so the slope by shapes is right to some per cent."""
    body, random = Body.default(), np.random.default_rng(4)
    names = ("coco/left_hip", "coco/right_shoulder", "coco/nose", "coco/left_knee")
    people = Observations.of_keypoints(
        names, random.uniform(50, 250, (1, 4, 2)), np.ones((1, 4)), id=np.arange(1),
        frame=np.float32([[150, 150, 120]]),
    )  # fmt: skip
    config = RegistrationConfig(iterations=5, starts=1)
    fits = register(body, people, config)
    system = ShapeSystem(body, people, fits, config)
    at = Unknowns.of(fits, random.normal(0, 0.3, len(body.shape_names)))
    gradient = system.normal(at).gradient
    way = random.normal(size=len(gradient)) * (np.arange(len(gradient)) >= 102)
    ends = [system.normal(at.moved(1e-6 * sign * way, 9)).value for sign in (-1, 1)]
    assert (ends[1] - ends[0]) / 2e-6 == pytest.approx(2 * gradient @ way, rel=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_a_minimum_is_one(template, quick, seed):
    """There the gradient is near 0, against that of the start, and no step nearby is lower."""
    people = shaped(template, [0.5, -0.4, 0.3], 1, seed)
    fits = register(template, people, quick)
    system = ShapeSystem(template, people, fits, quick)
    start = Unknowns.of(fits, np.zeros(3))
    best = minimum(system, start)
    low, high = system.normal(best), system.normal(start)
    assert low.value < high.value
    steps = np.linalg.solve(low.matrix + np.diag(1e-9 + 0 * low.gradient), low.gradient)
    assert low.gradient @ steps < 1e-3 * low.value


@pytest.mark.parametrize("shape", [[0.6, 0.5, 0.5], [-0.6, 0.7, -0.4]])
def test_shapes_are_recovered(template, config, quick, shape):
    """In the mean of six people, to 15 %, by a weak prior; the surface errs by two fifths less."""
    weak = replace(config, shape_weight=1e-6)
    people = make_people(template.with_shape(shape), 6, 7, points=(150, 200), noise=0.002)
    seen = replace(people.observations, body=template.fingerprint)
    fits = register(template, seen, weak)
    assert np.linalg.norm(fits.shape.mean(0) - shape) < 0.15 * np.linalg.norm(shape)
    errors = []
    for found in (register(template, seen, quick), fits):
        away = found.vertices(template) - people.vertices.numpy()
        errors.append(np.linalg.norm(away[..., :2], axis=2).mean())
    assert errors[1] < 0.6 * errors[0]


def test_noise_makes_no_shapes(template, config):
    """People of the template's shape with 2 pixels of noise: shapes within the prior's spread."""
    people = make_people(template, 12, 3, noise=2 / 128).observations
    fits = register(template, people, config)
    assert np.sqrt(np.square(fits.shape).mean()) < 0.25


def test_a_fit_is_one_of_the_body_in_its_shape(template, config, quick):
    """The loss is that of this body, and the prior's: a fit of no iterations has it, too."""
    people = shaped(template, [0.5, 0.5, 0], 3, 2)
    fits = register(template, people, config)
    assert fits.shape.any(1).all()
    np.testing.assert_allclose(fits.loss, sum(fits.terms.values()), rtol=1e-5)
    expected = config.shape_weight * np.square(fits.shape.astype(float)).sum(1)
    np.testing.assert_allclose(fits.terms["shape"], expected, rtol=1e-5)
    for i, (one, own) in enumerate(fits.by_body(template)):
        some = replace(people.select([i]), body=own.fingerprint)
        still = register(own, some, replace(quick, warm_iterations=0), initial=one)
        assert still.loss[0] == pytest.approx(fits.loss[i] - fits.terms["shape"][i], rel=1e-4)


def test_a_loss_never_rises(template, config, quick):
    people = shaped(template, [0.2, -0.2, 0.1], 8, 9)
    quick, config = replace(quick, precise_error=0), replace(config, precise_error=0)
    without, fits = register(template, people, quick), register(template, people, config)
    assert (fits.loss <= without.loss).all()


def test_people_without_dense_points_keep_their_fits(template, config, quick):
    people = shaped(template, [0.5, 0.5, 0.3], 4, 4)
    alone = people.keypoints_alone()
    without, fits = register(template, alone, quick), register(template, alone, config)
    assert fits.shape.shape == (4, 3) and not fits.shape.any()
    for name in ("pose", "segment_scale", "rotation", "scale", "translation", "loss"):
        np.testing.assert_array_equal(getattr(fits, name), getattr(without, name))


def test_a_fit_does_not_depend_on_others_or_threads(template, config):
    people = shaped(template, [0.5, -0.5, 0.3], 5, 6)
    fits = register(template, people, config)
    order = np.array([3, 0, 4])
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    some = register(template, people.select(order), config)
    torch.set_num_threads(threads)
    for name in ("shape", "pose", "segment_scale", "rotation", "loss", "joint_deviation"):
        np.testing.assert_array_equal(getattr(some, name), getattr(fits, name)[order])


def test_precise_points_weigh_more(template, config):
    """Their people are fitted again, in shape; losses have the usual weights."""
    people = shaped(template, [0.6, 0.4, -0.3], 4, 8, points=(150, 200), noise=1e-4)
    precise = register(template, people, config)
    usual = register(template, people, replace(config, precise_error=0))
    assert (precise.terms["dense"] < usual.terms["dense"]).all()
    np.testing.assert_allclose(precise.loss, sum(precise.terms.values()), rtol=1e-5)
    assert precise.shape.any(1).all()


def test_a_warm_fit_goes_on_from_shapes(template, config):
    people = shaped(template, [0.6, 0.4, -0.3], 3, 8)
    fits = register(template, people, config)
    again = register(template, people.select([2, 0, 1]), config, initial=fits)
    assert again.id.tolist() == [102, 100, 101] and again.shape.any(1).all()
    assert (again.loss < fits.loss[[2, 0, 1]]).all()


def test_an_own_loss_is_told_who_is_fitted(template, config):
    people, seen = shaped(template, [0.6, 0.4, -0.3], 3, 8), []

    def extra(parameters, evidence):
        seen.extend(evidence.person.tolist())
        return 0 * parameters.scale

    register(template, people, replace(config, iterations=4, warm_iterations=3), extra_loss=extra)
    assert set(seen) == {0, 1, 2}


def test_shapes_that_cannot_be(body, template, config, quick):
    people = shaped(template, [0.5, 0.5, 0], 2, 1)
    with pytest.raises(UserError, match=r"'ellipsoids' has no shape directions, so fit_shape"):
        register(body, people, config)
    fits = register(template, people, config)
    with pytest.raises(UserError, match=r"have shapes of their own; .*--fit-shape"):
        register(template, people, quick, initial=fits)
    other = replace(template, shape_names=NAMES[:2], shape_directions=template.shape_directions[:2])
    with pytest.raises(UserError, match="has 2 shape directions"):
        fits.vertices(other)


def test_what_reads_fits_knows_their_bodies(template, config, tmp_path):
    people = shaped(template, [0.5, -0.5, 0.4], 3, 11)
    fits = register(template, people, config)
    fits.save(tmp_path / "fits.npz")
    fits = Fits.load(tmp_path / "fits.npz")
    distances = reprojection_error(fits, people, template)
    for i, shape in enumerate(fits.shape):
        own, one = template.with_shape(shape), replace(fits.select([i]), shape=None)
        np.testing.assert_array_equal(fits.vertices(template)[i], one.vertices(own)[0])
        np.testing.assert_array_equal(
            fits.keypoints(template, ("nose", "left_hip"))[i],
            one.keypoints(own, ("nose", "left_hip"))[0],
        )
        expected = reprojection_error(one, replace(people.select([i]), body=None), own)
        for name, values in distances.items():
            assert values[i] == expected[name][0]
        glb = Glb(to_glb(motion_of(template, fits.select([i]))))
        vertices, joints = from_pelvis(template, fits.select([i]))
        np.testing.assert_allclose(glb.vertices(), vertices[0], atol=1e-5)
        np.testing.assert_allclose(glb.joints(), joints[0], atol=1e-5)


def test_groups_of_one_body(template, config):
    """People next to each other with equal shapes; no shapes; no people."""
    people = shaped(template, [0.5, -0.5, 0.4], 4, 11)
    fits = register(template, people, config)
    shape = np.float32([[0, 0, 0], [0.5, 0, 0], [0.5, 0, 0], [0, 0.25, 0]])
    fits = replace(fits, shape=shape)
    groups = list(fits.by_body(template))
    assert [some.id.tolist() for some, _ in groups] == [[100], [101, 102], [103]]
    assert groups[0][1] is template and all(some.shape is None for some, _ in groups)
    alone = [fits.select([i]).vertices(template) for i in range(4)]
    np.testing.assert_array_equal(fits.vertices(template), np.concatenate(alone))
    ((some, own),) = replace(fits, shape=None).by_body(template)
    assert own is template and len(some) == 4
    assert fits.select([]).vertices(template).shape == (0, len(template.vertices), 3)


def test_the_pictures_of_a_video_get_one_shape(template, config):
    people = shaped(template, [0.5, -0.5, 0.4], 3, 11)
    fits = register(template, people, config)
    found = smooth(template, people, fits, np.arange(3) / 25, config)
    mean = fits.shape.mean(0, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(found.shape, np.tile(mean, (3, 1)))
    np.testing.assert_allclose(found.loss, sum(found.terms.values()), rtol=1e-4)
    assert np.ptp(found.segment_scale, axis=0).max() == 0
