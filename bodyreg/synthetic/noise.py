"""Tileable noise, made once: rendering only cuts pieces out of it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SIDE = 512
# Octaves of the fractal noise: cells per side of the tile.
OCTAVES = (8, 16, 32, 64, 128)


@lru_cache(maxsize=1)
def fractal_tile() -> np.ndarray:
    """(512, 512) float32 of mean 0 and standard deviation 1: clouds, dirt, folds. It wraps."""
    random = np.random.default_rng(20)
    total = np.zeros((SIDE, SIDE), np.float32)
    for cells in OCTAVES:
        coarse = np.pad(random.normal(size=(cells, cells)), 2, mode="wrap").astype(np.float32)
        fine = SIDE // cells
        large = cv2.resize(coarse, None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC)
        total += large[2 * fine : -2 * fine, 2 * fine : -2 * fine] / np.sqrt(cells)
    return (total - total.mean()) / total.std()


@lru_cache(maxsize=1)
def grain_tile() -> np.ndarray:
    """(512, 512, 3) float32 white noise of standard deviation 1: a sensor's."""
    return np.random.default_rng(21).standard_normal((SIDE, SIDE, 3), np.float32)


def fractal_crop(
    random: np.random.Generator, rows: int, columns: int, size: float = 1.0
) -> np.ndarray:
    """(rows, columns) float32: a piece of the fractal tile, from anywhere in it.

    Args:
        random: Chooses the piece.
        rows: Height.
        columns: Width.
        size: Tile pixels per pixel of the piece; larger is finer noise.
    """
    x, y = random.uniform(0, SIDE, 2)
    return sample_tile(
        fractal_tile(),
        (x + size * np.arange(columns, dtype=np.float32))[None].repeat(rows, 0),
        (y + size * np.arange(rows, dtype=np.float32))[:, None].repeat(columns, 1),
    )


def sample_tile(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A tile's values at pixels x, y, bilinear; it repeats in both directions.

    Args:
        tile: (h, w) or (h, w, c), uint8 or float32.
        x: (...) float, in pixels of the tile.
        y: (...) the same shape.

    Returns:
        (...) or (..., c), of the tile's type.
    """
    height, width = tile.shape[:2]
    # OpenCV takes pictures of less than 2^15 pixels a side and repeats the border pixel by pixel.
    padded = cv2.copyMakeBorder(tile, 0, 1, 0, 1, cv2.BORDER_WRAP)
    shape, channels = x.shape, tile.shape[2:]
    x, y = x.reshape(-1), y.reshape(-1)
    rows = -(-len(x) // 1024)
    short = rows * 1024 - len(x)
    x, y = (
        np.pad(np.mod(value, side).astype(np.float32), (0, short)).reshape(rows, 1024)
        for value, side in ((x, width), (y, height))
    )
    if not rows:
        return np.zeros((*shape, *channels), tile.dtype)
    found = cv2.remap(padded, x, y, cv2.INTER_LINEAR)
    return found.reshape(-1, *channels)[: len(found.reshape(-1, *channels)) - short].reshape(
        *shape, *channels
    )
