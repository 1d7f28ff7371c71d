"""Tables of what is finished, beside the paper's numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.bodies.floor import FLOOR
from benchmarks.experiments.bodies.rows import ROUNDS, ROWS, Size
from benchmarks.experiments.bodies.training import ERRORS, RESULT
from benchmarks.experiments.tables import NOT_YET, change, head, line, write_tables
from bodyreg.npz import load_npz

KINDS = ("crowd", "studio")
JOINTS = ("bone_mpjpe", "pa_mpjpe")

FLOORS = {
    "T-pose, facing the viewer": "T-pose",
    "mean of the labels": "mean of the labels",
    "lifting alone: depth zero": "lifting, none",
    "lifting alone: the judged lifter, `robust`": "lifting, robust",
    "lifting alone: the distilled lifter": "lifting, distilled",
    "registration alone: `paper`, depths of `robust`": "paper, robust",
    "registration alone: `accurate`, distilled depths": "accurate, distilled",
}
"""Rows of the first table that have no network, and their names in floor.json."""

PAPER_EPOCHS = 50
"""Of one of the paper's five rounds."""

BY_ROUND = ("five", "five-again", "trusted-five")

BEYOND = {
    "distilled-one": "one",
    "trusted-five": "five",
    "accurate": "distilled-one",
    "deviation": "accurate",
    "pose-then-accurate": "accurate",
    "positions": "accurate",
    "muon": "positions",
    "proper": "muon",
}
"""Row -> the row that it is compared with."""


class Results:
    """What is finished in a folder of experiments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.floor = self._read(folder / FLOOR)
        found = {name: self._read(folder / name / RESULT) for name in ROWS}
        self.rows = {name: result for name, result in found.items() if result}

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        return json.loads(path.read_text()) if path.exists() else {}

    def error(self, row: str, kind: str, who: str, metric: str) -> float | None:
        """A mean error; None if the row is not finished."""
        return self.rows.get(row, {}).get("errors", {}).get(f"{kind}.{who}.{metric}")

    def cell(self, row: str, kind: str, who: str, metrics: Sequence[str] = JOINTS) -> str:
        """Errors of a row, with slashes between them."""
        values = [self.error(row, kind, who, metric) for metric in metrics]
        return NOT_YET if None in values else " / ".join(f"{value:.1f}" for value in values)

    def seconds(self, row: str) -> str:
        """CPU-seconds of a row."""
        return f"{self.rows[row]['seconds']:,.0f}" if row in self.rows else "–"

    def change(self, row: str, against: str, kind: str) -> str:
        """The mean change of the network's errors against another row, and its standard error."""
        if row not in self.rows or against not in self.rows:
            return "–"
        both = [load_npz(self.folder / r / ERRORS, kind="errors") for r in (row, against)]
        now, before = (errors[f"{kind}.network.{JOINTS[0]}"] for errors in both)
        return change(now - before, 1)

    def rounds(self, row: str) -> list[dict[str, Any]]:
        """The rounds of a row that have been measured."""
        found = self._read(self.folder / row / "history.json").get("rounds", [])
        return [one for one in found if "measure" in one]


def write(page: Path, size: Size, folder: Path) -> None:
    """Put the tables between the marks of a page."""
    results = Results(folder)
    tables = [
        labels(results),
        first(results),
        second(results, size),
        third(results),
        fourth(results),
        seventh(page),
        by_round(results),
        beyond(results),
        compute(results),
        options(size),
    ]
    write_tables(page, tables)


def labels(results: Results) -> Iterator[str]:
    """Errors of fits to the people to learn from, and of what lifters cost."""
    yield "**Labels**, mm: MPJPE / PA of cold fits to the people to learn from."
    yield ""
    yield from head("preset and depths", *KINDS)
    found = results.floor.get("labels", {})
    for name in dict.fromkeys(key.rpartition(", ")[0] for key in found):
        each = [found[f"{name}, {kind}"] for kind in KINDS]
        yield line(name, *(" / ".join(f"{one[m]:.1f}" for m in JOINTS) for one in each))
    seconds = ", ".join(f"{n} {s:.0f}" for n, s in results.floor.get("lifters", {}).items())
    yield ""
    yield f"Lifters, CPU-seconds: {seconds or NOT_YET}."


