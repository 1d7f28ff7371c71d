"""Objects in front of people: poles, tables, boxes, plants, bags, boards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np

from bodyreg.synthetic.blend import lay_over, threefold
from bodyreg.synthetic.noise import fractal_crop

# Share of pictures with objects, and the most objects in a picture.
SHARE, MOST = 0.35, 2
# Polygons are filled at this many times the picture's resolution, then averaged.
FINE = 2
# OpenCV gets polygon coordinates in 1/256 pixel.
BITS = 8

# Blue, green, red.
WOODS = ((60, 95, 140), (40, 62, 92), (110, 150, 185), (70, 110, 160))
PAINTS = (
    (190, 190, 190),
    (70, 70, 75),
    (40, 60, 150),
    (130, 90, 40),
    (80, 120, 70),
    (60, 150, 200),
)
CARDBOARDS = ((95, 135, 170), (110, 150, 185), (150, 160, 165), (120, 115, 95), (90, 90, 130))
LEATHERS = ((40, 55, 80), (30, 30, 35), (60, 80, 130), (110, 90, 60), (90, 95, 100), (60, 60, 140))
LEAVES = ((40, 95, 50), (50, 120, 75), (35, 75, 45), (60, 110, 95))


PALETTES = {
    "pole": PAINTS, "table": WOODS, "box": CARDBOARDS, "plant": LEAVES, "bag": LEATHERS,
    "board": WOODS,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Occluder:
    """An object in front of the people.

    Attributes:
        kind: A name in `KINDS`.
        polygon: (n, 2) closed outline in picture pixels.
        seed: Seed of its colours and texture.
    """

    kind: str
    polygon: np.ndarray
    seed: int


def sample_occluders(
    random: np.random.Generator, width: int, height: int, boxes: np.ndarray
) -> list[Occluder]:
    """Sample the objects in front of the people of a picture; most pictures have none.

    Args:
        random: Source of random numbers.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        boxes: (n, 4) x, y, width, height of the people, picture pixels.

    Returns:
        Objects; each covers some of a person's box.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not len(boxes) or random.random() >= SHARE:
        return []
    objects = []
    for _ in range(random.integers(1, MOST + 1)):
        kind = str(random.choice(list(KINDS)))
        box = boxes[random.integers(len(boxes))]
        polygon = KINDS[kind](random, width, height, box)
        objects.append(Occluder(kind, polygon.astype(np.float32), int(random.integers(2**31))))
    return objects


def coverage(occluder: Occluder, height: int, width: int) -> np.ndarray:
    """(H, W) float32 share of each pixel that an object covers."""
    shares = np.zeros((height, width), np.float32)
    window, inside = filled(occluder.polygon, height, width)
    shares[window] = inside
    return shares


