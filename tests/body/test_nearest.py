"""Nearest points of meshes, against trimesh and against all triangles."""

import numpy as np
import pytest
from trimesh.triangles import closest_point

from bodyreg.body.nearest import CHUNK, Surface, closest_in_triangles


@pytest.mark.parametrize("seed", [0, 1])
def test_the_closest_point_of_a_triangle(seed):
    random = np.random.default_rng(seed)
    corners = random.normal(0, 1, (3000, 3, 3))
    corners[:50, 2] = corners[:50, 1] + 1e-7 * random.normal(0, 1, (50, 3))  # needles
    points = random.normal(0, 2, (3000, 3))
    share = closest_in_triangles(corners, points)
    assert share.min() >= 0
    np.testing.assert_allclose(share.sum(1), 1, atol=1e-12)
    found = np.linalg.norm((corners * share[..., None]).sum(1) - points, axis=1)
    right = np.linalg.norm(closest_point(corners, points) - points, axis=1)
    np.testing.assert_allclose(found[50:], right[50:], atol=1e-9)
    np.testing.assert_allclose(found[:50], right[:50], atol=1e-5)


def test_a_triangle_without_area():
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], [[1.0, 1, 1]] * 3])
    share = closest_in_triangles(corners, np.array([[1.5, 1, 0], [0.0, 0, 0]]))
    place = (corners * share[..., None]).sum(1)
    np.testing.assert_allclose(place, [[1.5, 0, 0], [1, 1, 1]], atol=1e-9)


def test_points_near_the_body(body):
    """Also more points than one step takes."""
    random = np.random.default_rng(2)
    surface = Surface(body.vertices, body.faces)
    face = random.integers(0, len(body.faces), CHUNK + 500)
    place, normal = surface.at(face, random.dirichlet([1, 1, 1], len(face)))
    moved = place + random.normal(0, 1e-3, place.shape)
    near = surface.nearest(moved, normal)
    np.testing.assert_allclose(
        near.place, (surface.corners[near.face] * near.barycentric[..., None]).sum(1), atol=1e-12
    )
    for row in random.integers(0, len(face), 60):
        every = closest_point(surface.corners, np.tile(moved[row], (len(body.faces), 1)))
        right = np.linalg.norm(every - moved[row], axis=1).min()
        assert np.linalg.norm(near.place[row] - moved[row]) == pytest.approx(right, abs=1e-4)


def test_the_side_that_faces_the_normal():
    """Two parallel squares, a millimetre apart: the farther one faces the point's normal."""
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    vertices = np.concatenate([square, square + np.array([0, 0, 1e-3])])
    faces = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])
    surface = Surface(vertices, faces)
    point = np.array([[0.3, 0.6, 2e-4]])
    assert surface.nearest(point, np.array([[0.0, 0, 1]])).place[0, 2] == pytest.approx(1e-3)
    assert surface.nearest(point, np.array([[0.0, 0, -1]])).place[0, 2] == pytest.approx(0)


def test_labels(body):
    random = np.random.default_rng(3)
    surface = Surface(body.vertices, body.faces, body.segment)
    face = random.integers(0, len(body.faces), 200)
    place, normal = surface.at(face, random.dirichlet([1, 1, 1], len(face)))
    allowed = random.random((200, 24)) < 0.5
    allowed[0] = False
    near = surface.nearest(place, normal, allowed=allowed)
    meets = np.isfinite(near.cost)
    assert not meets[0]
    assert meets.any()
    label = body.segment[body.faces[near.face]].max(1)
    assert allowed[np.flatnonzero(meets), label[meets]].all()


def test_no_points(body):
    near = Surface(body.vertices, body.faces).nearest(np.zeros((0, 3)), np.zeros((0, 3)))
    assert near.face.shape == near.cost.shape == (0,)
    assert near.barycentric.shape == near.place.shape == (0, 3)