def first(results: Results) -> Iterator[str]:
    """Table 1: what predicts how well."""
    yield "**Table 1**, mm: MPJPE / PA of held-out people."
    yield ""
    yield from head("", *KINDS, "CPU-seconds", "the paper, Human3.6M")
    papers = {"five": "106.25", "lifting, robust": "its cGAN: not legible"}
    for title, name in FLOORS.items():
        found = results.floor.get("errors", {}).get(name)
        cells = [
            " / ".join(f"{found[kind][m]:.1f}" for m in JOINTS) if found else NOT_YET
            for kind in KINDS
        ]
        yield line(title, *cells, "–", papers.get(name, ""))
    for who, rows in {
        "network": ("one", "five", "accurate", "truth", "positions", "muon", "proper"),
        "refined": ("five", "accurate", "proper"),
    }.items():
        for row in rows:
            title = f"network: {ROWS[row].title}" + (", refined" if who == "refined" else "")
            cells = [results.cell(row, kind, who) for kind in KINDS]
            paper = papers.get(row, "") if who == "network" else ""
            yield line(title, *cells, results.seconds(row), paper)
    for title, numbers in {"HMR, unpaired": "106.84", "HMR, paired": "87.97"}.items():
        yield line(title, "–", "–", "–", numbers)


def second(results: Results, size: Size) -> Iterator[str]:
    """Table 2: alignment before and after refinement."""
    yield "**Table 2**: visible vertices in a frame of 256 pixels, and all after Procrustes."
    yield ""
    yield from head("", "crowd, px", "studio, px", "studio, vertices, mm", "crowd, MPJPE, mm")
    for row in ("five", "accurate", "truth", "proper"):
        whos = {"network": "", "refined": ", refined"}
        whos["refitted"] = f", refitted to each picture (the first {size.refits} people)"
        for who, words in whos.items():
            yield line(
                ROWS[row].title + words,
                results.cell(row, "crowd", who, ["pixel"]),
                results.cell(row, "studio", who, ["pixel"]),
                results.cell(row, "studio", who, ["vertex"]),
                results.cell(row, "crowd", who, ["bone_mpjpe"]),
            )
    yield line("the paper: ours", "18.6", "9.9", "102.7", "")
    yield line("the paper: ours, refined", "12.02", "9.2", "97.2", "")
    yield line("the paper: HMR, paired", "13.9", "7.3", "75.0", "")


def third(results: Results) -> Iterator[str]:
    """Table 3: the people to learn from."""
    yield "**Table 3**, mm: MPJPE / PA after one round, by the people to learn from."
    yield ""
    yield from head("", *KINDS, "CPU-seconds", "the paper, Human3.6M")
    for row, paper in {"crowd": "181.7", "studio": "147.4", "one": "137.5"}.items():
        title = "both" if row == "one" else ROWS[row].title
        cells = [results.cell(row, kind, "network") for kind in KINDS]
        yield line(title, *cells, results.seconds(row), paper)


def fourth(results: Results) -> Iterator[str]:
    """Table 4: strategies, each with the same number of steps."""
    yield "**Table 4**, mm: MPJPE / PA by the strategy; all rows see as many pictures."
    yield ""
    yield from head(
        "", *KINDS, "against one long round, crowd", "studio", "CPU-seconds", "the paper"
    )
    papers = {
        "single": "did not train", "single-without": "148.1", "one": "134.8", "five": "106.25",
    }  # fmt: skip
    for row in (*papers, "one-again", "five-again"):
        cells = [results.cell(row, kind, "network") for kind in KINDS]
        against = "one-again" if row.endswith("again") else "one"
        changes = ["–" if row == against else results.change(row, against, k) for k in KINDS]
        yield line(ROWS[row].title, *cells, *changes, results.seconds(row), papers.get(row, ""))


