"""Dense maps of made people: what a detector like DensePose would write of every pixel."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from bodyreg.body import Body
from bodyreg.data.frames import pixel_sizes
from bodyreg.synthetic.layout import Layout
from bodyreg.synthetic.observe import Noise, Sight, faces_in_charts

# A detector's heat maps have some dozens of cells a side (DensePose's 112, of features of 28), and
# it errs alike over a cell of its features.
CELLS = 28


class DenseMap(NamedTuple):
    """What the pixels of a person's box show.

    Attributes:
        part: (h, w) uint8 0 background, 1..24.
        uv: (h, w, 2) float64 in 0..1; 0 in the background.
        box: (4,) x, y, width, height in the picture, whole pixels.
    """

    part: np.ndarray
    uv: np.ndarray
    box: np.ndarray


def dense_map(
    body: Body, layout: Layout, sight: Sight, noise: Noise, random: np.random.Generator
) -> DenseMap:
    """The map of a person.

    A pixel shows what is some pixels beside it. This offset is random, changes smoothly, and has
    the noise's standard deviation.

    Args:
        body: The template of the person; it must have charts.
        layout: What each pixel shows.
        sight: What the picture shows of the person.
        noise: Noise of points.
        random: Source of the noise.
    """
    surface, (x, y, width, height) = layout.surface[sight.place], sight.box.astype(int)
    window = np.s_[y : y + height, x : x + width]
    mine = sight.pixels[window]
    face, barycentric = surface.face[window], surface.barycentric[window]

    if noise.pixels > 0:
        cell = float(pixel_sizes(sight.frame)) * 256 / CELLS
        offset = _smooth(mine.shape, cell, random) * sight.noise_sd(noise)
        row, column = np.rint(np.indices(mine.shape) + offset).astype(int)
        shown = row.clip(0, height - 1), column.clip(0, width - 1)
        mine, face, barycentric = mine[shown], face[shown], barycentric[shown]

    face_part, face_uv = faces_in_charts(body)
    part = np.where(mine, face_part[face], 0).astype(np.uint8)
    uv = np.einsum("hwk,hwkc->hwc", barycentric, face_uv[face]).clip(0, 1)
    return DenseMap(part, np.where(part[..., None] > 0, uv, 0), np.array([x, y, width, height]))


def quantised(found: DenseMap) -> np.ndarray:
    """(h, w, 3) uint8 I, U, V, as DensePose and detectron2 write them: 255 u without its rest."""
    return np.dstack([found.part, (found.uv * 255).astype(np.uint8)])


def _smooth(shape: tuple[int, ...], cell: float, random: np.random.Generator) -> np.ndarray:
    """(2, h, w) normal numbers that change over `cell` pixels."""
    height, width = shape
    grid = [max(2, int(np.ceil(side / cell)) + 1) for side in (height, width)]
    coarse = random.normal(size=(2, *grid))
    fine = [cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c in coarse]
    # Between the grid's points the mixed numbers are smaller.
    return np.stack(fine) / max(np.std(fine), 1e-9)
