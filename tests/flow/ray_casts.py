"""What a camera sees at any place of a picture, by NumPy alone: all faces near it are tried."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

TILE = 4.0
"""Pixels; faces are looked up by the tiles that they reach into."""


class RayCaster:
    """A mesh before a camera.

    Args:
        vertices: (V, 3) float64: x and y in pixels; depth, larger is nearer.
        faces: (F, 3).
        perspective: The third number is z in camera axes, negative.

    Attributes:
        nearness: (V,) a number that is linear in the picture, and larger nearer to the viewer.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, perspective: bool) -> None:
        self.nearness = -1 / vertices[:, 2] if perspective else vertices[:, 2]
        self._corners, self._near = vertices[faces][..., :2], self.nearness[faces]
        low = np.floor(self._corners.min(1) / TILE).astype(int)
        high = np.floor(self._corners.max(1) / TILE).astype(int)
        self._tiles: dict[tuple[int, int], list[int]] = defaultdict(list)
        for face, ((left, top), (right, bottom)) in enumerate(zip(low, high, strict=True)):
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    self._tiles[row, column].append(face)

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is nearest at places (P, 2).

        Returns:
            faces (P,), -1 where there is none; barycentrics (P, 3), linear in the picture; nearness
            (P,), -inf where there is nothing.
        """
        found = np.full(len(places), -1)
        shares, nearness = np.zeros((len(places), 3)), np.full(len(places), -np.inf)
        tiles = np.floor(places / TILE).astype(int)
        order = np.lexsort(tiles.T)
        edges = np.flatnonzero((np.diff(tiles[order], axis=0) != 0).any(1)) + 1
        for some in np.split(order, edges):
            column, row = tiles[some[0]] if len(some) else (0, 0)
            faces = np.array(self._tiles.get((row, column), []), int)
            if not len(faces):
                continue
            a, b, c = np.moveaxis(self._corners[faces], 1, 0)
            to = places[some][:, None] - a
            area = _cross(b - a, c - a)
            safe = np.where(area == 0, 1, area)
            second, third = _cross(to, c - a) / safe, _cross(b - a, to) / safe
            share = np.stack([1 - second - third, second, third], -1)
            depth = (share * self._near[faces]).sum(-1)
            depth[(share < 0).any(-1) | (area == 0)] = -np.inf
            best = depth.argmax(1)
            rows = np.arange(len(some))
            nearness[some] = depth[rows, best]
            hit = np.isfinite(depth[rows, best])
            found[some], shares[some] = np.where(hit, faces[best], -1), share[rows, best]
        return found, shares, nearness


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
