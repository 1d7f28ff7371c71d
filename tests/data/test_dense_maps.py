"""Which pixels of a dense map are kept: all parts, away from borders, evenly, always the same."""

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data.dense_maps import (
    BORDER,
    LEAST_AREA,
    LEAST_OF_PART,
    person_in_charts,
    sample,
    shares,
)


def stripes(random: np.random.Generator) -> np.ndarray:
    """Parts of random widths side by side, with background between some of them."""
    widths = random.integers(6, 60, 25)
    columns = np.concatenate(
        [np.full(width, part * random.integers(0, 2)) for part, width in enumerate(widths)]
    )
    part = np.zeros((120, len(columns) + 20), np.uint8)
    part[10:110, 10:-10] = columns
    return part


@pytest.mark.parametrize("seed", range(4))
def test_parts_share_the_points(seed):
    random = np.random.default_rng(seed)
    part = stripes(random)
    row, column = sample(part, 500)
    assert len(row) == 500
    assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == 500
    count = np.bincount(part[row, column], minlength=25)
    area = np.bincount(part.reshape(-1), minlength=25)
    there = np.flatnonzero(area[1:]) + 1
    assert count[0] == 0 and (count[there] >= LEAST_OF_PART).all()
    # The larger part never has fewer points, and four times the area has about twice as many.
    assert (np.diff(count[there][np.argsort(area[there], kind="stable")]) >= -1).all()
    expected = np.sqrt(area[there]) / np.sqrt(area[there]).sum() * 500
    free = expected > LEAST_OF_PART
    np.testing.assert_allclose(count[there][free], expected[free], rtol=0.2, atol=2)


@pytest.mark.parametrize("seed", range(3))
def test_borders_are_left_out(seed):
    part = stripes(np.random.default_rng(seed))
    row, column = sample(part, 400)
    offsets = np.arange(-BORDER, BORDER + 1)
    around = part[row[:, None, None] + offsets[:, None], column[:, None, None] + offsets]
    alike = (around == part[row, column][:, None, None]).all((1, 2))
    wide = np.isin(part[row, column], np.flatnonzero(_widths(part) > 2 * BORDER))
    assert alike[wide].all()


def _widths(part: np.ndarray) -> np.ndarray:
    return np.array([(part[60] == number).sum() for number in range(26)])


def test_thin_parts_keep_points():
    part = np.zeros((60, 60), np.uint8)
    part[5:55, 10:12] = 3  # as wide as a finger: no pixel is far from a border
    part[5:55, 20:40] = 2
    row, column = sample(part, 100)
    assert (part[row, column] == 3).sum() >= LEAST_OF_PART


def test_small_parts_are_left_out():
    part = np.zeros((40, 40), np.uint8)
    part[20:30, 20:30] = 7
    part[2, 2 : 2 + LEAST_AREA - 1] = 9
    row, column = sample(part, 50)
    assert set(part[row, column]) == {7}
    part[2, 2 : 2 + LEAST_AREA] = 9
    row, column = sample(part, 50)
    assert set(part[row, column]) == {7, 9}
    assert not len(sample(np.zeros((9, 9), np.uint8), 10)[0])


def test_points_are_evenly_spread():
    part = np.zeros((80, 80), np.uint8)
    part[8:72, 8:72] = 1
    row, column = sample(part, 64)
    cells = (row - 8) // 16 * 4 + (column - 8) // 16
    count = np.bincount(cells, minlength=16)
    assert count.min() >= 2 and count.max() <= 6


def test_a_map_decides_alone():
    """The same map gives the same points, wherever it lies in a larger one."""
    part = stripes(np.random.default_rng(8))
    larger = np.zeros((300, part.shape[1] + 200), np.uint8)
    larger[70 : 70 + part.shape[0], 90 : 90 + part.shape[1]] = part
    row, column = sample(part, 300)
    again = sample(larger, 300)
    np.testing.assert_array_equal(again, (row + 70, column + 90))


def test_few_points_serve_all_parts_alike():
    room = [1000, 3, 50, 50, 400]
    quota = shares(np.sqrt(room), room, 15)
    assert quota.tolist() == [3, 3, 3, 3, 3]
    assert shares(np.sqrt(room), room, 10**6).tolist() == room
    quota = shares(np.sqrt(room), room, 200)
    assert quota.sum() == 200 and quota[1] == 3 and quota[2] == quota[3] >= LEAST_OF_PART


@pytest.mark.parametrize("seed", range(3))
def test_points_of_a_map_lie_where_it_says(seed):
    """A map that a region stretches: places in the picture, points of the body, weights, box."""
    random, body = np.random.default_rng(seed), Body.default()
    part = np.zeros((50, 40), np.uint8)
    part[5:45, 6:20], part[5:45, 20:36] = 2, 17
    uv = random.uniform(0, 1, (50, 40, 2))
    weight = random.uniform(0, 1, (50, 40))
    region = np.array([100.0, 30.5, 80.0, 75.0])
    person = person_in_charts(body.charts, part, uv, region, 60, weight=weight, picture="a.png")
    place = (person.xy - region[:2]) / region[2:] * [40, 50] - 0.5
    column, row = np.rint(place).astype(int).T
    np.testing.assert_allclose(place, np.column_stack([column, row]), atol=1e-9)
    vertex, barycentric = body.charts.locate(part[row, column], uv[row, column])
    np.testing.assert_array_equal(person.vertex, vertex)
    np.testing.assert_array_equal(person.barycentric, barycentric)
    np.testing.assert_array_equal(person.weight, weight[row, column])
    np.testing.assert_allclose(person.box, [100 + 12, 30.5 + 7.5, 60, 60])
    assert person.picture == "a.png"


def test_eight_bits_stand_for_the_middle_of_what_was_cut():
    body, part = Body.default(), np.full((9, 9), 2, np.uint8)
    for number, middle in ((0, 0.5 / 255), (100, 100.5 / 255), (254, 254.5 / 255), (255, 1)):
        region = np.array([0, 0, 9.0, 9.0])
        found, expected = (
            person_in_charts(body.charts, part, uv, region, 4)
            for uv in (np.full((9, 9, 2), number, np.uint8), np.full((9, 9, 2), middle))
        )
        np.testing.assert_array_equal(found.vertex, expected.vertex)
        np.testing.assert_allclose(found.barycentric, expected.barycentric, atol=1e-6)
