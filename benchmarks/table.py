"""Tables from a benchmark run.

    python -m pytest benchmarks --benchmark-json=run.json
    python -m benchmarks.table run.json

Writes one JSON file per machine into benchmarks/results. All tables of the newest CPU there, and of
every GPU (benchmarks/device.py measures those), go into docs/benchmarks.md; a table of HIGHLIGHTS
goes into the README. Both files have lines <!-- benchmarks:begin --> and <!-- benchmarks:end -->,
and the tables go between them. Without a run the tables are made again from the stored files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
PEER = "reference, eager"
FIT = "bodyreg.ops.fit"
CEILINGS = ("bytes_per_s", "flops_per_s", "launch_s")

ADAM = "adam, 300 iterations, {} people, 120 points [cpu]"
BY_HAND = "plain torch, gradient by hand, torch.compile"


class Highlight(NamedTuple):
    """A line of the README's table.

    Attributes:
        label: What it measures, for newcomers.
        group: The group of the measurement.
        row: Its row there.
        plain: The row of its peer in plain torch.
        fastest: The row of its fastest peer.
    """

    label: str
    group: str
    row: str
    plain: str | None = None
    fastest: str | None = None


HIGHLIGHTS = (
    Highlight(
        "64 people, 300 steps of Adam, `ops.fit`", ADAM.format(64), FIT, "plain torch", BY_HAND
    ),
    Highlight(
        "10 people, 300 steps of Adam, `ops.fit`", ADAM.format(10), FIT, "plain torch", BY_HAND
    ),
    Highlight(
        "10 people, 300 steps of Adam, `register` from pixels to fits",
        ADAM.format(10),
        "bodyreg.register, from pixels to fits",
        "plain torch",
        BY_HAND,
    ),
    Highlight(
        "1 person, 300 steps of Adam, `register`, one thread",
        "1 person, preset paper, one thread [cpu]",
        "bodyreg.register",
    ),
    Highlight(
        "64 people, preset `accurate`, `ops.fit`",
        "preset accurate: 4 starts, 192 iterations, the best another 128; 64 people [cpu]",
        FIT,
        "plain torch",
        "plain torch, torch.compile",
    ),
    Highlight(
        "39,210 people, `bodyreg register` from file to file",
        "bodyreg register, file to file [cpu]",
        "39,210 of made people, 120 points, accurate",
    ),
    Highlight(
        "64 bodies of 6,999 vertices, skinned, with gradients",
        "lbs forward + backward, 64 people, 6,999 vertices [cpu]",
        "bodyreg",
        PEER,
        "one dense matrix product, eager",
    ),
    Highlight(
        "64 pictures of 256 × 256, rasterised",
        "raster, 64 pictures of 256 x 256, 13,994 faces [cpu]",
        "bodyreg",
        PEER,
        "Mesa's llvmpipe, faces alone",
    ),
)


def rows_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run measured: one entry per row of a table, times in seconds for one call."""
    rows = []
    for item in run["benchmarks"]:
        info, stats = item["extra_info"], item["stats"]
        if "row" not in info:
            continue
        rows.append(
            {
                "group": item["group"],
                "row": info["row"],
                "against": info.get("against", [PEER]),
                "machine": info["machine"],
                "median_s": stats["median"] / info["calls"],
                "iqr_s": stats["iqr"] / info["calls"],
                "rounds": stats["rounds"],
                "bytes": info.get("bytes", 0),
                "flops": info["flops"],
                "person_iterations": info.get("person_iterations"),
                "people": info.get("people"),
                "less": info.get("less"),
                "result": info.get("result"),
                "ceiling": {k: info[k] for k in CEILINGS if k in info},
            }
        )
    for row in rows:
        if row["less"]:
            _take_off(row, _named(rows, row["group"], row["less"]))
    for row in rows:
        limit = row["ceiling"]
        floor = max(row["bytes"] / limit["bytes_per_s"], row["flops"] / limit["flops_per_s"])
        row["fraction_of_ceiling"] = floor / row["median_s"]
    return rows


def _named(rows: list[dict[str, Any]], group: str, name: str) -> dict[str, Any]:
    return next(row for row in rows if row["group"] == group and row["row"] == name)


def _take_off(row: dict[str, Any], other: dict[str, Any]) -> None:
    """What is left when both did the same before: the time of the iterations alone."""
    for quantity in ("median_s", "flops", "person_iterations"):
        row[quantity] -= other[quantity]


