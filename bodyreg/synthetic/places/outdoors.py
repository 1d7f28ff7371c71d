"""Streets and the country: sky, ground, houses, trees, cars, and distant people."""

from __future__ import annotations

import cv2
import numpy as np

from bodyreg.synthetic.blend import lay_over
from bodyreg.synthetic.noise import fractal_crop
from bodyreg.synthetic.places.ground_view import GroundView
from bodyreg.synthetic.places.sketch import Sketch, darker

SIDE = 96
# Blue, green, red: above and at the horizon.
SKIES = (
    ((225, 175, 120), (240, 225, 205)), ((235, 225, 215), (245, 240, 235)),
    ((190, 180, 175), (220, 215, 212)), ((170, 160, 175), (165, 200, 235)),
)  # fmt: skip
GROUNDS = {
    "grass": ((60, 115, 95), (70, 105, 90), (65, 120, 115)),
    "asphalt": ((110, 108, 105), (85, 85, 85)),
    "paving": ((165, 170, 175), (140, 155, 165)),
    "sand": ((150, 190, 215), (130, 165, 190)),
    "earth": ((75, 105, 135), (90, 110, 130)),
    "snow": ((240, 235, 230),),
}
GROUND_SHARES = (0.28, 0.24, 0.26, 0.08, 0.1, 0.04)
HOUSES = (
    (150, 170, 190), (120, 140, 175), (85, 100, 160), (190, 190, 185), (140, 140, 140),
    (110, 125, 140), (200, 215, 225),
)  # fmt: skip
ROOFS = ((70, 80, 130), (90, 90, 95))
PANES = ((90, 75, 60), (200, 190, 175), (130, 170, 200))
SHOPS = ((60, 60, 60), (90, 110, 160), (180, 160, 120))
LEAVES = ((45, 90, 65), (40, 75, 55), (60, 110, 90), (60, 100, 115), (65, 115, 85))
BARKS = ((50, 65, 85), (80, 90, 100))
CARS = (
    (40, 40, 45), (200, 200, 200), (50, 50, 150), (140, 90, 60), (120, 120, 120), (235, 235, 235),
)  # fmt: skip
SKINS = ((120, 150, 200), (60, 80, 120), (40, 40, 50))
COATS = ((50, 45, 45), (120, 110, 105), (60, 60, 140), (140, 90, 60), (190, 190, 190))


def paint_street(random: np.random.Generator, view: GroundView) -> np.ndarray:
    """Paint a street or the country, seen by a level camera.

    Args:
        random: Source of random numbers.
        view: How the camera sees the ground.

    Returns:
        (H, W, 3) uint8.
    """
    # The ground ends before the horizon, behind houses or trees.
    depth = view.feet - view.horizon
    edge = view.horizon + random.uniform(0.08, 0.4) * depth
    top = int(np.clip(edge, 1, view.height))
    sketch = Sketch(np.empty((view.height, view.width, 3), np.uint8), random)
    sketch.canvas[:top] = _sky(random, top, view.width)
    if top < view.height:
        sketch.canvas[top:] = view.ground(_soil(sketch), random.uniform(1.0, 2.5), top)
    city = random.random() < 0.55
    _hills(sketch, view, edge)
    if not city:
        _wood(sketch, view, edge)
    for _ in range(random.integers(0, 4)):
        row = random.uniform(edge, edge + 0.6 * depth)
        _tree(sketch, view, random.uniform(-0.1, 1.1) * view.width, row)
    sketch.roughen(0.05 * min(view.metre_at(edge + 0.3 * depth), 100), edge)
    if city:
        _houses(sketch, view, edge)
    if random.random() < 0.3:
        _fence(sketch, view, edge + 0.1 * depth)
    for _ in range(random.integers(0, 4 if city else 2)):
        row = random.uniform(edge, edge + 0.5 * depth)
        # Keep it far enough away that it does not fill the picture.
        if view.metre_at(row) < 0.25 * view.width:
            _car(sketch, view, row)
    if random.random() < 0.5:
        # Distant people, out of focus, because they have no annotations.
        for _ in range(random.integers(1, 6)):
            row = random.uniform(edge, edge + 0.5 * depth)
            _pedestrian(sketch, view, random.uniform(0, 1) * view.width, row)
        return cv2.GaussianBlur(sketch.canvas, (0, 0), max(0.5, 0.012 * view.height))
    return sketch.canvas


