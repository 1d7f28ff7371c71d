"""A sheet of people who are held out, painted in other poses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.experiments.transfer import lessons
from benchmarks.experiments.transfer.painters import PAINTER, UNTRAINED
from benchmarks.experiments.transfer.rows import PAINTING_ROWS, Size
from bodyreg.painting import Painter
from bodyreg.pictures import write_picture

SHOWN = 10
"""Pairs, of as many people."""

TILE = 128
"""Pixels of a picture's side."""

COLUMNS = ("no-flow", "warped", "residual", "pixel", "refiner")
"""Rows whose paintings are shown."""


def shown(folder: Path) -> list[str]:
    """The rows whose painters are there."""
    return [name for name in COLUMNS if (folder / name / PAINTER).exists()]


def write(path: Path, size: Size, folder: Path) -> None:
    """Draw what `legend` says, a line for each pair; nothing if no painter is there."""
    names = shown(folder)
    if not names:
        return
    held = lessons.held_out(size, "fits", folder)
    count = size.held_out.count
    people = np.linspace(0, count - 1, min(SHOWN, count)).astype(int)
    each = len(held) // count
    few = held.select(people * each + np.arange(len(people)) * 7 % each)
    source, target = few.pairs.pairs.T
    assert few.paintings is not None
    columns = [few.pictures[source], few.pictures[target], few.paintings]
    columns += [Painter.load(folder / name / PAINTER).paint(few) for name in names]
    lines = [
        np.concatenate([large(picture.permute(1, 2, 0).numpy()) for picture in pictures], 1)
        for pictures in zip(*columns, strict=True)
    ]
    write_picture(path, np.concatenate(lines))


def legend(folder: Path) -> str:
    """The columns from the left."""
    titles = [PAINTING_ROWS[name].title for name in shown(folder)]
    return ", ".join(["source", "target", UNTRAINED, *titles])


def large(picture: np.ndarray) -> np.ndarray:
    """A picture in red, green, blue as one of `TILE` pixels in blue, green, red."""
    return cv2.resize(picture[..., ::-1], (TILE, TILE), interpolation=cv2.INTER_CUBIC)
