"""Charts: (part, u, v) gives back the surface point that it came from."""

import numpy as np
import pytest

from bodyreg.body import JOINT_NAMES, Charts
from bodyreg.errors import UserError

# Parts of the right side -> parts of the left side, DensePose's flip table.
OTHER_SIDE = {3: 4, 6: 5, 7: 8, 9: 10, 11: 12, 13: 14, 16: 15, 18: 17, 20: 19, 22: 21, 23: 24}


def random_points(charts, body, count, seed=0):
    """Points spread over the surface: faces of charts, barycentrics, positions in 3-D and uv."""
    rng = np.random.default_rng(seed)
    corners = body.vertices[charts.vertex[charts.faces]].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    face = rng.choice(len(area), count, p=area / area.sum())
    share = rng.dirichlet([1, 1, 1], count)
    uv = (charts.uv[charts.faces[face]] * share[..., None]).sum(1)
    return charts.part[face], uv, (corners[face] * share[..., None]).sum(1)


def distance(body, vertex, barycentric, points):
    found = (body.vertices[vertex] * barycentric[..., None]).sum(1)
    return np.linalg.norm(found - points, axis=1)


def test_layout(body):
    charts = body.charts
    assert charts.name == "makehuman-24"
    assert set(charts.part) == set(range(1, 25))
    assert charts.uv.min() >= 0
    assert charts.uv.max() <= 1
    assert len(charts.faces) == len(body.faces)
    covered = {tuple(sorted(face)) for face in charts.vertex[charts.faces].tolist()}
    assert covered == {tuple(sorted(face)) for face in body.faces.tolist()}
    assert len(charts.uv) > len(body.vertices)  # seams are doubled
    used = np.concatenate([charts.extended_part[charts.faces[:, i]] for i in range(3)])
    assert (used == np.tile(charts.part, 3)).all()  # an extended vertex belongs to one part


def test_parts_lie_where_their_names_say(body):
    charts = body.charts
    centre = {
        p: body.vertices[charts.vertex[charts.extended_part == p]].mean(0) for p in range(1, 25)
    }
    for right, left in OTHER_SIDE.items():
        assert centre[right][0] < 0 < centre[left][0]
    assert centre[1][2] < centre[2][2]  # back behind front
    assert centre[7][2] < centre[9][2]
    assert centre[12][2] < centre[14][2]
    assert centre[15][1] < centre[17][1]  # the inner side is below in the T-pose
    joint = dict(zip(JOINT_NAMES, body.joints, strict=True))
    for part, name in ((3, "right_hand"), (4, "left_hand"), (5, "left_foot"), (6, "right_foot")):
        assert np.linalg.norm(centre[part] - joint[name]) < 0.12
    assert abs(centre[24][1] - joint["head"][1]) < 0.1


def test_sides_mirror_one_another(body):
    charts = body.charts
    place = {}
    for part, vertex, uv in zip(charts.extended_part, charts.vertex, charts.uv, strict=True):
        place.setdefault((part, vertex), []).append(uv)
    for (part, vertex), places in place.items():
        if part in OTHER_SIDE:
            other = place[OTHER_SIDE[part], body.mirror_vertices[vertex]]
            np.testing.assert_allclose(np.sort(places, 0), np.sort(other, 0), atol=1e-6)
        elif part in (1, 2):
            other = place[part, body.mirror_vertices[vertex]]
            np.testing.assert_allclose(other[0], places[0] * [-1, 1] + [1, 0], atol=1e-4)


def test_round_trip(body):
    part, uv, points = random_points(body.charts, body, 100_000)
    vertex, barycentric = body.charts.locate(part, uv)
    assert vertex.dtype == np.int32
    assert barycentric.dtype == np.float32
    np.testing.assert_allclose(barycentric.sum(1), 1, atol=1e-6)
    assert barycentric.min() >= 0
    error = distance(body, vertex, barycentric, points)
    assert np.median(error) < 1e-6
    assert np.percentile(error, 99) < 1e-5  # Tutte's charts do not fold
    assert error.max() < 1e-3


def test_round_trip_through_eight_bits(body):
    part, uv, points = random_points(body.charts, body, 20_000, seed=1)
    vertex, barycentric = body.charts.locate(part, np.round(uv * 255) / 255)
    error = distance(body, vertex, barycentric, points)
    assert np.median(error) < 1e-3
    assert np.percentile(error, 95) < 5e-3


