"""Rooms: a floor, a wall, and furniture and pictures along it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from bodyreg.synthetic.blend import threefold
from bodyreg.synthetic.noise import fractal_crop, sample_tile
from bodyreg.synthetic.places.ground_view import GroundView
from bodyreg.synthetic.places.sketch import Sketch, darker

# Blue, green, red.
PAINTS = (
    (225, 230, 232), (205, 215, 222), (190, 205, 215), (200, 200, 185), (170, 190, 170),
    (165, 185, 205), (150, 160, 170), (130, 110, 90), (120, 150, 190), (215, 205, 190),
)  # fmt: skip
WOODS = ((70, 110, 155), (45, 70, 105), (120, 160, 195), (35, 50, 70), (90, 130, 170))
CLOTHS = (
    (110, 90, 70), (60, 60, 75), (60, 80, 130), (100, 120, 90), (150, 150, 150), (90, 110, 150),
)  # fmt: skip
BRICKS = ((70, 85, 150), (90, 110, 160), (190, 200, 205))
FRAMES = ((235, 235, 235), (60, 90, 120), (90, 90, 95))
SIDE = 96


def paint_room(random: np.random.Generator, view: GroundView) -> np.ndarray:
    """Paint a room, seen by a level camera.

    Args:
        random: Source of random numbers.
        view: How the camera sees the floor.

    Returns:
        (H, W, 3) uint8.
    """
    edge = view.horizon + random.uniform(0.3, 0.85) * (view.feet - view.horizon)
    top = int(np.clip(edge, 1, view.height))
    metre = view.metre_at(edge)
    sketch = Sketch(np.empty((view.height, view.width, 3), np.uint8), random)
    sketch.canvas[:top] = _wall(sketch, metre, top)
    if top < view.height:
        sketch.canvas[top:] = view.ground(_floor(sketch), random.uniform(0.8, 1.6), top)
    sketch.box(0, edge - 0.1 * metre, view.width, top, sketch.colour(PAINTS))
    # Left to right along the wall, with gaps.
    x = random.uniform(-0.8, 0.3)
    while x * metre < view.width:
        kinds = HANGING if random.random() < 0.4 else STANDING
        make, width = kinds[random.integers(len(kinds))]
        width *= random.uniform(0.8, 1.25)
        make(sketch, x * metre, edge, width * metre, metre)
        x += width + random.uniform(0.05, 0.7)
    if top < view.height and random.random() < 0.4:
        _rug(sketch, view, edge)
    for _ in range(random.integers(0, 3)):
        # Furniture nearer than the wall.
        row = random.uniform(edge, max(edge + 1, view.feet))
        near = view.metre_at(row)
        make, width = STANDING[random.integers(len(STANDING))]
        place = random.uniform(-0.5 * width * near, view.width - 0.5 * width * near)
        make(sketch, place, row, width * near, near)
    light = np.linspace(*random.uniform(0.86, 1.12, 2), view.width, dtype=np.float32)
    down = np.linspace(random.uniform(0.85, 1.1), 1, view.height, dtype=np.float32)
    return cv2.multiply(sketch.canvas, threefold(light * down[:, None]), dtype=cv2.CV_8U)


def _wall(sketch: Sketch, metre: float, rows: int) -> np.ndarray:
    """(rows, W, 3) uint8: paint, paper, bricks, tiles or panels."""
    random, columns = sketch.random, sketch.canvas.shape[1]
    paint = sketch.colour(PAINTS)
    tile = np.full((SIDE, SIDE, 3), paint, np.float32)
    kind, size = random.integers(6), 1.0
    if kind == 1:
        tile[:, : SIDE // 2] *= random.uniform(0.85, 0.97)
        size = random.uniform(0.1, 0.3)
    elif kind == 2:
        joint = darker(paint, random.uniform(0.75, 1.1))
        if random.random() < 0.7:
            tile[:] = sketch.colour(BRICKS)
        for course in range(4):
            row, left = course * SIDE // 4, course % 2 * SIDE // 2
            tile[row : row + 3] = joint
            tile[row : row + SIDE // 4, left : left + 3] = joint
        size = 0.3
    elif kind == 3:
        tile[:2] = tile[:, :2] = darker(paint, 0.8)
        size = random.uniform(0.15, 0.4)
    elif kind == 4:
        tile[:, :3] = darker(paint, 0.75)
        size = random.uniform(0.12, 0.6)
    if kind in (0, 5):
        wall = np.full((rows, columns, 3), paint, np.float32)
    else:
        # Average details that are finer than a pixel first.
        side = int(np.clip(size * metre, 4, SIDE))
        tile = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
        step = np.float32(side / (size * metre))
        x = np.arange(columns, dtype=np.float32) * step
        y = np.arange(-rows, 0, dtype=np.float32) * step
        wall = sample_tile(tile, x[None].repeat(rows, 0), y[:, None].repeat(columns, 1))
    stain = fractal_crop(random, rows, columns, 0.7)
    return np.clip(wall * threefold(1 + np.float32(0.02) * stain), 0, 255).astype(np.uint8)


def _floor(sketch: Sketch) -> np.ndarray:
    """(96, 96, 3) uint8: planks, tiles, carpet or stone."""
    random, kind = sketch.random, sketch.random.integers(4)
    base = sketch.colour(WOODS if kind == 0 else CLOTHS + PAINTS)
    tile = np.full((SIDE, SIDE, 3), base, np.float32)
    noise = fractal_crop(random, SIDE, SIDE, 16 / 3)
    if kind == 0:
        for left in range(0, SIDE, SIDE // 6):
            plank = tile[:, left : left + SIDE // 6]
            plank *= random.uniform(0.85, 1.1)
            plank[:, 0] *= 0.6
            plank[random.integers(SIDE)] *= 0.6
        tile *= (1 + 0.12 * cv2.blur(noise, (1, 15)))[..., None]
    elif kind == 1:
        half, other = SIDE // 2, random.uniform(0.5, 1.15)
        tile[:half, :half] *= other
        tile[half:, half:] *= other
        for line in (0, half):
            tile[line : line + 2] *= 0.8
            tile[:, line : line + 2] *= 0.8
    else:
        tile *= (1 + 0.06 * noise)[..., None]
    return np.clip(tile, 0, 255).astype(np.uint8)


def _rug(sketch: Sketch, view: GroundView, edge: float) -> None:
    random = sketch.random
    far, near = np.sort(random.uniform(edge, view.height * 1.1, 2))
    middle, wide = random.uniform(0.2, 0.8) * view.width, random.uniform(0.6, 1.4)
    for share in (1.0, 0.85):
        a, b = wide * share * view.metre_at(far), wide * share * view.metre_at(near)
        inset = (1 - share) * (near - far) / 2
        low, high = near - inset, far + inset
        corners = [(middle - a, high), (middle + a, high), (middle + b, low), (middle - b, low)]
        sketch.polygon(corners, sketch.colour(CLOTHS))


def _window(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    random, right = sketch.random, x + width
    low = edge - random.uniform(0.8, 1.1) * metre
    high = low - random.uniform(1.0, 1.5) * metre
    frame, gap = sketch.colour(FRAMES), 0.06 * metre
    sketch.box(x, high, right, low, frame)
    glass = ((250, 245, 235), (235, 220, 195), (225, 235, 225), (110, 85, 65))
    sketch.box(x + gap, high + gap, right - gap, low - gap, sketch.colour(glass))
    outside = sketch.colour(((90, 130, 100), (150, 150, 140)))
    sketch.box(x + gap, low - random.uniform(0.1, 0.6) * metre, right - gap, low - gap, outside)
    sketch.box(x + width / 2 - gap / 2, high, x + width / 2 + gap / 2, low, frame)
    if random.random() < 0.5:
        curtain, strip = sketch.colour(CLOTHS + PAINTS), 0.08 * width
        for start in (x - 0.15 * width, x + 0.85 * width):
            for number in range(4):
                left, shade = start + number * strip, darker(curtain, 1 - 0.12 * (number % 2))
                sketch.box(left, high - 0.1 * metre, left + strip, low + 0.5 * metre, shade)


def _painting(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    random, gap = sketch.random, 0.05 * metre
    low = edge - random.uniform(1.2, 1.6) * metre
    high = low - width * random.uniform(0.6, 1.4)
    sketch.box(x, high, x + width, low, sketch.colour((*WOODS, (20, 20, 20), (240, 240, 240))))
    left, top, right, base = x + gap, high + gap, x + width - gap, low - gap
    sketch.box(left, top, right, base, sketch.colour(PAINTS + CLOTHS))
    for _ in range(3):
        x, y = random.uniform((left, top), (right, base))
        a, b = random.uniform(0.05, 0.2, 2) * width
        sketch.box(x, y, min(x + a, right), min(y + b, base), sketch.colour(CLOTHS + PAINTS, 0.4))


def _shelf(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    """Boards with books."""
    random, board = sketch.random, 0.04 * metre
    high = edge - random.uniform(1.3, 2.2) * metre
    wood = sketch.colour(WOODS + PAINTS)
    sketch.box(x, high, x + width, edge, wood)
    row = high + board
    while row < edge - 0.2 * metre:
        low = min(row + 0.32 * metre, edge - board)
        sketch.box(x + board, row, x + width - board, low, darker(wood, 0.45))
        at = x + 0.05 * metre
        while at < x + width - 0.1 * metre:
            thick = random.uniform(0.03, 0.1) * metre
            if random.random() < 0.85:
                tall = random.uniform(0.15, 0.29) * metre
                spine = sketch.colour(((60, 60, 60), (125, 125, 125), (190, 190, 190)), 0.3)
                hue = random.normal(0, 28, 3).tolist()
                spine = [max(0.0, c + h) for c, h in zip(spine, hue, strict=True)]
                sketch.box(at, low - tall, at + thick, low, spine)
            at += thick + 1
        row = low + board


def _things(sketch: Sketch, x: float, row: float, width: float, metre: float) -> None:
    """A few small objects on a surface."""
    random = sketch.random
    for _ in range(random.integers(0, 4)):
        at, tall = x + random.uniform(0.03, 0.8) * width, random.uniform(0.08, 0.38) * metre
        right = at + random.uniform(0.08, 0.35) * metre
        sketch.box(at, row - tall, right, row, sketch.colour(CLOTHS + PAINTS))


def _cupboard(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    random = sketch.random
    high, wood = edge - random.uniform(0.7, 1.9) * metre, sketch.colour(WOODS + PAINTS)
    sketch.box(x, high, x + width, edge, wood)
    sketch.box(x, high, x + width, high + 0.05 * metre, darker(wood, 1.15))
    doors, middle = int(random.integers(1, 4)), (high + edge) / 2
    for door in range(doors):
        left, right = x + (door + 0.04) * width / doors, x + (door + 0.96) * width / doors
        sketch.box(left, high + 0.08 * metre, right, edge - 0.06 * metre, darker(wood, 0.88))
        knob = right - 0.08 * metre
        sketch.box(knob, middle, knob + 0.03 * metre, middle + 0.08 * metre, (40, 40, 40))
    _things(sketch, x, high, width, metre)


def _sofa(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    random, cloth = sketch.random, sketch.colour(CLOTHS, 0.35)
    base, right, arm = edge + 0.1 * metre, x + width, 0.2 * metre
    sketch.box(x, edge - 0.85 * metre, right, base, darker(cloth, 0.85))
    sketch.box(x + 0.15 * metre, edge - 0.45 * metre, right - 0.15 * metre, base, cloth)
    for left in (x, right - arm):
        sketch.box(left, edge - 0.62 * metre, left + arm, base, darker(cloth, 1.1))
    sketch.box(x, base - 0.06 * metre, right, base, darker(cloth, 0.4))
    for _ in range(random.integers(0, 3)):
        at = x + random.uniform(0.2, 0.7) * width
        pillow = sketch.colour(CLOTHS, 0.4)
        sketch.box(at, edge - 0.75 * metre, at + 0.4 * metre, edge - 0.42 * metre, pillow)


def _plant(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    random = sketch.random
    green = sketch.colour(((50, 110, 60), (45, 85, 50), (70, 130, 95)))
    middle, pot, root = x + width / 2, 0.18 * metre, edge - 0.35 * metre
    clay = sketch.colour(((60, 90, 150), (200, 200, 200), (70, 70, 70)))
    sketch.box(middle - pot, root, middle + pot, edge, clay)
    for _ in range(14):
        angle, reach = random.uniform(-1.1, 1.1), random.uniform(0.15, 0.45) * metre
        place = middle + reach * np.sin(angle), root - reach * np.cos(angle)
        leaf, turn = darker(green, random.uniform(0.6, 1.3)), float(np.degrees(angle)) - 90
        sketch.disc(*place, reach, 0.06 * metre, leaf, turn)


def _lamp(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    middle, high = x + width / 2, edge - sketch.random.uniform(1.3, 1.7) * metre
    sketch.box(middle - 0.015 * metre, high, middle + 0.015 * metre, edge, (60, 60, 60))
    shade = np.array([[-0.13, -0.3], [0.13, -0.3], [0.22, 0.05], [-0.22, 0.05]]) * metre
    sketch.polygon(
        shade + np.array([middle, high]), sketch.colour(((200, 235, 250), (180, 205, 220)))
    )


def _door(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    wood, tall, rim = sketch.colour((*WOODS, (230, 230, 230))), 2.05 * metre, 0.08 * metre
    high = edge - tall
    sketch.box(x - rim, high - rim, x + width + rim, edge, darker(wood, 0.8))
    sketch.box(x, high, x + width, edge, wood)
    for start, end in ((0.08, 0.48), (0.55, 0.95)):
        left, right = x + 0.15 * width, x + 0.85 * width
        sketch.box(left, high + start * tall, right, high + end * tall, darker(wood, 0.88))


def _table(sketch: Sketch, x: float, edge: float, width: float, metre: float) -> None:
    wood = sketch.colour(WOODS + PAINTS)
    high, leg = edge - 0.75 * metre, 0.06 * metre
    for left in (x + leg, x + width - 2 * leg):
        sketch.box(left, high, left + leg, edge + 0.05 * metre, darker(wood, 0.6))
    sketch.box(x, high - 0.05 * metre, x + width, high + 0.05 * metre, wood)
    _things(sketch, x, high - 0.04 * metre, width, metre)


Maker = Callable[[Sketch, float, float, float, float], None]
# Functions that draw furniture, and its usual width in metres.
HANGING: tuple[tuple[Maker, float], ...] = ((_window, 1.3), (_painting, 0.6), (_painting, 0.9))
STANDING: tuple[tuple[Maker, float], ...] = (
    (_shelf, 1.0), (_cupboard, 1.2), (_sofa, 1.9), (_plant, 0.6), (_lamp, 0.5), (_door, 0.9),
    (_table, 1.3), (_cupboard, 1.6),
)  # fmt: skip
