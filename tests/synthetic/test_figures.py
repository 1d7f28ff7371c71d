"""People in front of cameras: figures are the posed body, and cameras follow the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.synthetic.cameras import Perspective, WeakPerspective, sample_view
from bodyreg.synthetic.figure import make_figure
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.performance import perform
from bodyreg.synthetic.people import sample_person

SEED = 4


@pytest.fixture(scope="module")
def figure(body):
    random = np.random.default_rng(1)
    person = sample_person(body, SEED, 0)
    performance = perform(person, ACTIONS[0], random, 2)
    view = sample_view(random)
    camera = WeakPerspective(150.0, np.array([40.0, 60.0]))
    return make_figure(
        person, ACTIONS[0], performance.pose[1], view @ performance.turn[1], view[:, 1], camera
    )


def test_a_figure_is_the_posed_body_seen_from_its_pelvis(body, figure):
    transforms, joints = figure.person.body.pose(
        torch.from_numpy(figure.pose)[None], torch.from_numpy(figure.person.segment_scale)[None]
    )
    points = figure.person.body.vertex_points()
    vertices = ops.lbs(transforms, points.joint_ids, points.anchors)[0].numpy()
    expected = (vertices - joints[0, 0].numpy()) @ figure.rotation.T
    np.testing.assert_allclose(figure.vertices, expected, atol=2e-6)
    np.testing.assert_array_equal(figure.joints[0], 0)
    np.testing.assert_allclose(figure.keypoints(body.joint_names), figure.joints, atol=2e-6)
    at = figure.keypoints(tuple(body.landmarks))
    for landmark, place in zip(body.landmarks.values(), at, strict=True):
        np.testing.assert_allclose(
            place, landmark.weights @ figure.vertices[landmark.vertices], atol=2e-6
        )


def test_a_weak_camera_is_a_scale_and_a_shift():
    camera = WeakPerspective(100.0, np.array([30.0, 50.0]))
    points = np.array([[[0, 0, 0], [1, 2, 3], [-0.5, -0.25, -1]]])
    expected = [[[30, 50, 0], [130, -150, 3], [-20, 75, -1]]]
    np.testing.assert_allclose(camera.project(points), expected)


def test_a_near_camera_divides_by_the_distance():
    focal, centre, pelvis = np.array([1000.0, 1200]), np.array([500.0, 400]), np.array([1, 0.5, -4])
    camera = Perspective(focal, centre, pelvis)
    points = np.array([[0, 0, 0], [-1, -0.5, 0], [1, 0, 2.0]])
    expected = [[750, 250, -4], [500, 400, -4], [1500, 100, -2]]
    np.testing.assert_allclose(camera.project(points), expected)


def test_a_near_camera_far_away_is_a_weak_one():
    pelvis = np.array([3.0, -2.0, -1000])
    camera = Perspective(np.array([1e5, 1e5]), np.array([500.0, 500]), pelvis)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    near, weak = camera.project(points), camera.weak().project(points)
    np.testing.assert_allclose(near[:, :2], weak[:, :2], atol=0.5)
    np.testing.assert_allclose(near[:, 2] - near[0, 2], weak[:, 2] - weak[0, 2], atol=1e-9)
    assert camera.weak().pixels_per_metre == pytest.approx(100)


def test_views_go_all_the_way_round_and_are_nearly_level():
    random = np.random.default_rng(2)
    views = np.array([sample_view(random) for _ in range(400)])
    np.testing.assert_allclose(views @ views.swapaxes(1, 2), np.eye(3) + 0 * views, atol=1e-12)
    assert np.linalg.det(views).min() > 0.99
    yaw = np.degrees(np.arctan2(views[:, 0, 2], views[:, 2, 2]))
    counts = np.histogram(yaw, bins=4, range=(-180, 180))[0]
    assert counts.min() > 70
    tilt = np.degrees(np.arccos(views[:, 1, 1]))
    assert 5 < np.sqrt((tilt**2).mean()) < 12
    assert tilt.max() < 35
    front = np.array([sample_view(random, 60) for _ in range(100)])
    assert (front[:, 2, 2] > 0.35).all()


def test_people_and_their_performances_do_not_depend_on_others(body):
    late, early = (sample_person(body, SEED, number) for number in (7, 2))
    again = sample_person(body, SEED, 7)
    np.testing.assert_array_equal(late.shape, again.shape)
    np.testing.assert_array_equal(late.segment_scale, again.segment_scale)
    assert late.look == again.look != early.look
    assert late.number == 7
    motions = [perform(late, ACTIONS[1], np.random.default_rng(3), 5) for _ in "12"]
    np.testing.assert_array_equal(motions[0].pose, motions[1].pose)
    np.testing.assert_array_equal(motions[0].turn, motions[1].turn)
