"""The painter against ray casting by hand."""

import numpy as np
import pytest

from bodyreg.body.painter import paint_faces, visible_faces, visible_vertices


def box():
    """A cube of side 2 with outward faces."""
    corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float)
    quads = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


def view(vertices, size, scale):
    """Camera at +z, y up: pixels and depths."""
    xy = np.stack([size / 2 + scale * vertices[:, 0], size / 2 - scale * vertices[:, 1]], 1)
    return xy, vertices[:, 2]


def test_a_cube_shows_its_front():
    vertices, faces = box()
    picture = paint_faces(*view(vertices, 64, 16), faces, 64)
    assert picture.dtype == np.int32
    assert set(np.unique(picture)) == {-1, 2, 3}  # the quad at z = 1
    assert picture[32, 32] in (2, 3)
    assert (picture[:14] == -1).all()
    assert (picture[18:46, 18:46] >= 0).all()


def test_against_rays_on_a_convex_body():
    rng = np.random.default_rng(0)
    from scipy.spatial import ConvexHull

    points = rng.normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    hull = ConvexHull(points)
    faces = hull.simplices.copy()
    a, b, c = points[faces.T]
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    size, scale = 200, 90
    xy, depth = view(points, size, scale)
    picture = paint_faces(xy, depth, faces, size)
    wrong = total = 0
    for y, x in rng.integers(20, 180, (300, 2)):
        best, winner = -np.inf, -1
        for number, face in enumerate(faces):
            system = np.vstack([xy[face].T, np.ones(3)])
            share = np.linalg.solve(system, [x, y, 1])
            if share.min() >= 0 and share @ depth[face] > best:
                best, winner = share @ depth[face], number
        total += 1
        wrong += picture[y, x] != winner
    assert wrong / total < 0.08  # outlines are a pixel fat


def test_near_covers_far():
    vertices, faces = box()
    far = vertices * 0.5 - [0, 0, 5]
    both = np.concatenate([far, vertices])
    picture = paint_faces(*view(both, 64, 16), np.concatenate([faces, faces + 8]), (64, 64))
    assert picture[picture >= 0].min() >= len(faces)
    seen = visible_vertices(picture, np.concatenate([faces, faces + 8]), 16)
    assert seen.tolist() == [False] * 12 + [True] * 4
    assert visible_faces(picture, 24).sum() == 2


def test_nothing_to_paint():
    vertices, faces = box()
    xy, depth = view(vertices, 32, 8)
    assert (paint_faces(xy, depth, faces[:0], 32) == -1).all()
    assert (paint_faces(xy + 1e7, depth, faces, (16, 24)) == -1).all()
    assert paint_faces(xy, depth, faces, (16, 24)).shape == (16, 24)


def test_partly_outside():
    vertices, faces = box()
    xy, depth = view(vertices, 64, 300)
    assert (paint_faces(xy, depth, faces, 64) >= 0).all()


@pytest.mark.parametrize("yaw", [0.0, 1.0, 2.5])
def test_the_body_is_seen_from_everywhere(body, yaw):
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turned = body.vertices @ turn.T
    picture = paint_faces(*view(turned, 512, 250), body.faces, 512)
    seen = visible_vertices(picture, body.faces, len(turned))
    assert 0.3 < seen.mean() < 0.65
    facing = (body.vertex_normals @ turn.T)[:, 2]
    assert facing[seen].mean() > 0.4
    assert facing[seen].min() > -0.95
