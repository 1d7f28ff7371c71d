"""Tables of points: three kinds of files, three ways to name a point, and what is refused."""

import json

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data.point_lists import IN_ONE_PLACE, read_points
from bodyreg.errors import UserError

from .test_damaged import PLAIN, ROUNDS, attempt, damaged

# A command's user sees one line, so nothing may be warned of beside it.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def points(seed=0, count=30) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "x": random.uniform(10, 90, count), "y": random.uniform(20, 190, count),
        "I": random.integers(1, 25, count), "U": random.uniform(0, 1, count),
        "V": random.uniform(0, 1, count),
    }  # fmt: skip


def write_csv(path, columns, charts="makehuman-24", delimiter=",") -> None:
    lines = [f"# charts: {charts}"] if charts else []
    lines.append(delimiter.join(columns))
    lines += [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")


def check(people, row, columns, body) -> None:
    own = people.points_of(row)
    xy = np.column_stack([columns["x"], columns["y"]])
    np.testing.assert_allclose(people.point_xy[own], xy, rtol=1e-6)
    uv = np.column_stack([columns["U"], columns["V"]])
    vertex, barycentric = body.charts.locate(columns["I"], uv)
    np.testing.assert_array_equal(people.point_vertex[own], vertex)
    np.testing.assert_allclose(people.point_barycentric[own], barycentric, atol=1e-5)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_people_of_a_table(tmp_path, body, delimiter):
    """Rows of two pictures and three people, mixed; a column that is not known."""
    random, path = np.random.default_rng(1), tmp_path / "a.csv"
    parts = [points(seed) for seed in range(3)]
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table["Picture"] = np.repeat(["b.jpg", "a.jpg", "a.jpg"], 30)
    table["person"] = np.repeat([0, 0, 1], 30)
    table["note"] = np.full(90, "?")
    table["weight"] = random.uniform(0, 1, 90)
    order = np.concatenate([[0, 30, 60], random.permutation(np.delete(np.arange(90), [0, 30, 60]))])
    write_csv(path, {name: column[order] for name, column in table.items()}, delimiter=delimiter)
    people, skipped = read_points(path, body)
    assert not skipped and people.id.tolist() == [0, 1, 2]
    assert people.picture.tolist() == ["b.jpg", "a.jpg", "a.jpg"]
    for row in range(3):
        mine = order[(order // 30) == row]
        check(people, row, {name: column[mine] for name, column in table.items()}, body)
        np.testing.assert_allclose(
            people.point_weight[people.points_of(row)], table["weight"][mine], rtol=1e-6
        )


def test_one_person_without_names(tmp_path, body):
    write_csv(tmp_path / "a.csv", points())
    people, _ = read_points(tmp_path / "a.csv", body)
    check(people, 0, points(), body)
    assert people.picture is None and (people.point_weight == 1).all()
    low, high = people.point_xy.min(0), people.point_xy.max(0)
    np.testing.assert_allclose(people.frame[0, :2], (low + high) / 2, rtol=1e-6)


def test_json(tmp_path, body):
    items = [
        {name: column.tolist() for name, column in points(seed).items()}
        | {"picture": "a.jpg", "charts": "makehuman-24", "size": [640, 480]}
        for seed in range(2)
    ]
    (tmp_path / "a.json").write_text(json.dumps(items))
    people, _ = read_points(tmp_path / "a.json", body)
    assert people.id.tolist() == [0, 1] and people.picture.tolist() == ["a.jpg"] * 2
    assert people.picture_size.tolist() == [[640, 480]] * 2
    for row in range(2):
        check(people, row, points(row), body)
    (tmp_path / "b.json").write_text(json.dumps(items[1]))
    check(read_points(tmp_path / "b.json", body)[0], 0, points(1), body)


def test_npz_with_a_number_for_each_person(tmp_path, body):
    arrays = {f"{name}_{n}": column for n in (2, 10) for name, column in points(n).items()}
    np.savez(tmp_path / "a.npz", **arrays, size_2=np.array([1024, 768]), charts="makehuman-24")
    people, _ = read_points(tmp_path / "a.npz", body)
    assert people.id.tolist() == [0, 1]
    assert people.picture_size.tolist() == [[1024, 768], [0, 0]]
    for row, number in enumerate((2, 10)):
        check(people, row, points(number), body)
    shared = {"size": np.array([640, 480]), "charts": b"makehuman-24"}
    np.savez(tmp_path / "a.npz", **arrays, **shared)
    assert read_points(tmp_path / "a.npz", body)[0].picture_size.tolist() == [[640, 480]] * 2
    np.savez(tmp_path / "b.npz", **points(4), person=np.zeros(30, int), charts="makehuman-24")
    check(read_points(tmp_path / "b.npz", body)[0], 0, points(4), body)


def test_vertices_of_the_body_and_of_smpl(tmp_path, body):
    random = np.random.default_rng(2)
    place = {name: points()[name] for name in "xy"}
    number = random.integers(0, len(body.vertices), 30)
    write_csv(tmp_path / "a.csv", place | {"vertex": number}, charts="")
    people, _ = read_points(tmp_path / "a.csv", body)
    assert (people.point_vertex[:, 0] == number).all()
    np.testing.assert_array_equal(people.point_barycentric, [[1, 0, 0]] * 30)
    number = random.integers(0, 6890, 30)
    write_csv(tmp_path / "a.csv", place | {"smpl_vertex": number}, charts="")
    people, _ = read_points(tmp_path / "a.csv", body)
    vertex, barycentric = body.smpl_points(number)
    np.testing.assert_array_equal(people.point_vertex, vertex)
    np.testing.assert_allclose(people.point_barycentric, barycentric, atol=1e-6)


def test_people_in_one_place_are_left_out(tmp_path, body):
    table = points() | {"person": np.repeat([0, 1, 2], [28, 1, 1])}
    write_csv(tmp_path / "a.csv", table)
    people, skipped = read_points(tmp_path / "a.csv", body)
    assert skipped == {IN_ONE_PLACE: 2} and people.id.tolist() == [0]


def without(*names: str) -> dict[str, np.ndarray]:
    return {name: column for name, column in points().items() if name not in names}


REFUSED = {
    "no x": (without("x"), "has no column 'x'"),
    "no way": (without("U"), "needs the columns I, U and V, or vertex, or smpl_vertex"),
    "two ways": (points() | {"vertex": np.arange(30)}, "one of these three"),
    "a part of 0": (points() | {"I": np.zeros(30, int)}, "I of point 0 is 0, expected a whole"),
    "a part of 25": (points() | {"I": np.full(30, 25)}, "from 1 to 24"),
    "half a part": (points() | {"I": np.full(30, 1.5)}, "expected a whole number"),
    "u of 255": (points() | {"U": np.full(30, 255)}, "U or V is out of range"),
    "x of NaN": (points() | {"x": np.r_[1, np.full(29, np.nan)]}, "x of point 1 is not finite"),
    "texts": (points() | {"x": np.full(30, "a")}, "x is not a list of numbers"),
    "a vertex too far": (without(*"IUV") | {"vertex": np.full(30, 10**6)}, "vertex of point 0 is"),
    "an edge of CSE": (without(*"IUV") | {"smpl_vertex": np.full(30, 7000)}, "middle of an edge"),
    "a weight below 0": (points() | {"weight": np.full(30, -1.0)}, "a weight is negative"),
}


@pytest.mark.parametrize(("table", "words"), REFUSED.values(), ids=REFUSED)
def test_tables_that_are_refused(tmp_path, body, table, words):
    write_csv(tmp_path / "a.csv", table)
    with pytest.raises(UserError, match=words) as caught:
        read_points(tmp_path / "a.csv", body)
    assert "a.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"), ("# charts: a\n\n", "is empty"), ("hello", "has no column 'x'"),
        ("x,y,I,U,V\n1,2,3\n", "row 2 has 3 columns, the first 5"),
        ("x,X,y\n", "occurs twice"), ("[3]", "is not an object"), ("{", "not readable JSON"),
        ('{"x": [1], "y": [1, 2], "vertex": [3]}', "different lengths"),
        ('{"x": [[1]], "y": [1], "vertex": [3]}', "x is not a list of numbers"),
        ('{"x": [1], "y": [1], "vertex": [3], "size": [0, 9]}', "size is not the width"),
        ('{"x": [1], "y": [1], "vertex": [3], "size": [1e999, 9]}', "size is not the width"),
        ("x,y,I,U,V\n1,2,3,0,0\n2,2,3,0,0\n", "the charts 'densepose'"),
        ('x,y,vertex\n"1,2,3\n', "row 2 has 1 columns"),
    ],
)  # fmt: skip
def test_texts_that_are_refused(tmp_path, body, text, words):
    (tmp_path / "a").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_points(tmp_path / "a", body)
    assert "\n" not in str(caught.value)


