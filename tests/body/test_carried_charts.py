"""DensePose's charts on the built-in body: (part, u, v) give the place that SMPL's mesh gives."""

import dataclasses

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.errors import UserError
from tests.body.densepose_files import uv_content, write_uv
from tests.body.test_charts import random_points


@pytest.fixture(scope="module")
def carried(body, tmp_path_factory):
    return body.with_uv(write_uv(tmp_path_factory.mktemp("uv") / "UV_Processed.mat", body))


def places(body, vertex, barycentric):
    return (body.vertices[vertex] * barycentric[..., None]).sum(1)


def test_the_body_keeps_its_own_charts(body, carried):
    assert carried.charts is body.charts
    assert carried.charts.name == "makehuman-24"
    assert carried.carried_charts.name == "densepose"
    assert carried.charts_named("densepose") is carried.carried_charts
    assert carried.charts_named("makehuman-24") is body.charts
    assert carried.fingerprint == body.fingerprint


def test_smpl_vertices_are_points_of_the_surface(body):
    vertex, share = body.smpl_points(np.arange(6890))
    assert vertex.dtype == np.int32 and share.dtype == np.float32
    faces = {tuple(sorted(f)) for f in body.faces.tolist()}
    assert {tuple(sorted(v)) for v in vertex.tolist()} <= faces
    assert share.min() >= 0
    np.testing.assert_allclose(share.sum(1), 1, atol=1e-6)
    # SMPL's left side is the body's left side.
    place = places(body, vertex, share)
    for left, right in ((2800, 6260), (583, 4071), (2319, 5782), (3216, 6617), (2445, 5905)):
        assert place[left, 0] > 0 > place[right, 0]
        np.testing.assert_allclose(place[left], place[right] * [-1, 1, 1], atol=0.01)


def test_smpl_vertices_lie_near_the_landmarks(body):
    """The body's landmarks were found without SMPL. MHR's foot has no toes: one can be missed."""
    for name, number, away in (
        ("nose", 332, 0.01), ("left_eye", 2800, 0.015), ("right_eye", 6260, 0.015),
        ("left_ear", 583, 0.02), ("right_ear", 4071, 0.02), ("left_heel", 3387, 0.02),
        ("right_heel", 6787, 0.02), ("left_toe", 3216, 0.03), ("right_toe", 6617, 0.03),
    ):  # fmt: skip
        landmark = body.landmarks[name]
        point = landmark.weights @ body.vertices[landmark.vertices]
        assert np.linalg.norm(places(body, *body.smpl_points([number]))[0] - point) < away, name


@pytest.mark.parametrize("seed", [1, 2])
def test_charts_that_mean_the_same_give_the_same_points(body, tmp_path, seed):
    charts = body.with_uv(write_uv(tmp_path / "uv.mat", body, seed)).carried_charts
    random = np.random.default_rng(seed)
    content = uv_content(body, np.random.default_rng(seed))
    face = random.integers(0, len(content["All_Faces"]), 20_000)
    uv = np.hstack([content["All_U_norm"], content["All_V_norm"]])[content["All_Faces"][face] - 1]
    part = content["All_FaceIndices"][face, 0]
    uv = (uv * random.dirichlet([1, 1, 1], len(face))[..., None]).sum(1)
    vertex, share = charts.locate(part, uv)
    assert vertex.dtype == np.int32 and share.dtype == np.float32
    np.testing.assert_allclose(share.sum(1), 1, atol=1e-6)
    own = places(body, *body.charts.locate(part, uv))
    away = np.linalg.norm(places(body, vertex, share) - own, axis=1)
    # The body's charts are not linear within a triangle of SMPL.
    assert np.median(away) < 1e-3
    assert np.percentile(away, 95) < 5e-3


def test_coordinates_undo_locate(body, carried):
    part, uv, _ = random_points(body.charts, body, 5000, 3)
    vertex, share = carried.carried_charts.locate(part, uv)
    again = carried.carried_charts.coordinates(part, vertex, share)
    back = places(body, *carried.carried_charts.locate(part, again))
    away = np.linalg.norm(back - places(body, vertex, share), axis=1)
    assert np.median(away) < 2e-4
    assert np.percentile(away, 99) < 5e-3


def test_the_corners_of_charts_are_smpl_vertices(body, carried):
    content = uv_content(body, np.random.default_rng(0))
    face = content["All_Faces"][::50] - 1
    uv = np.hstack([content["All_U_norm"], content["All_V_norm"]])[face[:, 0]]
    found = carried.carried_charts.locate(content["All_FaceIndices"][::50, 0], uv)
    expected = body.smpl_points(content["All_vertices"][0, face[:, 0]] - 1)
    np.testing.assert_allclose(places(body, *found), places(body, *expected), atol=1e-5)


def test_a_point_does_not_depend_on_the_others(carried):
    random = np.random.default_rng(4)
    part, uv = random.integers(1, 25, 6000), random.uniform(-0.2, 1.2, (6000, 2))
    vertex, share = carried.carried_charts.locate(part, uv)
    for row in random.integers(0, 6000, 20):
        alone = carried.carried_charts.locate(part[[row]], uv[[row]])
        np.testing.assert_array_equal(alone[0][0], vertex[row])
        np.testing.assert_array_equal(alone[1][0], share[row])
    none = carried.carried_charts.locate(np.zeros(0), np.zeros((0, 2)))
    assert none[0].shape == none[1].shape == (0, 3)