def _sky(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    high, low = (np.array(c, np.float32) for c in SKIES[random.integers(len(SKIES))])
    share = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    sky = high + share * (low - high)
    cloud = fractal_crop(random, rows, columns, random.uniform(0.4, 1))
    thick = np.float32(random.uniform(-1.5, 1))
    cover = np.clip(np.float32(0.35) * (cloud + thick), 0, np.float32(0.85))
    sky = sky.repeat(columns, 1)
    lay_over(sky, np.float32(random.uniform(215, 250)), cover)
    return sky.astype(np.uint8)


def _soil(sketch: Sketch) -> np.ndarray:
    """(96, 96, 3) uint8 tile of ground."""
    random = sketch.random
    kind = str(random.choice(list(GROUNDS), p=GROUND_SHARES))
    base = np.array(sketch.colour(GROUNDS[kind], 0.12), np.float32)
    rough = {"grass": 0.17, "earth": 0.15, "sand": 0.06, "snow": 0.03}.get(kind, 0.07)
    tile = base * (1 + np.float32(rough) * fractal_crop(random, SIDE, SIDE, 16 / 3))[..., None]
    if kind == "paving":
        for line in range(0, SIDE, SIDE // 3):
            tile[line : line + 2] *= 0.75
            tile[:, line : line + 2] *= 0.75
    return np.clip(tile, 0, 255).astype(np.uint8)


def _hills(sketch: Sketch, view: GroundView, edge: float) -> None:
    random = sketch.random
    columns = np.arange(-8, view.width + 16, 8)
    rise = fractal_crop(random, 1, len(columns), random.uniform(2, 6))[0]
    top = edge - (0.06 + 0.03 * rise) * view.height * random.uniform(0.5, 2)
    outline = [*np.column_stack([columns, top]), (view.width + 16, edge + 2), (-8, edge + 2)]
    sketch.polygon(outline, sketch.colour(((170, 160, 140), (150, 165, 140), (130, 140, 125))))


def _houses(sketch: Sketch, view: GroundView, edge: float) -> None:
    random = sketch.random
    metre = max(view.metre_at(edge), 0.02 * view.height)
    x = -random.uniform(0, 8) * metre
    while x < view.width:
        width, tall = random.uniform(5, 14) * metre, random.uniform(5, 22) * metre
        right, high = x + width, edge - tall
        sketch.box(x, high, right, edge, sketch.colour(HOUSES))
        if random.random() < 0.5:
            ridge, eaves = high - 2.5 * metre, 0.3 * metre
            corners = [(x - eaves, high), (right + eaves, high), (x + 0.8 * width, ridge)]
            sketch.polygon([*corners, (x + 0.2 * width, ridge)], sketch.colour(ROOFS))
        _windows(sketch, x, right, high, edge, metre)
        if random.random() < 0.5:
            # A shop with its sign.
            sketch.box(x, edge - 3 * metre, right, edge, sketch.colour(SHOPS))
            sign = sketch.colour(COATS, 0.4)
            sketch.box(x, edge - 3.4 * metre, right, edge - 2.8 * metre, sign)
        x = right + random.choice([0, 0, random.uniform(0, 4)]) * metre


def _windows(
    sketch: Sketch, left: float, right: float, high: float, low: float, metre: float
) -> None:
    pane, step = sketch.colour(PANES), sketch.random.uniform(1.8, 3.0) * metre
    for row in np.arange(high + 0.8 * metre, low - metre, 2.9 * metre)[:8].tolist():
        for x in np.arange(left + 0.8 * metre, right - 1.2 * metre, step)[:8].tolist():
            shade = darker(pane, sketch.random.uniform(0.7, 1.2))
            sketch.box(x, row, x + 0.45 * step, row + 1.4 * metre, shade)


def _wood(sketch: Sketch, view: GroundView, edge: float) -> None:
    """A row of trees and bushes where the ground ends."""
    random = sketch.random
    metre = max(view.metre_at(edge), 0.02 * view.height)
    green = sketch.colour(LEAVES)
    for x in np.arange(-1, view.width / metre + 1, random.uniform(1, 3)).tolist():
        reach, shift = random.uniform(1.0, 3.5) * metre, random.normal(0, metre)
        leaf = darker(green, random.uniform(0.6, 1.25))
        sketch.disc(x * metre + shift, edge - 0.6 * reach, 0.8 * reach, reach, leaf)
    sketch.box(0, edge - 0.4 * metre, view.width, edge + 1, darker(green, 0.6))


def _tree(sketch: Sketch, view: GroundView, x: float, row: float) -> None:
    random = sketch.random
    metre, green = view.metre_at(row), sketch.colour(LEAVES)
    tall, trunk = random.uniform(3, 7) * metre, random.uniform(0.1, 0.2) * metre
    sketch.box(x - trunk, row - 0.6 * tall, x + trunk, row, sketch.colour(BARKS))
    middle = row - 0.75 * tall
    for across, down, size, light in zip(
        *random.normal(0, 0.16, (2, 28)) * tall, *random.uniform(0, 1, (2, 28)), strict=True
    ):
        # Upper leaves are lit.
        shade = (0.9 - 0.4 * max(-1, min(down / (0.3 * tall), 1))) * (0.8 + 0.4 * light)
        radius = (0.05 + 0.07 * size) * tall
        sketch.disc(x + across, middle + down, radius, 0.8 * radius, darker(green, shade))


def _fence(sketch: Sketch, view: GroundView, row: float) -> None:
    random = sketch.random
    metre = view.metre_at(row)
    paint = sketch.colour(((70, 90, 110), (60, 60, 60), (220, 220, 220)))
    high = row - random.uniform(0.8, 1.3) * metre
    for rail in (high, (high + row) / 2):
        sketch.box(0, rail, view.width, rail + 0.08 * metre, paint)
    gap = max(3.0, random.uniform(0.15, 1.5) * metre)
    for x in np.arange(0, view.width, gap).tolist():
        sketch.box(x, high - 0.05 * metre, x + 0.06 * metre, row, darker(paint, 0.85))


def _car(sketch: Sketch, view: GroundView, row: float) -> None:
    metre, paint = view.metre_at(row), sketch.colour(CARS)
    x = sketch.random.uniform(-0.3, 1.0) * view.width
    cabin = np.array([[0.9, -0.75], [1.4, -1.4], [2.9, -1.4], [3.6, -0.75]])
    hull = [[0, -0.2], [0.05, -0.8], [0.9, -0.85], [3.6, -0.85], [4.3, -0.75], [4.3, -0.2]]
    sketch.polygon(cabin * metre + (x, row), (75, 65, 55))
    sketch.polygon(np.array(hull) * metre + (x, row), paint)
    low = row - 0.02 * metre
    sketch.box(x, row - 0.25 * metre, x + 4.3 * metre, low, darker(paint, 0.4))
    for wheel in (0.85, 3.4):
        radius = 0.33 * metre
        sketch.disc(x + wheel * metre, row - 0.28 * metre, radius, radius, (30, 30, 30))


def _pedestrian(sketch: Sketch, view: GroundView, x: float, row: float) -> None:
    """A distant person: legs, a coat, a head."""
    metre = view.metre_at(row)
    legs = sketch.colour(((40, 40, 40), (90, 60, 45)))
    sketch.box(x - 0.12 * metre, row - 0.85 * metre, x + 0.12 * metre, row, legs)
    sketch.disc(x, row - 1.1 * metre, 0.2 * metre, 0.36 * metre, sketch.colour(COATS, 0.3))
    sketch.disc(x, row - 1.6 * metre, 0.1 * metre, 0.13 * metre, sketch.colour(SKINS))
