"""Tables of what is finished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import flow
from benchmarks.experiments.tables import NOT_YET, change, head, line, write_tables
from benchmarks.experiments.transfer import figure
from benchmarks.experiments.transfer.floor import FLOOR
from benchmarks.experiments.transfer.painters import (
    ERRORS,
    FLAT,
    METRICS,
    REGIONS,
    UNTRAINED,
)
from benchmarks.experiments.transfer.results import Result, kept
from benchmarks.experiments.transfer.rows import (
    FLOW_ROWS,
    PAINTED,
    PAINTING_ROWS,
    ROWS,
    FlowRow,
    Size,
)
from bodyreg.npz import load_npz

BY = {"fits": "fits", "dense": "fits to dense points", "truth": "true bodies"}

COMPARED = (
    ("no-flow", "plain"),
    ("warped", "no-flow"),
    ("residual", "no-flow"),
    ("residual", "warped"),
    ("residual-again", "warped-again"),
    ("pixel", "residual"),
    ("pixel", "no-flow"),
    ("residual-dense", "no-flow"),
    ("residual-dense", "residual"),
    ("residual-truth", "no-flow"),
    ("residual-truth", "residual"),
    ("refiner", PAINTED["fits"]),
    ("refiner", "pixel"),
    ("refiner-ssim", "refiner"),
    ("refiner-truth", PAINTED["truth"]),
)
"""Rows, and the rows, or what needs no training, that they are compared with."""


class Results:
    """What is finished in a folder of experiments."""

    def __init__(self, size: Size, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.floor = kept(folder / FLOOR)
        found = {name: kept(folder / name) for name in ROWS}
        self.rows: dict[str, Result] = {name: r for name, r in found.items() if r is not None}

    def errors(self, name: str) -> dict[str, float]:
        """Means of a row, or of what needs no training; empty if it is not finished."""
        if name in ROWS:
            return self.rows[name].errors if name in self.rows else {}
        found = self.floor.errors if self.floor else {}
        return {
            key.rpartition(".")[2]: error
            for key, error in found.items()
            if key.rpartition(".")[0] == name
        }

    def cells(self, name: str, metrics: list[str], form: str) -> list[str]:
        """Errors of a row."""
        errors = self.errors(name)
        return [format(errors[metric], form) if errors else NOT_YET for metric in metrics]

    def cost(self, name: str) -> list[str]:
        """CPU-seconds and steps of a row."""
        row = self.rows.get(name)
        return [f"{row.seconds:,.0f}", f"{row.steps:,}"] if row else ["–", "–"]

    def change(self, name: str, against: str, metric: str) -> str:
        """The mean change of a metric against another row, and its standard error over people."""
        files = [self._file(one) for one in (name, against)]
        if not all(path.exists() for path in files):
            return NOT_YET
        now, before = (load_npz(path, kind="errors")[metric] for path in files)
        differences = (now - before).reshape(self.size.held_out.count, -1)
        return change(differences.mean(1), 3)

    def _file(self, name: str) -> Path:
        return self.folder / name / ERRORS if name in ROWS else self.folder / FLOOR / f"{name}.npz"


def write(page: Path, size: Size, folder: Path) -> None:
    """Put the tables between the marks of a page."""
    results = Results(size, folder)
    tables = [flows(results), paintings(results), changes(results)]
    write_tables(page, [*tables, pictures(page, folder), options(results)])


def flows(results: Results) -> Iterator[str]:
    """Ways to get a flow."""
    yield "**Flow**: end-point errors, in pixels of a picture of 256; shares of the body's pixels."
    yield ""
    shares = "visibility right", "where the flow covers the body"
    yield from head("", "EPE, px", *shares, "CPU-seconds", "steps")
    floor = results.floor.errors if results.floor else {}
    for way in dict.fromkeys(key.rpartition(".")[0] for key in floor if key.endswith(".epe")):
        tells = way.startswith(flow.BODIES)
        right = results.cells(way, ["right", "right_if_covered"], ".0%") if tells else ["", ""]
        yield line(way, *results.cells(way, ["epe"], ".1f"), *right, "–", "–")
    for name, row in FLOW_ROWS.items():
        right = results.cells(name, ["right", "right_if_covered"], ".0%")
        yield line(row.title, *results.cells(name, ["epe"], ".1f"), *right, *results.cost(name))


def paintings(results: Results) -> Iterator[str]:
    """Errors on the person alone."""
    yield "**Paintings**: L1 from 0 to 1, and SSIM (7 × 7), on the person alone, 64 pixels."
    yield ""
    columns = [f"{metric} {region}" for metric in ("L1", "SSIM") for region in REGIONS]
    yield from head("", "bodies", *columns, "CPU-seconds", "steps")
    yield line(
        "flat silhouette, its mean colour", "", *results.cells(FLAT, METRICS, ".3f"), "–", "–"
    )
    for bodies, name in PAINTED.items():
        cells = results.cells(name, METRICS, ".3f")
        yield line(UNTRAINED, BY[bodies], *cells, "–", "–")
    for name, row in PAINTING_ROWS.items():
        cells = results.cells(name, METRICS, ".3f")
        yield line(row.title, BY[row.bodies], *cells, *results.cost(name))


def changes(results: Results) -> Iterator[str]:
    """Each row against the one without the change."""
    yield "**What helps**: changes on the person, of the same pairs; standard errors over people."
    yield ""
    yield from head("", "bodies", "against", "L1", "SSIM")
    for name, against in COMPARED:
        row = PAINTING_ROWS[name]
        other = PAINTING_ROWS[against].title if against in ROWS else UNTRAINED
        found = [results.change(name, against, f"{metric}_person") for metric in ("l1", "ssim")]
        yield line(row.title, BY[row.bodies], other, *found)


def pictures(page: Path, folder: Path) -> Iterator[str]:
    """The sheet, once it is there."""
    picture = page.with_suffix(".jpg")
    if not picture.exists():
        yield f"**Pictures** of people who are held out: {NOT_YET}."
        return
    yield f"**Pictures** of people who are held out, by fits: {figure.legend(folder)}."
    yield ""
    yield f"![paintings]({picture.name})"


def options(results: Results) -> Iterator[str]:
    """How each row is written for the recipes."""
    yield "**Rows** as options of `python -m train.flow` and `python -m train.transfer`."
    yield ""
    yield from head("name", "recipe", "--preset", "--kind", "--set")
    for name, row in ROWS.items():
        kinds = (
            ("flow", row.preset, "")
            if isinstance(row, FlowRow)
            else ("transfer", "small", row.kind)
        )
        yield line(f"`{name}`", *kinds, " ".join(f"`{word}`" for word in row.set))
