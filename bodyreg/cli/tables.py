"""Tables of errors: as lines for reading, and as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodyreg.files import atomic_path

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.metrics import Table
    from bodyreg.metrics.table import Metric


def overall(table: Table, things: str = "people", beside: dict[str, Table] | None = None) -> str:
    """Statistics of every column, a line each.

    Args:
        table: The errors.
        things: What the rows are, in words.
        beside: Title -> a table of the same columns, whose means stand beside.
    """
    metrics, beside = table.metrics, beside or {}
    titles = max(len(metric.title) for metric in metrics.values()) + 2
    width = max(len(metric.what) for metric in metrics.values()) + 2
    head = "".join(f"{name:>9}" for name in ("mean", "median", "9 of 10", "worst"))
    head += "".join(f"{title:>{len(title) + 3}}" for title in beside)
    note = f"'9 of 10': nine of ten {things} do at least as well"
    lines = [f"{note:<{titles + width + 4}}{head}"]
    for name, metric in metrics.items():
        line = f"{metric.title:<{titles}}{metric.what:<{width}}{metric.unit:>4}"
        statistics = table.statistics(name)
        if table.errors[name].dtype.kind == "b":
            found = round(statistics.mean * statistics.people)
            lines.append(f"{line}{found:>9,} of {statistics.people:,}")
            continue
        line += "".join(f"{number(n, metric):>9}" for n in statistics[1:])
        for title, other in beside.items():
            line += f"{number(other.statistics(name).mean, metric):>{len(title) + 3}}"
        lines.append(line)
    return "\n".join(lines)


def number(value: float, metric: Metric) -> str:
    """A number of a column, with as many digits as matter; "-" for NaN."""
    digits = {"": 4, "px": 2, "dB": 2}.get(metric.unit, 1)
    return "-" if value != value else f"{value:.{digits}f}"


def write(folder: Path, table: Table, facts: dict[str, Any]) -> None:
    """evaluation.json, with statistics, and evaluation.csv, with a row each: both or none."""
    csv_path, json_path = folder / "evaluation.csv", folder / "evaluation.json"
    with atomic_path(csv_path) as csv_file, atomic_path(json_path) as json_file:
        with csv_file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            units = {name: metric.unit for name, metric in table.metrics.items()}
            rows.writerow([*table.people, *(f"{n} [{u}]" if u else n for n, u in units.items())])
            columns = [*table.people.values(), *table.errors.values()]
            rows.writerows(zip(*(_written(column) for column in columns), strict=True))
        content = json.dumps({**facts, **table.summary()}, indent=2)
        json_file.write_text(content + "\n", encoding="utf-8")


def _written(column: np.ndarray) -> list[Any]:
    """A column's cells: true and false as 1 and 0, NaN as an empty cell."""
    if column.dtype.kind == "f":
        return ["" if value != value else f"{value:.6g}" for value in column.tolist()]
    return [int(value) if isinstance(value, bool) else value for value in column.tolist()]