def test_names_of_pictures_that_lead_out_are_refused(tmp_path, body):
    from bodyreg.data.opening import open_people
    from bodyreg.data.source import Source

    write_csv(tmp_path / "a.csv", points() | {"picture": np.full(30, "../a.jpg")})
    people, _ = open_people(Source("point-list", tmp_path / "a.csv", tmp_path), body)
    with pytest.raises(UserError, match="is not a path inside"):
        people.read(0, 1)


def test_odd_values(tmp_path, body):
    random, path, refused = np.random.default_rng(5), tmp_path / "a.json", 0
    item = {name: column[:4].tolist() for name, column in points().items()}
    content = [item | {"charts": "makehuman-24", "picture": "a", "size": [9, 9]}] * 2
    for _ in range(ROUNDS):
        path.write_text(json.dumps(damaged(content, random, PLAIN)))
        refused += attempt(lambda: read_points(path, body), str(path))
    assert 0 < refused < ROUNDS


def test_arrays_with_odd_values(tmp_path, body):
    path = tmp_path / "a.npz"
    for name, value in (
        ("x", np.zeros((30, 2))), ("x", np.zeros(29)), ("I", np.full(30, "a")),
        ("U", np.full(30, np.nan)), ("person", np.zeros(30)), ("size", np.zeros(3)),
    ):  # fmt: skip
        np.savez(path, **points() | {"charts": "makehuman-24", name: value})
        assert attempt(lambda: read_points(path, body), str(path))
    np.savez(path, **points() | {"X": points()["x"]})
    assert attempt(lambda: read_points(path, body), str(path))
    np.savez(path, a=np.zeros(3))
    assert attempt(lambda: read_points(path, body), str(path))
