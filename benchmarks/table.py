"""Tables from a benchmark run.

    python -m pytest benchmarks --benchmark-json=run.json
    python benchmarks/table.py run.json

Writes one JSON file per machine, prints the tables in Markdown, and puts them into the README
between the lines <!-- benchmarks:begin --> and <!-- benchmarks:end -->.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
PEER = "reference, eager"


def rows_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run measured: one entry per row of a table, times in seconds for one call."""
    rows = []
    for item in run["benchmarks"]:
        info, stats = item["extra_info"], item["stats"]
        if "row" not in info:
            continue
        median = stats["median"] / info["calls"]
        rows.append(
            {
                "group": item["group"],
                "row": info["row"],
                "machine": info["machine"],
                "median_s": median,
                "iqr_s": stats["iqr"] / info["calls"],
                "rounds": stats["rounds"],
                "bytes": info["bytes"],
                "flops": info["flops"],
                "ceiling": {k: info[k] for k in ("bytes_per_s", "flops_per_s")},
                "fraction_of_ceiling": info["floor_s"] / median,
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]], run: dict[str, Any]) -> str:
    """The tables: one per group, in the order measured."""
    lines = []
    for machine in dict.fromkeys(row["machine"] for row in rows):
        mine = [row for row in rows if row["machine"] == machine]
        ceiling = mine[0]["ceiling"]
        lines += [
            f"Measured on {machine}, {run['datetime'][:10]}, float32, medians of one run. Ceilings "
            f"measured there: copy {ceiling['bytes_per_s'] / 1e9:.0f} GB/s, matrix product "
            f"{ceiling['flops_per_s'] / 1e9:.0f} GFLOP/s.",
            "",
        ]
        for group in dict.fromkeys(row["group"] for row in mine):
            lines += _table(group, [row for row in mine if row["group"] == group])
    return "\n".join(lines).rstrip() + "\n"


def _table(group: str, rows: list[dict[str, Any]]) -> list[str]:
    peer = next((row["median_s"] for row in rows if row["row"] == PEER), None)
    lines = [f"| {group} | time | against {PEER} | of the ceiling |", "|---|---:|---:|---:|"]
    for row in rows:
        speed = f"{peer / row['median_s']:.3g} ×" if peer else "–"
        percent = 100 * row["fraction_of_ceiling"]
        share = f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"
        lines.append(f"| {row['row']} | {_time(row['median_s'])} | {speed} | {share} |")
    return [*lines, ""]


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def put_between_markers(path: Path, text: str) -> None:
    """Replaces what lies between the two marker lines of a file."""
    old = path.read_text()
    if BEGIN not in old or END not in old:
        sys.exit(f"{path}: no lines {BEGIN} and {END} to put the tables between")
    head, tail = old.split(BEGIN)[0], old.split(END)[1]
    path.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    options = parser.parse_args()
    run = json.loads(options.run.read_text())
    rows = rows_of(run)
    text = markdown(rows, run)
    print(text)
    options.results.mkdir(parents=True, exist_ok=True)
    for machine in dict.fromkeys(row["machine"] for row in rows):
        mine = [row for row in rows if row["machine"] == machine]
        content = {"machine": machine, "datetime": run["datetime"], "rows": mine}
        (options.results / f"{machine}.json").write_text(json.dumps(content, indent=1) + "\n")
    put_between_markers(options.readme, text)


if __name__ == "__main__":
    main()
