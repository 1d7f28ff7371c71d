"""Figure 7: held-out people, and the bodies that networks see in their pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.experiments.bodies import measure
from benchmarks.experiments.bodies.people import album
from benchmarks.experiments.bodies.rows import ROWS, Size
from benchmarks.experiments.bodies.training import LIFTERS, PEOPLE, lifted, recipe
from bodyreg import Body, Fits
from bodyreg.lifting import Lifter
from bodyreg.pictures import write_picture
from bodyreg.regression import Regressor
from bodyreg.viz.overlay import overlay, sheet

SHOWN = 6
"""People of each kind; they are spread over the first `SPREAD`."""

SPREAD = 90

TILE = 128
"""Pixels of a picture's side."""

COLUMNS = ("truth", "five", "accurate", "proper")
"""Rows whose networks are shown; what the last one sees is also refined."""


def write(path: Path, size: Size, folder: Path) -> None:
    """Draw the networks that are there; nothing if there is none."""
    names = [n for n in COLUMNS if (folder / n / "regressor.safetensors").exists()]
    if not names:
        return
    body, tiles, captions = Body.default(), [], []
    for kind, people in size.held.items():
        everyone = album(people, folder / PEOPLE)
        places = np.linspace(0, min(SPREAD, len(everyone)) - 1, SHOWN).astype(int)
        few = measure.select(everyone, places)
        crops = few.in_frames(size.side)
        pictures = [large(crop.permute(1, 2, 0).numpy()) for crop in crops]
        columns = [pictures]
        for name in names:
            row, config = ROWS[name], recipe(ROWS[name], size).registration
            regressor = Regressor.load(folder / name / "regressor.safetensors")
            seen = regressor.predict(crops, few.people, config)
            columns.append(drawn(pictures, seen, body))
            if name == names[-1]:
                lifter = None
                if row.lifter != "none":
                    lifter = Lifter.load(folder / LIFTERS / f"{row.lifter}.safetensors")
                after = measure.refined(seen, lifted(few, lifter), config, body)
                columns.append(drawn(pictures, after, body))
        for number, row_of_tiles in enumerate(zip(*columns, strict=True), 1):
            tiles.append(np.concatenate(row_of_tiles, axis=1))
            captions.append((f"{kind} {number}", ""))
    write_picture(path, sheet(tiles, captions, f"picture, {', '.join(names)}, refined", 2))


def large(crop: np.ndarray) -> np.ndarray:
    """A picture in red, green, blue as one of `TILE` pixels in blue, green, red."""
    return cv2.resize(crop[..., ::-1], (TILE, TILE), interpolation=cv2.INTER_CUBIC)


def drawn(pictures: list[np.ndarray], fits: Fits, body: Body) -> list[np.ndarray]:
    """Bodies over pictures."""
    seen = fits.seen(fits.vertices(body))
    return [overlay(p, v, body.faces) for p, v in zip(pictures, seen, strict=True)]
