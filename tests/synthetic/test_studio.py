"""The studio: one person seen by four near cameras, and Human3.6M's coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.performance import perform
from bodyreg.synthetic.people import sample_person
from bodyreg.synthetic.scenes.studio import studio_cameras, studio_figures, to_human36m

PLACE = np.array([0.7, -0.4])


@pytest.fixture(scope="module")
def figures():
    person = sample_person(Body.default(), 1, 5)
    performance = perform(person, ACTIONS[0], np.random.default_rng(0), 1)
    return studio_figures(person, ACTIONS[0], performance.pose[0], performance.turn[0], PLACE, 90)


def test_the_cameras_are_like_the_real_ones():
    cameras = studio_cameras()
    names = ["54138969", "55011271", "58860488", "60457274"]
    assert [camera.name for camera in cameras] == names
    assert [(camera.width, camera.height) for camera in cameras] == [
        (1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002),
    ]  # fmt: skip
    for camera in cameras:
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1)
        assert 3.9 < np.linalg.norm(camera.position[[0, 2]]) < 5.8
        assert 1.4 < camera.position[1] < 1.7
        # Upright objects are upright in the picture, and the middle of the floor is visible.
        assert camera.up[0] == pytest.approx(0, abs=1e-12)
        assert camera.up[1] > 0.98


def test_all_cameras_see_the_same_person(figures):
    """Standing on the floor, at its place, facing +x."""
    worlds = [
        camera.to_world(figure, figure.vertices)
        for camera, figure in zip(studio_cameras(), figures, strict=True)
    ]
    for world in worlds[1:]:
        np.testing.assert_allclose(world, worlds[0], atol=1e-5)
    assert worlds[0][:, 1].min() == pytest.approx(0, abs=1e-5)
    joints = studio_cameras()[0].to_world(figures[0], figures[0].joints)
    np.testing.assert_allclose(joints[0, [0, 2]], PLACE, atol=1e-6)
    left, right = joints[1], joints[2]
    assert (right - left)[2] > 0.1  # a person that faces +x has its right at +z


def test_people_are_well_inside_the_pictures(figures):
    for camera, figure in zip(studio_cameras(), figures, strict=True):
        xy = figure.project(figure.vertices)[:, :2]
        assert (xy > 20).all()
        assert (xy < np.array([camera.width, camera.height]) - 20).all()
        assert np.ptp(xy[:, 1]) > 200


def test_human36m_readers_project_to_the_same_pixels(figures):
    """World to camera axes and to pixels as in VideoPose3D, written out here."""
    for camera, figure in zip(studio_cameras(), figures, strict=True):
        world = to_human36m(camera.to_world(figure, figure.joints))
        w, x, y, z = camera.orientation
        inverse = Rotation.from_quat([x, y, z, w]).inv()
        seen = inverse.apply(world - camera.translation)
        assert (seen[:, 2] > 2000).all()
        pixels = seen[:, :2] / seen[:, 2:] * camera.focal + camera.centre
        np.testing.assert_allclose(pixels, figure.project(figure.joints)[:, :2], atol=1e-2)
    assert (world[:, 2] > -1).all()
    assert world[:, 2].max() > 900