def test_locate_against_a_loop_over_all_triangles(body):
    charts = body.charts
    rng = np.random.default_rng(2)
    part, uv = rng.integers(1, 25, 60), rng.random((60, 2))
    vertex, barycentric = charts.locate(part, uv)
    outside = 0
    for p, q, v, b in zip(part, uv, vertex, barycentric, strict=True):
        inside = []
        for face in charts.faces[charts.part == p]:
            corners = charts.uv[face].astype(np.float64)
            try:
                share = np.linalg.solve(np.vstack([corners.T, np.ones(3)]), [*q, 1])
            except np.linalg.LinAlgError:
                continue
            if share.min() >= 0:
                inside.append((charts.vertex[face], share))
        if inside:
            assert any(np.array_equal(v, f) and np.allclose(b, s, atol=1e-4) for f, s in inside)
        else:
            outside += 1
            mine = charts.faces[charts.part == p]
            ends = np.concatenate([mine[:, [0, 1]], mine[:, [1, 2]], mine[:, [2, 0]]])
            start, end = charts.uv.astype(np.float64)[ends.T]
            step = np.linspace(0, 1, 2001)[:, None, None]
            nearest = np.linalg.norm(start + step * (end - start) - q, axis=-1).min()
            face = mine[[sorted(f) == sorted(v) for f in charts.vertex[mine].tolist()]][0]
            place = b @ charts.uv[face][[charts.vertex[face].tolist().index(i) for i in v]]
            assert np.linalg.norm(place - q) == pytest.approx(nearest, abs=1e-4)
            assert b.min() == pytest.approx(0, abs=1e-6)
    assert 0 < outside < 30


def test_corners_and_edges_of_triangles(body):
    charts = body.charts
    face = np.arange(0, len(charts.faces), 7)
    corner = charts.faces[face, 0]
    vertex, share = charts.locate(charts.part[face], charts.uv[corner])
    found = (body.vertices[vertex] * share[..., None]).sum(1)
    np.testing.assert_allclose(found, body.vertices[charts.vertex[corner]], atol=1e-5)


def test_table_is_the_nearest_vertex(body):
    charts = body.charts
    rng = np.random.default_rng(5)
    for part in (1, 4, 24):
        table = charts.table(part)
        assert table.shape == (256, 256)
        assert table.dtype == np.int32
        assert charts.table(part) is table
        mine = np.flatnonzero(charts.extended_part == part)
        for row, column in rng.integers(0, 256, (20, 2)):
            away = np.linalg.norm(charts.uv[mine] - [column / 255, row / 255], axis=1)
            chosen = away[charts.vertex[mine] == table[row, column]].min()
            assert chosen == pytest.approx(away.min(), abs=1e-6)
    with pytest.raises(ValueError, match="part"):
        charts.table(0)


def test_no_points(body):
    vertex, barycentric = body.charts.locate(np.zeros(0), np.zeros((0, 2)))
    assert vertex.shape == barycentric.shape == (0, 3)


@pytest.mark.parametrize(
    ("part", "uv", "message"),
    [
        ([0], [[0.5, 0.5]], "part 0"),
        ([25], [[0.5, 0.5]], "part 25"),
        ([3], [[np.nan, 0.5]], "finite"),
        ([3], [[np.inf, 0.5]], "finite"),
    ],
)
def test_bad_queries(body, part, uv, message):
    with pytest.raises(UserError, match=message):
        body.charts.locate(np.array(part), np.array(uv))


def test_many_points_outside_are_moved_as_each_alone(body):
    rng = np.random.default_rng(7)
    part, uv = rng.integers(1, 25, 5000), rng.normal(0.5, 2, (5000, 2))
    vertex, share = body.charts.locate(part, uv)
    np.testing.assert_allclose(share.sum(1), 1, atol=1e-6)
    for row in rng.integers(0, 5000, 40):
        alone = body.charts.locate(part[row], uv[row])
        np.testing.assert_array_equal(alone[0][0], vertex[row])
        np.testing.assert_array_equal(alone[1][0], share[row])
    inside = body.charts.coordinates(part, vertex, share)
    again = body.charts.locate(part, inside)
    places = [(body.vertices[v] * b[..., None]).sum(1) for v, b in ((vertex, share), again)]
    np.testing.assert_allclose(*places, atol=1e-4)


def test_far_outside_gives_a_point_of_the_part(body):
    vertex, _ = body.charts.locate(np.array([5, 5]), np.array([[-3.0, 9.0], [1e6, -1e6]]))
    members = body.charts.vertex[body.charts.extended_part == 5]
    assert np.isin(vertex, members).all()


def test_an_empty_part():
    charts = Charts(
        "one", np.array([[0.0, 0], [1, 0], [0, 1]], np.float32), np.arange(3),
        np.array([[0, 1, 2]]), np.array([7]),
    )  # fmt: skip
    vertex, share = charts.locate(np.array([7]), np.array([[0.25, 0.25]]))
    np.testing.assert_allclose(share[0], [0.5, 0.25, 0.25])
    np.testing.assert_array_equal(vertex[0], [0, 1, 2])
    with pytest.raises(UserError, match="part 8 is empty"):
        charts.locate(np.array([8]), np.array([[0.25, 0.25]]))
