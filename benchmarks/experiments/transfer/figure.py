"""A sheet of people who are held out, painted in other poses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.experiments.transfer import lessons
from benchmarks.experiments.transfer.painters import PAINTER
from benchmarks.experiments.transfer.rows import PAINTING_ROWS, Size
from bodyreg.painting import Painter
from bodyreg.pictures import write_picture
from bodyreg.viz.overlay import sheet

SHOWN = 10
"""Pairs, of as many people."""

TILE = 128
"""Pixels of a picture's side."""

COLUMNS = ("no-flow", "warped", "residual", "pixel", "refiner")
"""Rows whose paintings are shown."""


def write(path: Path, size: Size, folder: Path) -> None:
    """Draw the painters that are there; nothing if there is none."""
    names = [name for name in COLUMNS if (folder / name / PAINTER).exists()]
    if not names:
        return
    held = lessons.held_out(size, "fits", folder)
    people = np.linspace(0, size.held_out.count - 1, min(SHOWN, size.held_out.count)).astype(int)
    each = len(held) // size.held_out.count
    few = held.select(people * each + np.arange(len(people)) * 7 % each)
    source, target = few.pairs.pairs.T
    columns = [few.pictures[source], few.paintings]
    columns += [Painter.load(folder / name / PAINTER).paint(few) for name in names]
    columns.append(few.pictures[target])
    tiles = [
        np.concatenate([large(picture.permute(1, 2, 0).numpy()) for picture in pictures], 1)
        for pictures in zip(*columns, strict=True)
    ]
    titles = ", ".join(PAINTING_ROWS[name].title.replace("`", "") for name in names)
    text = f"source, without training, {titles}, target"
    write_picture(path, sheet(tiles, [("", "")] * len(tiles), text, 1))


def large(picture: np.ndarray) -> np.ndarray:
    """A picture in red, green, blue as one of `TILE` pixels in blue, green, red."""
    return cv2.resize(picture[..., ::-1], (TILE, TILE), interpolation=cv2.INTER_CUBIC)