def seventh(page: Path) -> Iterator[str]:
    """Figure 7: pictures, once a network is there."""
    picture = page.with_suffix(".jpg")
    yield "**Figure 7**: held-out people, what the networks of some rows see, and that refined."
    yield ""
    yield (
        f"![people and bodies]({picture.name})" if picture.exists() else f"{NOT_YET.capitalize()}."
    )


def by_round(results: Results) -> Iterator[str]:
    """Figure 8: errors by round."""
    yield "**Figure 8**, MPJPE in mm by round, crowd / studio: of the labels, and of the network."
    yield ""
    yield from head("", "", *(str(number) for number in range(1, ROUNDS + 1)))
    for row in BY_ROUND:
        rounds = results.rounds(row)
        rest = [NOT_YET] * (ROUNDS - len(rounds))
        for what, found in {
            "labels": [one["register"]["labels"] for one in rounds],
            "network": [[held["network"] for held in one["measure"]["held_out"]] for one in rounds],
        }.items():
            cells = [" / ".join(f"{e['bone_mpjpe']:.1f}" for e in errors) for errors in found]
            yield line(ROWS[row].title, what, *cells, *rest)
    long = list(zip(*results.floor.get("long", {}).values(), strict=True))
    cells = [" / ".join(f"{error:.1f}" for error in errors) for errors in long]
    yield line("one long registration, without a network", "labels", *cells or [NOT_YET] * ROUNDS)
    yield line("the paper, Human3.6M: one long registration", "labels", "", "", "", "", "90")
    yield line("the paper, Human3.6M", "labels", "≈ 100", "", "", "", "≈ 60")
    yield line("the paper, Human3.6M", "network", "140", "", "", "", "106")


def beyond(results: Results) -> Iterator[str]:
    """Past the paper: each row against the one without the change."""
    yield "**Beyond the paper**, mm: MPJPE / PA, and the change of MPJPE by what is new."
    yield ""
    yield from head("", *KINDS, "against", "crowd", "studio", "CPU-seconds")
    for row, against in BEYOND.items():
        cells = [results.cell(row, kind, "network") for kind in KINDS]
        changes = [results.change(row, against, kind) for kind in KINDS]
        yield line(ROWS[row].title, *cells, ROWS[against].title, *changes, results.seconds(row))


def compute(results: Results) -> Iterator[str]:
    """What more compute gives, by the slope between a training and a longer one."""
    yield "**Compute**, mm: MPJPE of `accurate` labels."
    yield ""
    yield from head("", *KINDS, "CPU-seconds")
    less, more = "accurate-fifth", "accurate"
    for row in (less, more):
        cells = [results.cell(row, kind, "network", ["bone_mpjpe"]) for kind in KINDS]
        yield line(ROWS[row].title, *cells, results.seconds(row))
    if less in results.rows and more in results.rows:
        decades = math.log10(ROWS[more].units / ROWS[less].units)
        slopes = [
            (results.error(more, kind, "network", "bone_mpjpe")
             - results.error(less, kind, "network", "bone_mpjpe")) / decades
            for kind in KINDS
        ]  # fmt: skip
        yield line("ten times the compute, by this slope", *(f"{s:+.1f}" for s in slopes), "")


def options(size: Size) -> Iterator[str]:
    """How each row is written for `train.deform_and_learn`."""
    yield "**Rows** as options of `python -m train.deform_and_learn --preset paper`."
    yield ""
    yield from head("name", "row", "labels", "depths", "people", "--set", "other options")
    for name, row in ROWS.items():
        epochs = row.epochs(size, PAPER_EPOCHS)
        own = (f"rounds={row.rounds}", f"learning.epochs={epochs}", *row.set)
        more = f"`--seed {row.seed}`" if row.seed else ""
        if row.begin:
            more = f"`--start` the network of `{row.begin}`"
        labels = "the truth, which no command takes" if row.labels == "truth" else row.labels
        yield line(
            f"`{name}`", row.title, labels, row.lifter, " and ".join(row.sets),
            f"`{' '.join(own)}`", more,
        )  # fmt: skip