def filled(polygon: np.ndarray, height: int, width: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Fill a polygon: the window of the picture that it touches, and its coverage of each pixel.

    Args:
        polygon: (n, 2) picture pixels.
        height: Of the picture.
        width: Of the picture.

    Returns:
        Slices of rows and columns, and (rows, columns) float32 coverage. Both are empty for a
        polygon outside of the picture.
    """
    (left, top), (right, base) = polygon.min(0).tolist(), polygon.max(0).tolist()
    left, top = _held(floor(left) - 1, width), _held(floor(top) - 1, height)
    columns = max(_held(ceil(right) + 1, width) - left, 0)
    rows = max(_held(ceil(base) + 1, height) - top, 0)
    window = slice(top, top + rows), slice(left, left + columns)
    if not rows or not columns:
        return window, np.zeros((rows, columns), np.float32)
    fine = np.zeros((FINE * rows, FINE * columns), np.uint8)
    # OpenCV's fixed-point numbers would overflow far outside of the picture. Its pixel centres are
    # integers.
    limit = 4 * FINE * max(height, width)
    corners = FINE * (polygon.astype(np.float64) - (left, top)) - 0.5
    corners = np.minimum(np.maximum(corners, -limit), limit)
    fixed = np.rint(corners * (1 << BITS)).astype(np.int32)
    cv2.fillPoly(fine, [fixed], 255, cv2.LINE_8, BITS)
    shares = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
    return window, shares * np.float32(1 / 255)


def _held(place: int, side: int) -> int:
    return min(max(place, 0), side)


def paint_occluder(picture: np.ndarray, occluder: Occluder) -> None:
    """Draw an object over a picture (H, W, 3) float32 in [0, 255], in place."""
    window, share = filled(occluder.polygon, *picture.shape[:2])
    if not share.size:
        return
    colour = _texture(occluder, *share.shape)
    # A darker rim gives the object thickness.
    colour *= threefold(0.55 + 0.45 * cv2.blur(share, (5, 5)))
    lay_over(picture[window], colour, share)


def _texture(occluder: Occluder, rows: int, columns: int) -> np.ndarray:
    """(rows, columns, 3) float32 texture over an object's box."""
    random = np.random.default_rng(occluder.seed)
    palette = PALETTES[occluder.kind]
    base = np.array(palette[random.integers(len(palette))], np.float32)
    base = np.clip(base * random.uniform(0.75, 1.15) + random.normal(0, 6, 3), 8, 240)
    shade = 1 + np.float32(0.06) * fractal_crop(random, rows, columns, random.uniform(1.5, 5))
    if palette is WOODS:
        # Long thin grain, and gaps between boards.
        flat = occluder.kind == "table"
        grain = fractal_crop(random, rows, columns, 4)
        shade += np.float32(0.1) * cv2.blur(grain, (31, 1) if flat else (1, 31))
        boards = shade if flat else shade.T
        boards[:: max(6, len(boards) // 4)] *= 0.8
    shade *= np.linspace(*random.uniform(0.8, 1.15, 2), columns, dtype=np.float32)
    shade *= np.linspace(1.08, random.uniform(0.7, 0.95), rows, dtype=np.float32)[:, None]
    if occluder.kind == "pole":
        shade *= 0.55 + 0.6 * np.sin(np.linspace(0.3, 2.9, columns, dtype=np.float32))
    elif occluder.kind == "table":
        # The front edge of the top is lit; everything below is in shade.
        edge = max(2, rows // 10)
        shade[:edge] *= 1.15
        shade[edge : edge + 2] *= 0.6
        shade[edge + 2 :] *= 0.8
    elif occluder.kind == "box":
        # Two sides, a lid and a strip of tape.
        corner, lid = int(columns * random.uniform(0.2, 0.8)), max(2, rows // 7)
        shade[:, corner:] *= 0.75
        shade[:lid] *= 1.15
        shade[lid] *= 0.7
        shade[:, corner // 2 : corner // 2 + max(1, columns // 14)] *= 1.2
    elif occluder.kind == "bag":
        shade[rows // 3 : rows // 3 + 2] *= 0.65
        shade[rows // 3 :, columns // 2 - 1 : columns // 2 + 1] *= 0.8
    return np.clip(base.astype(np.float32) * threefold(shade), 0, 255)


def _pole(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    x = box[0] + box[2] * random.uniform(0.1, 0.9)
    half = 0.5 * np.clip(box[2] * random.uniform(0.08, 0.25), 4, 0.12 * width)
    lean = random.normal(0, 0.03) * height
    return np.array(
        [
            [x - half, -9],
            [x + half, -9],
            [x + half + lean, height + 9],
            [x - half + lean, height + 9],
        ]
    )


def _table(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    top = box[1] + box[3] * random.uniform(0.55, 0.85)
    left = box[0] + box[2] * random.uniform(-0.8, 0.3)
    right = left + box[2] * random.uniform(0.9, 2.2)
    slope = random.normal(0, 0.03) * (right - left)
    deep = box[3] * random.uniform(0.1, 0.45)
    inset = 0.04 * (right - left)
    return np.array(
        [
            [left, top],
            [right, top + slope],
            [right - inset, top + slope + deep],
            [left + inset, top + deep],
        ]
    )


def _box(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    centre = box[:2] + box[2:] * random.uniform((0.0, 0.45), (1.0, 0.95))
    half = np.sqrt(box[2] * box[3]) * random.uniform(0.1, 0.26, 2)
    turn = random.normal(0, 0.2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return centre + corners @ rotation.T


def _plant(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    """Leaves that fan out from a root at the lower edge of the box."""
    root = box[:2] + box[2:] * random.uniform((-0.1, 0.9), (1.1, 1.1))
    reach = box[3] * random.uniform(0.25, 0.55)
    points = []
    for angle in np.sort(random.uniform(-1.25, 1.25, random.integers(7, 14))):
        length = reach * random.uniform(0.6, 1.1)
        along = np.array([np.sin(angle), -np.cos(angle)])
        aside = np.array([along[1], -along[0]]) * length * random.uniform(0.05, 0.12)
        points += [root + 0.15 * length * along, root + 0.6 * length * along + aside]
        points += [root + length * along, root + 0.6 * length * along - aside]
    return np.array([*points, root])


def _bag(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    centre = box[:2] + box[2:] * random.uniform((0.0, 0.45), (1.0, 0.8))
    half = (
        np.sqrt(box[2] * box[3])
        * random.uniform(0.1, 0.2)
        * np.array([1, random.uniform(0.8, 1.3)])
    )
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    # A superellipse: a square with round corners.
    round_ = np.stack([np.cos(angle), np.sin(angle)], 1)
    return centre + half * np.sign(round_) * np.abs(round_) ** random.uniform(0.4, 0.8)


def _board(random: np.random.Generator, width: int, height: int, box: np.ndarray) -> np.ndarray:
    """A large object that reaches in from a side: a door's edge, a wall, a sign."""
    inside = box[0] + box[2] * random.uniform(0.05, 0.4)
    slope = random.normal(0, 0.04) * width
    top = random.choice([-9.0, box[1] + box[3] * random.uniform(0.2, 0.6)])
    polygon = np.array([[-9, top], [inside, top], [inside + slope, height + 9], [-9, height + 9]])
    if random.random() < 0.5:
        right = 2 * box[0] + box[2] - inside
        polygon[:, 0] = [width + 9, right, right + slope, width + 9]
    return polygon


KINDS: dict[str, Callable[[np.random.Generator, int, int, np.ndarray], np.ndarray]] = {
    "pole": _pole,
    "table": _table,
    "box": _box,
    "plant": _plant,
    "bag": _bag,
    "board": _board,
}