def contents(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What the result files of a run hold: one per machine."""
    rows = rows_of(run)
    return [
        {
            "machine": machine,
            "datetime": run["datetime"],
            "rows": [row for row in rows if row["machine"] == machine],
        }
        for machine in dict.fromkeys(row["machine"] for row in rows)
    ]


def markdown(content: dict[str, Any]) -> str:
    """A machine's tables: whole registrations first, then the ops; groups in the order measured."""
    rows, lines = content["rows"], []
    ceiling = rows[0]["ceiling"]
    lines += [
        f"Measured on {content['machine']}, {content['datetime'][:10]}, float32, medians of one "
        f"run. Ceilings measured there: copy {ceiling['bytes_per_s'] / 1e9:,.0f} GB/s, "
        f"{_arithmetic(ceiling)} {ceiling['flops_per_s'] / 1e9:,.0f} GFLOP/s{_launch(ceiling)}.",
        "",
    ]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for group in sorted(groups, key=lambda group: _rank(rows, group)):
        lines += _table(group, [row for row in rows if row["group"] == group])
    lines += _roofline(rows)
    return "\n".join(lines).rstrip() + "\n"


def _arithmetic(ceiling: dict[str, float]) -> str:
    """What `ceilings.py` takes for the most operations: a GPU is known by its launches."""
    return "matrix product" if "launch_s" in ceiling else "multiply-adds"


def _launch(ceiling: dict[str, float]) -> str:
    return f", an empty kernel {_time(ceiling['launch_s'])}" if "launch_s" in ceiling else ""


def _rank(rows: list[dict[str, Any]], group: str) -> int:
    """Registrations, from file to file, single ops."""
    unit = _unit(next(row for row in rows if row["group"] == group))
    return ("person_iterations", "people", None).index(unit)


def _table(group: str, rows: list[dict[str, Any]]) -> list[str]:
    """One table; its columns are those that its rows have something to say in."""
    peers = [row for row in rows if row["row"] in rows[0]["against"]]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "time": lambda row: _time(row["median_s"])
    }
    unit = _unit(rows[0])
    if unit:
        columns[f"{unit.replace('_', '-')}/s"] = lambda row: _many(row[unit] / row["median_s"])
    for peer in peers:
        columns[f"against {peer['row']}"] = lambda row, peer=peer: _times(_ratio(row, peer))
    if rows[0]["flops"]:
        columns["of the ceiling"] = lambda row: _percent(row["fraction_of_ceiling"])
    if rows[0]["result"]:
        columns[rows[0]["result"][0]] = lambda row: row["result"][1]
    head = [f"| {' | '.join([group, *columns])} |", f"|---|{'---:|' * len(columns)}"]
    body = [
        f"| {' | '.join([row['row'], *(text(row) for text in columns.values())])} |" for row in rows
    ]
    return [*head, *body, ""]


def _roofline(rows: list[dict[str, Any]]) -> list[str]:
    """What the op `fit` computes and how fast; benchmarks/roofline.py says what is counted."""
    ours = [row for row in rows if row["row"] == FIT or row["less"]]
    if not ours:
        return []
    head = ["fit against the ceiling", "operations a person-iteration", "reached", "of the ceiling"]
    lines = [f"| {' | '.join(head)} |", "|---|---:|---:|---:|"]
    for row in ours:
        name = row["group"] if row["row"] == FIT else f"{row['group']}: {row['row']}"
        each = row["flops"] / row["person_iterations"]
        rate = f"{row['flops'] / row['median_s'] / 1e9:,.0f} GFLOP/s"
        share = _percent(row["fraction_of_ceiling"])
        lines.append(f"| {name} | {each:,.0f} | {rate} | {share} |")
    return [*lines, ""]


def _ratio(row: dict[str, Any], peer: dict[str, Any]) -> float:
    """How much faster: in time, and where the work differs, for the same work."""
    unit = _unit(row)
    work = row[unit] / peer[unit] if unit else 1
    return work * peer["median_s"] / row["median_s"]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 100 else f"{ratio:.3g} ×"


def _unit(row: dict[str, Any]) -> str | None:
    """What a row of registrations does many of; single ops are calls."""
    return next((unit for unit in ("person_iterations", "people") if row[unit]), None)


def _percent(fraction: float) -> str:
    percent = 100 * fraction
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _many(number: float) -> str:
    """Three digits, with thousands or millions spelt k and M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def highlights(content: dict[str, Any]) -> str:
    """The README's table: what a newcomer wants to know, of one machine.

    Raises:
        SystemExit: a row of HIGHLIGHTS was not measured.
    """
    lines = [
        f"Measured on one machine ({content['machine']}), {content['datetime'][:10]}, float32.",
        "",
        "| | time | people/s | against plain torch | against the fastest peer |",
        "|---|---:|---:|---:|---:|",
    ]
    for highlight in HIGHLIGHTS:
        found = {name: _measured(content, highlight, name) for name in highlight[2:] if name}
        row = found[highlight.row]
        people = _many(row["people"] / row["median_s"]) if row["people"] else ""
        ratios = [
            _times(_ratio(row, found[peer])) if peer else ""
            for peer in (highlight.plain, highlight.fastest)
        ]
        cells = [highlight.label, _time(row["median_s"]), people, *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _measured(content: dict[str, Any], highlight: Highlight, name: str) -> dict[str, Any]:
    try:
        return _named(content["rows"], highlight.group, name)
    except StopIteration:
        sys.exit(
            f"{content['machine']}: HIGHLIGHTS needs the row '{name}' of '{highlight.group}': "
            "measure it, or change HIGHLIGHTS"
        )


def put_between_markers(path: Path, text: str) -> None:
    """Replaces what lies between the two marker lines of a file."""
    old = path.read_text()
    if BEGIN not in old or END not in old:
        sys.exit(f"{path}: no lines {BEGIN} and {END} to put the tables between")
    head, tail = old.split(BEGIN)[0], old.split(END)[1]
    path.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", help="what --benchmark-json wrote")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "benchmarks.md")
    options = parser.parse_args()
    if options.run:
        options.results.mkdir(parents=True, exist_ok=True)
        for content in contents(json.loads(options.run.read_text())):
            path = options.results / f"{content['machine']}.json"
            path.write_text(json.dumps(content, indent=1) + "\n")
    cpu, gpus = stored(options.results)
    put_between_markers(options.page, "\n".join(map(markdown, [cpu, *gpus])))
    put_between_markers(options.readme, highlights(cpu))


def stored(results: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The newest CPU of a folder of results, and all its GPUs."""
    everything = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    gpus = [content for content in everything if _is_gpu(content)]
    cpus = [content for content in everything if not _is_gpu(content)]
    if not cpus:
        sys.exit(f"{results}: no results of a CPU")
    return max(cpus, key=lambda content: content["datetime"]), gpus


def _is_gpu(content: dict[str, Any]) -> bool:
    return any("[cuda]" in row["group"] for row in content["rows"])


if __name__ == "__main__":
    main()
