"""Cloth: seamless tiles of colour, and prints."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import cv2
import numpy as np

from bodyreg.synthetic.blend import threefold

Choice = TypeVar("Choice")
SIDE = 64
"""Side of a tile, pixels."""
# OpenCV gets points in 1/16 of a tile's pixel.
BITS = 4


@dataclass(frozen=True, eq=False)
class Cloth:
    """A material of clothes.

    Attributes:
        tile: (64, 64, 3) uint8 blue, green, red; it repeats without a seam.
        size: Size of the tile on the body, metres.
        gloss: Strength of specular light.
        folds: Depth of its folds; 1 is everyday cotton.
    """

    tile: np.ndarray
    size: float
    gloss: float = 0.0
    folds: float = 1.0


def sample_colour(random: np.random.Generator, bold: float = 0.5) -> np.ndarray:
    """Sample a colour of clothes: often black, white, grey or blue, sometimes bright.

    Args:
        random: Source of random numbers.
        bold: Share of colours that are neither grey nor blue.

    Returns:
        (3,) float32 blue, green, red.
    """
    draw = random.random()
    if draw < 1 - bold:
        kind = random.integers(5)
        if kind < 3:
            grey = (random.uniform(18, 45), random.uniform(70, 170), random.uniform(205, 240))[kind]
            colour = grey * (1 + random.normal(0, 0.02, 3))
        else:
            dark = random.uniform(0.35, 1.2)
            colour = dark * np.array([115, 75, 48]) + random.normal(0, 8, 3)
    else:
        hsv = np.array(
            [[[random.uniform(0, 360), random.uniform(0.25, 0.85), random.uniform(0.25, 0.9)]]]
        )
        colour = 255 * cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2BGR)[0, 0]
    return np.minimum(np.maximum(colour, 8), 242).astype(np.float32)


def _contrast(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Sample a colour that contrasts with `base`."""
    for _ in range(4):
        colour = sample_colour(random, 0.6)
        if np.abs(colour - base).mean() > 45:
            return colour
    return 255 - base


def _plain(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), base, np.float32)