def test_bodies_of_other_shapes_have_the_same_points(body, tmp_path):
    path = write_uv(tmp_path / "uv.mat", body)
    shaped = body.with_shape(np.linspace(-0.3, 0.3, len(body.shape_names)))
    part, uv, _ = random_points(body.charts, body, 2000, 5)
    one = body.with_uv(path).carried_charts.locate(part, uv)
    other = shaped.with_uv(path).carried_charts.locate(part, uv)
    away = np.linalg.norm(places(body, *one) - places(body, *other), axis=1)
    assert np.percentile(away, 99) < 2e-3
    kept = body.with_uv(path).with_shape(np.zeros(len(body.shape_names))).carried_charts
    np.testing.assert_array_equal(kept.locate(part, uv)[0], one[0])


def test_the_table_is_saved_with_the_body(body, tmp_path):
    body.save(tmp_path / "body.npz")
    path = write_uv(tmp_path / "uv.mat", body)
    again = Body.load(tmp_path / "body.npz", uv=path)
    numbers = np.random.default_rng(6).integers(0, 6890, 100)
    for one, other in zip(again.smpl_points(numbers), body.smpl_points(numbers), strict=True):
        np.testing.assert_array_equal(one, other)
    part, uv, _ = random_points(body.charts, body, 500, 7)
    for one, other in zip(
        again.carried_charts.locate(part, uv),
        body.with_uv(path).carried_charts.locate(part, uv),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, -1], "point 1: SMPL has no vertex -1"),
        ([6890], "vertex 6890 of smpl_27554 is the middle of an edge"),
        ([5, 27553], "point 1: vertex 27553 of smpl_27554"),
        ([27554], "no vertex 27554"),
        ([1.5], "whole numbers"),
    ],
)
def test_bad_vertex_numbers(body, numbers, message):
    with pytest.raises(UserError, match=message):
        body.smpl_points(numbers)
    assert body.smpl_points([])[0].shape == (0, 3)


def test_a_body_without_the_table(body, tmp_path):
    path = write_uv(tmp_path / "uv.mat", body)
    unknown = dataclasses.replace(body, smpl=None)
    with pytest.raises(UserError, match="make-map"):
        unknown.smpl_points([1])
    with pytest.raises(UserError, match=r"6890 vertices, not 6999; .* make-map"):
        unknown.with_uv(path)


def test_charts_that_a_body_lacks(body, carried):
    with pytest.raises(UserError, match=r"'densepose', body 'makehuman' has 'makehuman-24'; .*uv"):
        body.charts_named("densepose")
    with pytest.raises(UserError, match="has 'makehuman-24' and 'densepose'; use the body"):
        carried.charts_named("other")
    bare = dataclasses.replace(body, charts=None)
    with pytest.raises(UserError, match="has none"):
        bare.charts_named("makehuman-24")


@pytest.mark.parametrize(
    ("part", "uv", "message"),
    [
        ([0], [[0.5, 0.5]], "part 0"),
        ([25], [[0.5, 0.5]], "part 25"),
        ([3], [[np.nan, 0.5]], "finite"),
    ],
)
def test_bad_queries(carried, part, uv, message):
    with pytest.raises(UserError, match=message):
        carried.carried_charts.locate(np.array(part), np.array(uv))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"All_vertices": np.zeros((1, 6890), int)}, "All_vertices"),
        ({"All_vertices": np.full((1, 6890), 6891)}, "All_vertices"),
        ({"All_vertices": np.full((1, 6890), 6000)}, "6000 vertices, not 6890"),
        ({"All_vertices": np.full((1, 6890), 6890)}, "has no vertex 1"),
        ({"All_Faces": None}, "has no 'All_Faces'"),
        ({"All_U_norm": np.full((6890, 1), np.nan)}, "All_U_norm and All_V_norm"),
        ({"All_V_norm": np.full((6890, 1), 1.1)}, "All_U_norm and All_V_norm"),
        ({"All_FaceIndices": np.ones((3, 1), int)}, "contradictory lengths"),
        ({"All_Faces": np.full((5, 3), np.nan)}, "other types or shapes"),
        ({"All_Faces": np.full((5, 3), 2.5)}, "other types or shapes"),
        ({"All_vertices": np.full((1, 6890), 1e300)}, "other types or shapes"),
        ({"All_U_norm": np.full((6890, 1), 0.5)}, "part [0-9]+ has no area"),
        ({"All_Faces": np.ones((5, 2), int)}, "other types or shapes"),
    ],
)
def test_broken_uv_files(body, tmp_path, change, message):
    path = write_uv(tmp_path / "uv.mat", body, **change)
    with pytest.raises(UserError, match=message) as caught:
        body.with_uv(path)
    assert "\n" not in str(caught.value) and "uv.mat" in str(caught.value)


def test_truncated_and_missing_uv_files(body, tmp_path):
    path = write_uv(tmp_path / "uv.mat", body)
    data = path.read_bytes()
    for keep in (0, 127, 5000, len(data) // 2):
        path.write_bytes(data[:keep])
        with pytest.raises(UserError, match=r"uv\.mat"):
            body.with_uv(path)
    path.unlink()
    with pytest.raises(UserError, match=r"uv\.mat"):
        body.with_uv(path)
