"""Tileable noise, made once; rendering only crops it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SIDE = 512
# `sample_tile` passes points to OpenCV in rows of this length.
ROW = 1024
# Octaves of the fractal noise: cells per side of the tile.
OCTAVES = (8, 16, 32, 64, 128)


@lru_cache(maxsize=1)
def fractal_tile() -> np.ndarray:
    """(512, 512) float32, mean 0, standard deviation 1, tileable: for clouds, dirt and folds."""
    return _fractal(np.random.default_rng(20), OCTAVES)


@lru_cache(maxsize=1)
def crease_tile() -> np.ndarray:
    """(512, 512) float32 brightness of creased cloth lit from above: mean 0, sd 1, tileable."""
    height = _fractal(np.random.default_rng(22), OCTAVES[:3])
    # Narrow valleys between broad rolls.
    height = np.sqrt(np.abs(height) + np.float32(0.05))
    slope = np.roll(height, 3, 0) - np.roll(height, -3, 0)
    slope = cv2.blur(np.tile(slope, (2, 2)), (5, 5))[4 : SIDE + 4, 4 : SIDE + 4]
    return np.clip((slope - slope.mean()) / slope.std(), -3, 3)


def _fractal(random: np.random.Generator, octaves: tuple[int, ...]) -> np.ndarray:
    total = np.zeros((SIDE, SIDE), np.float32)
    for cells in octaves:
        coarse = np.pad(random.normal(size=(cells, cells)), 2, mode="wrap").astype(np.float32)
        fine = SIDE // cells
        large = cv2.resize(coarse, None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC)
        total += large[2 * fine : -2 * fine, 2 * fine : -2 * fine] / np.sqrt(cells)
    return (total - total.mean()) / total.std()


@lru_cache(maxsize=1)
def grain_tile() -> np.ndarray:
    """(512, 512, 3) float32 white noise of a sensor, standard deviation 1."""
    return np.random.default_rng(21).standard_normal((SIDE, SIDE, 3), np.float32)


def fractal_crop(
    random: np.random.Generator, rows: int, columns: int, size: float = 1.0
) -> np.ndarray:
    """A random crop of the fractal tile, (rows, columns) float32.

    Args:
        random: Chooses the position.
        rows: Height.
        columns: Width.
        size: Tile pixels per pixel of the crop; larger is finer noise.
    """
    left, top = random.integers(0, SIDE, 2).tolist()
    if size < 1:
        # A smaller crop, enlarged.
        high, wide = (max(1, round(size * side)) for side in (rows, columns))
        return cv2.resize(_piece(top + np.arange(high), left + np.arange(wide)), (columns, rows))
    # The finest cells are four pixels wide, so the nearest pixel is good enough.
    across, down = (np.rint(size * np.arange(side)).astype(np.int64) for side in (columns, rows))
    return _piece(top + down, left + across)


def _piece(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Rows and columns of the fractal tile by index, modulo its size."""
    return fractal_tile().take(rows % SIDE, 0).take(columns % SIDE, 1)


def sample_tile(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample a tile bilinearly at pixels x, y; the tile repeats in both directions.

    Args:
        tile: (h, w) or (h, w, c), uint8 or float32.
        x: (...) float, in pixels of the tile.
        y: (...) the same shape.

    Returns:
        (...) or (..., c), of the tile's type.
    """
    height, width = tile.shape[:2]
    shape, channels, count = x.shape, tile.shape[2:], x.size
    # OpenCV limits the sides of pictures to 2^15 pixels, and is slow to wrap far coordinates.
    rows = -(-count // ROW)
    places = np.zeros((2, rows * ROW), np.float32)
    for into, values, side in zip(places, (x, y), (width, height), strict=True):
        values, turns = values.reshape(-1), into[:count]
        np.multiply(values, np.float32(1 / side), out=turns)
        np.floor(turns, out=turns)
        turns *= np.float32(-side)
        turns += values
    if not count:
        return np.zeros((*shape, *channels), tile.dtype)
    x, y = places.reshape(2, rows, ROW)
    found = cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return found.reshape(rows * ROW, *channels)[:count].reshape(*shape, *channels)
