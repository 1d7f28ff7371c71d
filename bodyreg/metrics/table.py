"""Tables of errors: a row per person, and what the rows of a group come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bodyreg.data import Truth

CUT, OCCLUDED = 0.02, 0.1
"""Who has a larger share of the silhouette outside of the picture, or covered, is in that group."""

WHO = ("id", "action", "subject", "camera", "child", "cut", "occluded")
"""What a table of people with known truth says about each of them."""


class Metric(NamedTuple):
    """What the numbers of a column are.

    Attributes:
        title: Over the column.
        unit: "" where a column says whether or not.
        what: In words.
        best: The number of a perfect fit.
    """

    title: str
    unit: str
    what: str
    best: float = 0.0


class Statistics(NamedTuple):
    """Of the people of a group who have a number.

    Attributes:
        people: How many there are; the rest is NaN without any.
        mean: Of true and false the share that is true.
        median: As many people do better as do worse.
        ninetieth: Nine people of ten do at least as well.
        worst: Nobody does worse.
    """

    people: int
    mean: float
    median: float
    ninetieth: float
    worst: float

    @staticmethod
    def of(values: np.ndarray, metric: Metric) -> Statistics:
        """Of a column's finite numbers."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not len(values):
            return Statistics(0, *4 * [float("nan")])
        # Measured from the best, larger is worse for every metric.
        away = np.abs(values - metric.best)
        sign = 1 if metric.best == 0 else -1
        quantiles = metric.best + sign * np.quantile(away, [0.5, 0.9, 1])
        return Statistics(len(values), float(values.mean()), *quantiles.tolist())


@dataclass(eq=False)
class Table:
    """N people, who they are and what their errors are.

    Attributes:
        people: Name -> (N,), what is known about them; `id` at least.
        errors: Name -> (N,), numbers or whether or not.
        metrics: What these numbers are.
    """

    people: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    metrics: dict[str, Metric]

    def __len__(self) -> int:
        return len(self.people["id"])

    @staticmethod
    def of(truth: Truth, errors: dict[str, np.ndarray], metrics: dict[str, Metric]) -> Table:
        """Errors of the truth's people, in its order."""
        return Table({name: getattr(truth, name) for name in WHO}, errors, metrics)

    @staticmethod
    def concatenate(parts: Sequence[Table]) -> Table:
        """The people of several tables, one after the other."""
        joined = (
            {name: np.concatenate([getattr(p, which)[name] for p in parts]) for name in names}
            for which, names in (("people", parts[0].people), ("errors", parts[0].errors))
        )
        return Table(*joined, parts[0].metrics)

    def select(self, rows: np.ndarray) -> Table:
        """The people of these rows, in this order."""
        values = (
            {name: column[rows] for name, column in columns.items()}
            for columns in (self.people, self.errors)
        )
        return Table(*values, self.metrics)

    def statistics(self, name: str, rows: np.ndarray | slice = slice(None)) -> Statistics:
        """Of one column, over these rows."""
        return Statistics.of(self.errors[name][rows], self.metrics[name])

    def groupings(self) -> dict[str, dict[str, np.ndarray]]:
        """The ways to group these people that tell them apart.

        Returns:
            "group", "action", "subject", "camera" -> a group's name -> (N,) bool. A person may
            be in several of "group": children, those cut by the picture, those occluded, and
            plain ones, who are none of these; but in one of each other.
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
        """Statistics of all and of every group, for JSON, which has no NaN."""

        def of(rows: np.ndarray) -> dict[str, Any]:
            values = {name: self.statistics(name, rows)._asdict() for name in self.errors}
            return {
                "people": int(rows.sum()),
                **{
                    name: {k: v if np.isfinite(v) else None for k, v in numbers.items()}
                    for name, numbers in values.items()
                },
            }

        return {
            "metrics": {name: metric._asdict() for name, metric in self.metrics.items()},
            "all": of(np.ones(len(self), bool)),
            **{
                f"by_{kind}": {name: of(rows) for name, rows in groups.items()}
                for kind, groups in self.groupings().items()
            },
        }


def natural(names: set[str]) -> list[str]:
    """In alphabetical order, but numbers by their size: S1, S5, S11."""
    return sorted(
        names,
        key=lambda name: [int(p) if i % 2 else p for i, p in enumerate(re.split("([0-9]+)", name))],
    )
