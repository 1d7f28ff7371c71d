"""Tables of errors: statistics by sorting, groups by hand."""

import json

import numpy as np
import pytest

from bodyreg.metrics.table import Metric, Statistics, Table, natural

ERROR = Metric("error", "mm", "")
SHARE = Metric("share", "%", "", best=100)
FAULT = Metric("fault", "", "")


def a_table(people: int = 6) -> Table:
    return Table(
        people={
            "id": np.arange(people),
            "action": np.array(["Sitting", "Eating", "Sitting", "", "Eating", "Eating"]),
            "subject": np.array(["S1", "S11", "S5", "S1", "S1", "S5"]),
            "camera": np.full(people, "1"),
            "child": np.array([True, False, False, False, False, True]),
            "cut": np.float32([0, 0.02, 0.3, 0, 0, 0.021]),
            "occluded": np.float32([0, 0.1, 0.2, 0, 0.11, 0]),
        },
        errors={
            "error": np.array([1.0, 2, 3, np.nan, 5, 6]),
            "share": np.array([100.0, 90, 80, 70, 60, 0]),
            "fault": np.array([True, False, False, False, False, True]),
        },
        metrics={"error": ERROR, "share": SHARE, "fault": FAULT},
    )


def test_statistics_are_those_of_the_sorted_numbers():
    random = np.random.default_rng()
    for count in (1, 2, 11, 101):
        values = random.exponential(30, count)
        found = Statistics.of(np.append(values, [np.nan, np.inf]), ERROR)
        ordered = np.sort(values)
        place = 0.9 * (count - 1)
        below = int(place)
        ninetieth = ordered[below]
        if below + 1 < count:
            ninetieth += (place - below) * (ordered[below + 1] - ordered[below])
        assert found.people == count
        assert found.mean == pytest.approx(sum(values.tolist()) / count)
        assert found.median == pytest.approx(np.median(values))
        assert found.ninetieth == pytest.approx(ninetieth)
        assert found.worst == ordered[-1]


def test_of_shares_the_smallest_is_the_worst():
    values = np.arange(101.0)
    assert Statistics.of(values, SHARE) == (101, 50, 50, 10, 0)
    assert Statistics.of(values, ERROR) == (101, 50, 50, 90, 100)
    assert Statistics.of(np.array([True, False, False, True]), FAULT)[:2] == (4, 0.5)
    nothing = Statistics.of(np.array([np.nan]), ERROR)
    assert nothing.people == 0
    assert np.isnan(nothing[1:]).all()


def test_people_are_grouped_by_what_tells_them_apart():
    """One camera saw all people, so there is no table of cameras."""
    groups = {
        kind: {name: np.flatnonzero(rows).tolist() for name, rows in found.items()}
        for kind, found in a_table().groupings().items()
    }
    assert groups == {
        "group": {
            "plain adults": [1, 3],
            "children": [0, 5],
            "cut by the picture": [2, 5],
            "occluded": [2, 4],
        },
        "action": {"Eating": [1, 4, 5], "Sitting": [0, 2]},
        "subject": {"S1": [0, 3, 4], "S5": [2, 5], "S11": [1]},
    }
    only = Table({"id": np.arange(2)}, {}, {})
    assert only.groupings() == {}


def test_numbers_in_names_count_as_numbers():
    names = {"S11", "S9", "S1", "Photo", "Walking 10", "Walking 2", "²"}
    assert natural(names) == ["Photo", "S1", "S9", "S11", "Walking 2", "Walking 10", "²"]


def test_the_summary_is_plain_json():
    table = a_table()
    table.errors["error"][[2, 5]] = np.nan
    summary = json.loads(json.dumps(table.summary(), allow_nan=False))
    assert set(summary) == {"metrics", "all", "by_group", "by_action", "by_subject"}
    assert summary["all"]["people"] == 6
    assert summary["all"]["error"]["people"] == 3
    assert summary["by_subject"]["S5"]["error"]["mean"] is None
    assert summary["by_subject"]["S5"]["share"]["worst"] == 0
    assert summary["by_action"]["Eating"]["share"]["mean"] == 50
    assert summary["metrics"]["share"]["best"] == 100


def test_batches_make_the_whole():
    table = a_table()
    parts = [table.select(np.arange(2)), table.select(np.arange(2, 6))]
    assert len(parts[1]) == 4
    whole = Table.concatenate(parts)
    assert whole.summary() == table.summary()
    np.testing.assert_array_equal(whole.people["subject"], table.people["subject"])
