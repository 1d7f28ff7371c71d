"""Fits of a video, fitted together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from bodyreg.body import AXIS_ANGLE, Body, Parameters
from bodyreg.data import Fits, Observations
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig, register, schedule, smooth
from bodyreg.registration.doubts import FARTHEST
from bodyreg.registration.evidence import make_rig
from bodyreg.registration.residuals import residuals
from bodyreg.registration.sequences import ACCELERATION_WEIGHT, _Together, of_one_body

RATE = 25.0


def moving(seed: int, count: int = 20, noise: float = 2.0) -> tuple[Fits, Observations]:
    """A person with moving limbs who turns and walks about, in jittering crops, and keypoints."""
    random = np.random.default_rng(seed)
    body, time = Body.default(), np.arange(count) / RATE
    swing = np.sin(2 * np.pi * (0.5 * time[:, None, None] + random.random((24, 3))))
    pose = 0.35 * random.normal(0, 1, (24, 3)) * swing
    pose[:, 16:18, 2] += [[-1, 1]]  # arms hang
    turn = random.uniform(0, 2 * np.pi) + 0.5 * np.sin(time)
    centre = np.stack([300 + 40 * np.sin(time), 200 + 5 * np.cos(3 * time)], 1)
    half = 130 * (1 + 0.05 * random.normal(size=count))
    truth = Fits(
        id=np.arange(count) + 5,
        frame=np.float32(np.c_[centre + random.normal(0, 4, (count, 2)), half]),
        pose=np.float32(pose * (np.arange(24) > 0)[:, None]),
        segment_scale=np.float32(np.tile(random.uniform(0.9, 1.1), (count, 24))),
        rotation=np.float32(Rotation.from_rotvec(np.outer(turn, [0, 1, 0])).as_matrix()),
        scale=np.float32(110 * (1 + 0.05 * np.sin(time)) / half),
        translation=np.zeros((count, 2), np.float32),
    )
    truth.translation[:] = (centre - truth.frame[:, :2]) / half[:, None] * [1, -1]
    places = truth.keypoints(body, COCO_17.keypoints)[..., :2]
    xy = image_from_frame(places, truth.frame[:, None])
    people = Observations.of_keypoints(
        COCO_17.keypoints,
        xy + random.normal(0, noise, xy.shape),
        (random.random(xy.shape[:2]) > 0.1) * 1.0,
        id=truth.id,
        frame=truth.frame,
    )
    return truth, people


def with_points(people: Observations, truth: Fits, seed: int, noise: float) -> Observations:
    """The same with dense points on faces that are turned to the viewer; pixels of noise."""
    random, body, count = np.random.default_rng(seed), Body.default(), 60
    corners = truth.vertices(body)[:, body.faces].astype(np.float64)
    normal = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])[
        ..., 2
    ]
    faces = np.stack([random.choice(len(n), count, p=n / n.sum()) for n in normal.clip(0)])
    share = random.dirichlet(np.ones(3), faces.shape)
    xy = (corners[np.arange(len(truth))[:, None], faces, :, :2] * share[..., None]).sum(2)
    xy = image_from_frame(xy, truth.frame[:, None]) + random.normal(0, noise, xy.shape)
    return replace(
        people,
        point_start=count * np.arange(len(truth) + 1),
        point_xy=xy.reshape(-1, 2),
        point_vertex=body.faces[faces].reshape(-1, 3).astype(np.int32),
        point_barycentric=share.reshape(-1, 3),
        point_weight=np.ones(faces.size),
        body=body.fingerprint,
    )


def joints_of(fits: Fits) -> np.ndarray:
    joints = fits.joints(Body.default()) / abs(fits.scale.astype(float))[:, None, None]
    return joints - joints[:, :1]


def errors(fits: Fits, truth: Fits) -> tuple[float, float]:
    """Mean distance of joints, metres, after the best size; and that of accelerations, m/s²."""
    one, two = joints_of(fits), joints_of(truth)
    one *= (one * two).sum() / (one**2).sum()
    apart = (np.diff(points, 2, axis=0) * RATE**2 for points in (one, two))
    return np.linalg.norm(one - two, axis=2).mean(), np.linalg.norm(
        np.subtract(*apart), axis=2
    ).mean()


@pytest.mark.parametrize("seed", range(2))
def test_motion_is_smoother_and_nearer_to_the_truth(seed):
    body = Body.default()
    truth, people = moving(seed)
    single = register(body, people)
    found = smooth(body, people, single, np.arange(len(people)) / RATE)
    (distance, jitter), (before, jitter_before) = errors(found, truth), errors(single, truth)
    assert distance < before
    assert jitter < 0.2 * jitter_before
    np.testing.assert_array_equal(found.id, people.id)
    assert np.ptp(found.segment_scale, axis=0).max() == 0
    assert found.terms["smoothness"][[0, -1]].tolist() == [0, 0]
    assert (found.terms["smoothness"][1:-1] > 0).all()
    np.testing.assert_allclose(found.loss, sum(found.terms.values()), rtol=1e-4)
    assert found.joint_deviation.shape == (len(people), 24, 2)


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_who_stands_still_stays_still(noise):
    body, random = Body.default(), np.random.default_rng()
    _, people = moving(4, 8)
    one = people.select(np.zeros(8, int))
    xy = one.keypoint_xy + random.normal(0, noise, one.keypoint_xy.shape)
    people = replace(one, id=np.arange(8), keypoint_xy=xy)
    single = register(body, people)
    found = smooth(body, people, single, np.arange(8) / RATE)
    before, after = (
        np.linalg.norm(np.diff(joints_of(fits), 2, axis=0), axis=2).mean() * RATE**2
        for fits in (single, found)
    )
    assert after < 1.1 * before + 1e-3


@pytest.mark.parametrize("noise", [0.2, 3.0])
def test_dense_points(noise):
    """Precise ones weigh more, as in a fit of a single picture, and losses have usual weights."""
    body = Body.default()
    truth, people = moving(9, 12, noise=noise)
    people = with_points(people, truth, 9, noise)
    single = register(body, people)
    found = smooth(body, people, single, np.arange(12) / RATE)
    (distance, jitter), (before, jitter_before) = errors(found, truth), errors(single, truth)
    assert distance < before and jitter < 0.2 * jitter_before
    assert found.terms["dense"].mean() < 2 * single.terms["dense"].mean()
    np.testing.assert_allclose(found.loss, sum(found.terms.values()), rtol=1e-4)


def test_the_same_bits_each_time_and_in_any_order_of_fits():
    body = Body.default()
    _, people = moving(3, 8)
    single, seconds = register(body, people), np.arange(8) / RATE
    one, two = (
        smooth(body, people, fits, seconds)
        for fits in (single, single.select(np.arange(7, -1, -1)))
    )
    for name in (*Parameters._fields, "loss", "joint_deviation"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


@pytest.mark.parametrize("count", [1, 2])
def test_few_pictures(count):
    body = Body.default()
    _, people = moving(4, count)
    found = smooth(body, people, register(body, people), np.arange(count) / RATE)
    assert len(found) == count and not found.terms["smoothness"].any()


def test_fits_of_older_files():
    """They do not tell what they have exchanged and left out."""
    _, people = moving(4, 2)
    old = replace(register(Body.default(), people), exchanged=None, rejected=None)
    found = smooth(Body.default(), people, old, np.arange(2) / RATE)
    assert not found.doubts["foreign"].any()


def test_doubts_are_those_of_the_persons_shape():
    """Feet below the picture are guessed; the other keypoints lie on the body."""
    body, (truth, _) = Body.default(), moving(4, 3)
    shape = np.zeros((3, len(body.shape_names)), np.float32)
    shape[:, list(body.shape_names).index("child")] = 0.6
    child = replace(truth, shape=shape)
    xy = image_from_frame(child.keypoints(body, COCO_17.keypoints)[..., :2], child.frame[:, None])
    size = np.tile([600, int(xy[:, -1, 1].min()) - 10], (3, 1)).astype(np.int32)
    people = Observations.of_keypoints(
        COCO_17.keypoints,
        xy,
        np.ones(xy.shape[:2]),
        id=child.id,
        frame=child.frame,
        picture_size=size,
    )
    config = RegistrationConfig.preset("accurate", camera="weak")
    found = smooth(body, people, child, np.arange(3) / RATE, config)
    expected = residuals(body, found, people, config)[1] / FARTHEST
    np.testing.assert_allclose(found.doubts["keypoints"], expected, rtol=1e-4)
    assert found.doubts["keypoints"].max() < 0.5


def together(seconds: np.ndarray, frame: np.ndarray, metre: float) -> _Together:
    """Of a smoothness alone: its rig and plan are all that is read."""
    rig = make_rig(Body.default(), (), torch.device("cpu"), torch.float64)
    plan = schedule.warm(RegistrationConfig.preset("accurate"))
    return _Together(SimpleNamespace(rig=rig, plan=plan), frame, metre, seconds, 1.0)


def test_accelerations_of_uneven_times():
    """Against the definition, for parameters that accelerate evenly; crops do not matter."""
    random = np.random.default_rng(5)
    seconds = np.cumsum(random.uniform(0.02, 0.2, 6))
    half = random.uniform(80, 120, 6)
    centre = random.uniform(0, 300, (6, 2))
    metre, acceleration, growth = 150.0, np.array([3.0, -2.0]), 0.7
    place = metre * acceleration / 2 * seconds[:, None] ** 2  # pixels, y up
    translation = (place - centre * [1, -1]) / half[:, None]
    zeros = np.zeros((6, AXIS_ANGLE.count))
    p = AXIS_ANGLE.split(torch.from_numpy(zeros))
    still = Rotation.random(random_state=1).as_matrix()
    p = p._replace(
        segment_scale=torch.ones_like(p.segment_scale),
        rotation=torch.from_numpy(np.tile(still, (6, 1, 1))),
        translation=torch.from_numpy(translation),
        scale=torch.from_numpy(np.exp(growth / 2 * seconds**2) / half),
    )
    cost = together(seconds, np.c_[centre, half], metre).smoothness(AXIS_ANGLE.join(p))
    expected = ACCELERATION_WEIGHT * 24 * ((acceleration**2).sum() + growth**2)
    np.testing.assert_allclose(cost[1:-1], expected, rtol=1e-9)
    assert cost[[0, -1]].tolist() == [0, 0]


def test_the_mean_of_segment_scales():
    flat = torch.randn(4, AXIS_ANGLE.count, generator=torch.Generator().manual_seed(0))
    tied, place = of_one_body(flat), AXIS_ANGLE.slices["segment_scale"]
    torch.testing.assert_close(tied[2, place], flat[:, place].mean(0))
    other = [i for i in range(AXIS_ANGLE.count) if not place.start <= i < place.stop]
    assert torch.equal(tied[:, other], flat[:, other])


def test_one_camera_for_all_pictures():
    """Of fits that have found several focal lengths, the one of the most."""
    body = Body.default()
    _, people = moving(6, 5)
    people = replace(people, picture_size=np.tile(np.int32([600, 400]), (5, 1)))
    single = register(body, people)
    focal = np.float32([700, 500, 700, 700, np.nan])
    point = np.where(np.isnan(focal)[:, None], np.nan, np.float32([[300, 200]]))
    found = smooth(
        body, people, replace(single, focal=focal, principal_point=np.float32(point)),
        np.arange(5) / RATE,
    )  # fmt: skip
    assert found.focal.tolist() == [700] * 5


@pytest.mark.parametrize("seconds", [[0, 1, 1], [0, 2, 1], [0, 1]])
def test_times_that_do_not_rise(seconds):
    body = Body.default()
    _, people = moving(7, 3)
    with pytest.raises(ValueError, match="rising"):
        smooth(body, people, register(body, people), np.array(seconds))


def test_fits_of_others_are_refused():
    body = Body.default()
    _, people = moving(8, 3)
    single = register(body, people)
    with pytest.raises(UserError, match="hold no person 7"):
        smooth(body, people, single.select([0, 1]), np.arange(3) / RATE)