def _stripes(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Stripes across or along the body: evenly wide, or thin lines on a ground."""
    tile = _plain(random, base)
    other = _contrast(random, base)
    count = int(random.choice([1, 2, 4]))
    thin = random.choice([0.5, 0.5, 0.25, 0.12])
    at = np.arange(SIDE) * count / SIDE % 1 < thin
    if random.random() < 0.7:
        tile[at] = other
    else:
        tile[:, at] = other
    return tile


def _checks(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Two crossing sets of bands, with a thin line between bands."""
    other, line = _contrast(random, base), _contrast(random, base)
    count = int(random.choice([1, 2]))
    phase = np.arange(SIDE) * count / SIDE % 1
    band = ((phase < 0.5) * 0.5).astype(np.float32)
    share = (band[:, None] + band)[..., None]
    tile = base + share * (other - base)
    if random.random() < 0.6:
        thin = np.abs(phase - 0.75) < 0.04
        tile[thin] = 0.5 * tile[thin] + 0.5 * line
        tile[:, thin] = 0.5 * tile[:, thin] + 0.5 * line
    return tile


def _dots(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    tile, other = _plain(random, base), _contrast(random, base)
    radius = random.uniform(0.08, 0.2)
    for place in ((0.25, 0.25), (0.75, 0.75)):
        _disc(tile, place, radius, other)
    return tile


def _flowers(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Blossoms and leaves scattered over a ground."""
    tile = _plain(random, base)
    petals = [_contrast(random, base) for _ in range(2)]
    leaf = np.array([60, 110, 60], np.float32) * random.uniform(0.6, 1.3)
    for _ in range(random.integers(5, 9)):
        place, turn, size = (
            random.random(2),
            random.uniform(0, 2 * np.pi),
            random.uniform(0.05, 0.1),
        )
        for angle in turn + np.array([0.3, 2.6]):
            _disc(
                tile,
                place + 1.8 * size * np.array([np.cos(angle), np.sin(angle)]),
                0.6 * size,
                leaf,
            )
        colour = petals[random.integers(2)]
        for angle in turn + np.arange(5) * 2 * np.pi / 5:
            _disc(tile, place + size * np.array([np.cos(angle), np.sin(angle)]), 0.7 * size, colour)
        _disc(tile, place, 0.5 * size, np.array([70, 190, 225], np.float32))
    return tile


def _patches(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Camouflage or batik: blots of a few colours."""
    tile = _plain(random, base)
    noise = _noise(random, 6)
    second = _contrast(random, base)
    for level, colour in ((0.4, second), (-0.9, 0.55 * base), (1.2, 0.6 * second)):
        tile[noise > level if level > 0 else noise < level] = colour
    return tile


def _denim(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Washed blue or black twill."""
    dye = random.choice([0.25, 0.6, 0.9, 1.25])
    blue = np.clip(np.array([128, 88, 58], np.float32) * dye, 0, 235)
    return blue + threefold(_twill() + 3 * _noise(random, 24))


@lru_cache(maxsize=1)
def _twill() -> np.ndarray:
    """(64, 64) float32 diagonal ribs."""
    along = np.add.outer(np.arange(SIDE), np.arange(SIDE))
    return (6 * np.sin(along * 2 * np.pi * 16 / SIDE)).astype(np.float32)


def _knit(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Ribs of wool."""
    count = int(random.choice([6, 8, 12]))
    rib = np.sin(np.arange(SIDE) * 2 * np.pi * count / SIDE)
    shade = 1 + 0.09 * rib + 0.05 * _noise(random, 24)
    return base * shade[..., None]


def _melange(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Jersey of mixed fibres."""
    noise = _noise(random, 24)
    threads = sum(np.roll(noise, step, 1) for step in range(7)) / 7
    return base * (1 + 0.07 * threads)[..., None]


def _disc(tile: np.ndarray, place: np.ndarray, radius: float, colour: np.ndarray) -> None:
    """Draw a disc at `place` in [0, 1]²; it wraps around the edges of the tile."""
    reach = round(radius * SIDE * (1 << BITS))
    # Centres of the disc's copies, shifted by whole tiles, that touch the tile.
    across, down = (
        [at % 1 + shift for shift in (-1, 0, 1) if -radius < at % 1 + shift < 1 + radius]
        for at in map(float, place)
    )
    colours = colour.tolist()
    for x in across:
        for y in down:
            centre = [round((at * SIDE - 0.5) * (1 << BITS)) for at in (x, y)]
            cv2.circle(tile, centre, reach, colours, -1, cv2.LINE_AA, BITS)


@lru_cache(maxsize=2)
def _noise_tile(cells: int) -> np.ndarray:
    """(64, 64) float32 smooth tileable noise, standard deviation about 1."""
    random = np.random.default_rng(cells)
    coarse = np.pad(random.normal(size=(cells, cells)).astype(np.float32), 2, mode="wrap")
    side = (cells + 4) * SIDE // cells
    large = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    start = 2 * SIDE // cells
    return 1.3 * large[start : start + SIDE, start : start + SIDE]


def _noise(random: np.random.Generator, cells: int) -> np.ndarray:
    """A noise tile of `cells` cells a side, shifted at random."""
    return np.roll(_noise_tile(cells), random.integers(SIDE, size=2), (0, 1))


PATTERNS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "plain": _plain,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "flowers": _flowers,
    "patches": _patches,
    "denim": _denim,
    "knit": _knit,
    "melange": _melange,
}
# Shares of the patterns of tops, bottoms and dresses; and ranges of a tile's size, metres.
TOPS = {
    "plain": 0.34, "stripes": 0.16, "checks": 0.12, "dots": 0.05, "flowers": 0.08, "patches": 0.04,
    "knit": 0.1, "melange": 0.11,
}  # fmt: skip
BOTTOMS = {
    "denim": 0.42,
    "plain": 0.42,
    "melange": 0.1,
    "checks": 0.025,
    "patches": 0.015,
    "stripes": 0.02,
}
DRESSES = {
    "plain": 0.35,
    "flowers": 0.25,
    "dots": 0.12,
    "stripes": 0.13,
    "checks": 0.1,
    "melange": 0.05,
}
SIZES = {
    "stripes": (0.05, 0.16), "checks": (0.05, 0.16), "dots": (0.04, 0.1), "flowers": (0.12, 0.25),
    "patches": (0.2, 0.35), "knit": (0.1, 0.16),
}  # fmt: skip


def pick(random: np.random.Generator, shares: Mapping[Choice, float]) -> Choice:
    """Choose one key, with probability proportional to its share."""
    ends = list(accumulate(shares.values()))
    return list(shares)[bisect(ends[:-1], random.random() * ends[-1])]


def sample_cloth(random: np.random.Generator, shares: dict[str, float], bold: float = 0.5) -> Cloth:
    """Sample a material.

    Args:
        random: Source of random numbers.
        shares: Name of a pattern -> its share.
        bold: Share of strong colours.
    """
    name = pick(random, shares)
    tile = PATTERNS[name](random, sample_colour(random, bold))
    size = random.uniform(*SIZES.get(name, (0.1, 0.2)))
    gloss = (0.0, 0.0, 0.0, 0.06, 0.15)[random.integers(5)]
    return Cloth(
        np.clip(np.rint(tile), 0, 255).astype(np.uint8),
        size,
        0.0 if name in ("denim", "knit", "melange") else gloss,
        float(random.uniform(0.6, 1.4)),
    )


def sample_print(random: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Sample a print for the chest.

    Args:
        random: Source of random numbers.
        base: (3,) colour of the cloth; the print contrasts with it.

    Returns:
        (64, 64, 4) uint8 blue, green, red, opacity.
    """
    canvas = np.zeros((SIDE, SIDE, 4), np.uint8)
    for _ in range(random.integers(1, 5)):
        colour = [*_contrast(random, base).tolist(), 255]
        kind = random.integers(4)
        x, y = random.integers(SIDE // 4, 3 * SIDE // 4, 2).tolist()
        size = int(random.integers(SIDE // 8, SIDE // 4))
        if kind == 0:
            cv2.circle(canvas, (SIDE // 2, y), size, colour, -1, cv2.LINE_8)
        elif kind == 1:
            cv2.rectangle(canvas, (x - size, y - size // 2), (x + size, y + size // 2), colour, -1)
        elif kind == 2:
            corners = np.array([[x, y - size], [x + size, y + size], [x - size, y + size]])
            cv2.fillPoly(canvas, [corners], colour)
        else:
            _word(random, canvas, y, colour)
    return canvas


def _word(random: np.random.Generator, canvas: np.ndarray, row: int, colour: list[float]) -> None:
    """Draw something like a word: letters of a few strokes, across the print."""
    letters = int(random.integers(3, 6))
    wide, tall = SIDE // letters, int(random.integers(SIDE // 6, SIDE // 3))
    for left in range(wide // 5, SIDE - wide // 2, wide):
        strokes = random.integers((0, 0), (wide * 3 // 5, tall), (4, 2))
        strokes += np.array([left, row - tall // 2])
        strokes[0, 0] = strokes[1, 0] = left
        cv2.polylines(canvas, [strokes.astype(np.int32)], False, colour, max(2, SIDE // 20))
