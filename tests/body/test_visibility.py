"""Vertices visible in a picture: cubes with known sides, and the built-in body."""

import numpy as np
import pytest
import torch

from bodyreg.body.surface import visible_faces, visible_vertices
from bodyreg.ops import raster


def box():
    """A cube of side 2 with outward faces."""
    corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float)
    quads = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


def picture_of(vertices, faces, side, scale):
    """Faces seen by a camera at +z, y up."""
    pixels = vertices * [scale, -scale, scale] + [side / 2, side / 2, 0]
    return (
        raster(torch.from_numpy(pixels)[None], torch.from_numpy(faces.astype(np.int32)), side, side)
        .face[0]
        .numpy()
    )


def test_a_cube_shows_its_front():
    vertices, faces = box()
    picture = picture_of(vertices, faces, 64, 16)
    assert visible_faces(picture, 12).nonzero()[0].tolist() == [2, 3]  # the quad at z = 1
    assert visible_vertices(picture, faces, 8).tolist() == [False] * 4 + [True] * 4
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True  # to the pixel: no outline
    np.testing.assert_array_equal(picture >= 0, inside)


def test_near_covers_far():
    vertices, faces = box()
    both = np.concatenate([vertices * 0.5 - [0, 0, 5], vertices])
    both_faces = np.concatenate([faces, faces + 8])
    picture = picture_of(both, both_faces, 64, 16)
    assert visible_vertices(picture, both_faces, 16).tolist() == [False] * 12 + [True] * 4


@pytest.mark.parametrize("yaw", [0.0, 1.0, 2.5])
def test_the_body_is_seen_from_everywhere(body, yaw):
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turned = body.vertices @ turn.T
    seen = visible_vertices(picture_of(turned, body.faces, 512, 250), body.faces, len(turned))
    assert 0.3 < seen.mean() < 0.65
    facing = (body.vertex_normals @ turn.T)[:, 2]
    assert facing[seen].mean() > 0.4
    assert facing[seen].min() > -0.95
