"""Tables of errors: a row per person, and statistics of groups of people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bodyreg.data import Truth

CUT, OCCLUDED = 0.02, 0.1
"""People with a larger share of the silhouette outside of the picture, or covered, are "cut" or
"occluded"."""

PERSON_COLUMNS = ("id", "action", "subject", "camera", "child", "cut", "occluded")
"""Columns about each person in a table of people with known truth."""


class Metric(NamedTuple):
    """Description of a column of errors.

    Attributes:
        title: Title of the column.
        unit: Unit of its numbers; "" for a column of true and false.
        what: Explanation in words.
        best: Value of a perfect fit; inf if there is no largest one.
    """

    title: str
    unit: str
    what: str
    best: float = 0.0


class Statistics(NamedTuple):
    """Statistics of the finite numbers of a group.

    Attributes:
        people: Number of people; all others are NaN if it is 0.
        mean: Mean; of true and false, the share of true.
        median: Median.
        ninetieth: 90th percentile, counted from the best value.
        worst: The value farthest from the best.
    """

    people: int
    mean: float
    median: float
    ninetieth: float
    worst: float

    @staticmethod
    def of(values: np.ndarray, metric: Metric) -> Statistics:
        """Statistics of a column's finite numbers."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not len(values):
            return Statistics(0, *4 * [float("nan")])
        if np.isinf(metric.best):
            quantiles = np.quantile(values, [0.5, 0.1, 0])
            return Statistics(len(values), float(values.mean()), *quantiles.tolist())
        # Quantiles of the distance from the best value: for every metric, larger is worse.
        away = np.abs(values - metric.best)
        sign = 1 if metric.best == 0 else -1
        quantiles = metric.best + sign * np.quantile(away, [0.5, 0.9, 1])
        return Statistics(len(values), float(values.mean()), *quantiles.tolist())


@dataclass(eq=False)
class Table:
    """N people and their errors.

    Attributes:
        people: Name -> (N,), facts about the people; `id` at least.
        errors: Name -> (N,), numbers, or true and false.
        metrics: Name -> description of these errors.
    """

    people: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    metrics: dict[str, Metric]

    def __len__(self) -> int:
        return len(self.people["id"])

    @staticmethod
    def of(truth: Truth, errors: dict[str, np.ndarray], metrics: dict[str, Metric]) -> Table:
        """Errors of the truth's people, in its order; `metrics` may describe others too."""
        people = {name: getattr(truth, name) for name in PERSON_COLUMNS}
        return Table(people, errors, {name: metrics[name] for name in errors})

    @staticmethod
    def concatenate(parts: Sequence[Table]) -> Table:
        """Concatenate the people of several tables."""

        def joined(columns: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
            return {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}

        people, errors = joined([p.people for p in parts]), joined([p.errors for p in parts])
        return Table(people, errors, parts[0].metrics)

    def select(self, rows: np.ndarray) -> Table:
        """A table of these rows, in this order."""
        people, errors = (
            {name: column[rows] for name, column in columns.items()}
            for columns in (self.people, self.errors)
        )
        return Table(people, errors, self.metrics)

    def statistics(self, name: str, rows: np.ndarray | slice = slice(None)) -> Statistics:
        """Statistics of one column over these rows."""
        return Statistics.of(self.errors[name][rows], self.metrics[name])

    def groupings(self) -> dict[str, dict[str, np.ndarray]]:
        """The groupings of these people that have more than one group.

        Returns:
            "group", "action", "subject", "camera" -> name of a group -> (N,) bool. A person may be
            in several groups of "group": children, people cut by the picture, occluded people, and
            plain people (none of these). In the other groupings a person is in exactly one group.
        """
        found = {}
        if {"child", "cut", "occluded"} <= self.people.keys():
            child = self.people["child"]
            cut, occluded = self.people["cut"] > CUT, self.people["occluded"] > OCCLUDED
            found["group"] = {
                "plain adults": ~(child | cut | occluded),
                "children": child,
                "cut by the picture": cut,
                "occluded": occluded,
            }
        for kind in ("action", "subject", "camera"):
            names = self.people.get(kind, np.array([], np.str_))
            found[kind] = {name: names == name for name in natural(set(names.tolist()) - {""})}
        return {
            kind: {name: rows for name, rows in groups.items() if rows.any()}
            for kind, groups in found.items()
            if sum(rows.any() for rows in groups.values()) > 1
        }

    def summary(self) -> dict[str, Any]:
        """Statistics of all people and of every group, for JSON, which has no NaN."""

        def of(rows: np.ndarray) -> dict[str, Any]:
            values = {name: self.statistics(name, rows)._asdict() for name in self.errors}
            return {
                "people": int(rows.sum()),
                **{
                    name: {key: finite(value) for key, value in numbers.items()}
                    for name, numbers in values.items()
                },
            }

        return {
            "metrics": {
                name: {**metric._asdict(), "best": finite(metric.best)}
                for name, metric in self.metrics.items()
            },
            "all": of(np.ones(len(self), bool)),
            **{
                f"by_{kind}": {name: of(rows) for name, rows in groups.items()}
                for kind, groups in self.groupings().items()
            },
        }


def finite(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity: null."""
    return value if np.isfinite(value) else None


def natural(names: set[str]) -> list[str]:
    """Natural sort order: numbers within names by their value, such as S1, S5, S11."""
    return sorted(
        names,
        key=lambda name: [int(p) if i % 2 else p for i, p in enumerate(re.split("([0-9]+)", name))],
    )
