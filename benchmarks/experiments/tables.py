"""Tables in Markdown, between the marks of a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import lifting

NOT_YET = "not yet run"


def line(*cells: object) -> str:
    """A line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield line(*cells)
    yield "|---" * len(cells) + "|"


def change(differences: np.ndarray, digits: int) -> str:
    """The mean of differences, and its standard error."""
    spread = differences.std(ddof=1) / math.sqrt(len(differences))
    return f"{differences.mean():+.{digits}f} ± {spread:.{digits}f}"


def write_tables(page: Path, tables: Iterable[Iterable[str]]) -> None:
    """Put tables, each of lines, between the marks of a page."""
    lifting.write(page, "\n\n".join("\n".join(table) for table in tables))
