"""Distances along a surface: planes, spheres, a loop over all ways, and wrong files."""

import dataclasses

import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import cdist

from bodyreg.body import Body
from bodyreg.errors import UserError
from bodyreg.metrics.geodesics import BodyGeodesics, load_geodesics, spread_vertices


def of_mesh(body: Body, vertices: np.ndarray, faces: np.ndarray) -> BodyGeodesics:
    return BodyGeodesics(dataclasses.replace(body, vertices=np.float32(vertices), faces=faces))


def test_on_a_sphere_ways_are_arcs(body):
    """Never shorter than through the chords' polyhedron, nearly as short as the great circles."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    vertices = np.asarray(ball.vertices)
    source, target = np.random.default_rng(0).integers(0, len(vertices), (2, 2000))
    arc = np.arccos((vertices[source] * vertices[target]).sum(axis=1).clip(-1, 1))
    found = of_mesh(body, vertices, np.asarray(ball.faces))(source, target)
    far = arc > 0.3
    ratio = found[far] / arc[far]
    assert ratio.min() > 0.99
    assert ratio.max() < 1.06
    assert 1 < ratio.mean() < 1.02
    np.testing.assert_array_equal(found[source == target], 0)


def test_on_a_plane_diagonals_of_quads_are_straight(body):
    """A grid of squares, each cut along one diagonal: the other one is as short."""
    side = 6
    rows, columns = np.divmod(np.arange(side * side), side)
    first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([first, first + 1, first + side], axis=1),
            np.stack([first + 1, first + side + 1, first + side], axis=1),
        ]
    )
    find = of_mesh(body, np.stack([columns, rows, 0 * rows], axis=1), faces)
    corner = np.array([0, side - 1, 0, 0])
    to = np.array([side * side - 1, side * (side - 1), side - 1, 0])
    diagonal = (side - 1) * np.sqrt(2)
    np.testing.assert_allclose(find(corner, to), [diagonal, diagonal, side - 1, 0], rtol=1e-6)


def test_every_way_is_tried(body):
    """A lumpy ball, against Floyd and Warshall's loop over edges and pairs of triangles."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    random = np.random.default_rng()
    vertices = np.float32(ball.vertices * random.uniform(0.6, 1.4, (42, 1))).astype(float)
    faces = np.asarray(ball.faces)
    ways = np.full((42, 42), np.inf)
    np.fill_diagonal(ways, 0)
    for a, b in ball.edges_unique:
        ways[a, b] = ways[b, a] = np.linalg.norm(vertices[a] - vertices[b])
    for (left, right), (a, b) in zip(ball.face_adjacency, ball.face_adjacency_edges, strict=True):
        (c,), (d,) = ({*faces[face]} - {a, b} for face in (left, right))
        flat = [unfolded(vertices, a, b, end) * [1, sign] for end, sign in ((c, 1), (d, -1))]
        length = np.linalg.norm(vertices[a] - vertices[b])
        share = flat[0][1] / (flat[0][1] - flat[1][1])
        if 0 < flat[0][0] + share * (flat[1][0] - flat[0][0]) < length:
            ways[c, d] = ways[d, c] = min(ways[c, d], np.linalg.norm(flat[0] - flat[1]))
    for middle in range(42):
        ways = np.minimum(ways, ways[:, middle : middle + 1] + ways[middle])
    source, target = np.divmod(np.arange(42 * 42), 42)
    found = of_mesh(body, vertices, faces)(source, target)
    np.testing.assert_allclose(found, ways.ravel(), atol=1e-5)


def unfolded(vertices: np.ndarray, a: int, b: int, end: int) -> np.ndarray:
    """Where the end is when a is at 0 and b on the x axis: by the angle at a."""
    edge, side = vertices[b] - vertices[a], vertices[end] - vertices[a]
    reach = np.linalg.norm(side)
    angle = np.arccos(edge @ side / np.linalg.norm(edge) / reach)
    return reach * np.array([np.cos(angle), np.sin(angle)])


def test_what_does_not_hang_together_is_infinitely_far(body):
    """Two triangles apart, one of them with two corners in one place."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [5, 0, 0], [6, 0, 0]])
    find = of_mesh(body, vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    np.testing.assert_array_equal(
        find(np.array([0, 0, 3, 5]), np.array([3, 1, 4, 4])), [np.inf, 1, 0, 1]
    )


def test_on_the_body_ways_follow_the_skin(body):
    """Symmetric, never shorter than the straight line, and long between the hands."""
    find = BodyGeodesics(body)
    some = spread_vertices(body.vertices, 40)
    source, target = some.repeat(40), np.tile(some, 40)
    found = find(source, target).reshape(40, 40)
    straight = cdist(body.vertices[some], body.vertices[some])
    np.testing.assert_allclose(found, found.T, rtol=1e-5)
    assert (found >= straight - 1e-5).all()
    hands = np.array([body.vertices[:, 0].argmin()]), np.array([body.vertices[:, 0].argmax()])
    span = np.ptp(body.vertices[:, 0])
    assert span < find(*hands)[0] < 1.3 * span


def test_spread_vertices_keep_their_distance(body):
    """Each was the farthest from those before, so none is farther from all than they are apart."""
    chosen = spread_vertices(body.vertices, 100)
    assert len(set(chosen.tolist())) == 100
    among = cdist(body.vertices[chosen], body.vertices[chosen]) + 10 * np.eye(100)
    assert cdist(body.vertices, body.vertices[chosen]).min(axis=1).max() <= among.min() + 1e-6
    np.testing.assert_array_equal(spread_vertices(body.vertices[:5], 9), np.arange(5))
    np.testing.assert_array_equal(spread_vertices(np.ones((4, 3)), 3), [0, 1, 2])


def test_a_file_of_distances_is_checked(body, tmp_path):
    small = dataclasses.replace(body, vertices=body.vertices[:6])
    path = tmp_path / "geodesics.npy"
    matrix = cdist(small.vertices, small.vertices)
    np.save(path, matrix)
    find = load_geodesics(path, small)
    np.testing.assert_array_equal(find(np.array([0, 3]), np.array([5, 2])), matrix[[0, 3], [5, 2]])
    for wrong, message in (
        (matrix[:5], r"geodesics.npy: float64 \(5, 6\); expected .* floats \(6, 6\)"),
        ((100 * matrix).astype(int), r"int64 \(6, 6\); expected"),
        (matrix + 1, "not distances"),
        (-matrix, "not distances"),
        (np.where(matrix > 0.1, np.nan, matrix), "not distances"),
    ):
        np.save(path, wrong)
        with pytest.raises(UserError, match=message):
            load_geodesics(path, small)
    with pytest.raises(UserError, match="no such geodesics file"):
        load_geodesics(tmp_path / "none.npy", small)
