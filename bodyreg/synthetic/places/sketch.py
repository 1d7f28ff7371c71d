"""A canvas for backgrounds: boxes, polygons and discs in a palette's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bodyreg.synthetic.noise import fractal_crop

# Every colour here is blue, green, red.
Colour = Sequence[float]
Palette = Sequence[Colour]
# Coordinates are limited to this many pixels, so that OpenCV's integers do not overflow.
LIMIT = 20_000


@dataclass(frozen=True, eq=False)
class Sketch:
    """A canvas and its drawing operations.

    Attributes:
        canvas: (H, W, 3) uint8.
        random: Source of random numbers.
    """

    canvas: np.ndarray
    random: np.random.Generator

    def colour(self, palette: Palette, spread: float = 0.15) -> list[float]:
        """A colour of a palette, with random changes of brightness and hue."""
        base = palette[self.random.integers(len(palette))]
        light = np.exp(self.random.normal(0, spread))
        hue = self.random.normal(0, 7, 3).tolist()
        return [min(max(light * c + h, 5.0), 250.0) for c, h in zip(base, hue, strict=True)]

    def box(self, left: float, top: float, right: float, low: float, colour: Colour) -> None:
        """A rectangle, edges included."""
        first, second = (_pixel(left), _pixel(top)), (_pixel(right), _pixel(low))
        cv2.rectangle(self.canvas, first, second, colour, -1)

    def polygon(self, corners: Sequence[Sequence[float]], colour: Colour) -> None:
        """A filled polygon."""
        fixed = np.clip(np.rint(corners), -LIMIT, LIMIT).astype(np.int32)
        cv2.fillPoly(self.canvas, [fixed], colour, cv2.LINE_AA)

    def disc(
        self, x: float, y: float, across: float, down: float, colour: Colour, turn: float = 0
    ) -> None:
        """A filled ellipse by its centre and half axes; `turn` in degrees."""
        axes = max(1, _pixel(across)), max(1, _pixel(down))
        centre = _pixel(x), _pixel(y)
        cv2.ellipse(self.canvas, centre, axes, turn, 0, 360, colour, -1, cv2.LINE_AA)

    def roughen(self, reach: float, edge: float) -> None:
        """Displace pixels at random, up to a few times `reach`, so that outlines look like leaves.

        Args:
            reach: Pixels.
            edge: Row of the ground; below it the displacement fades to 0.
        """
        rows, columns = self.canvas.shape[:2]
        down = np.arange(rows, dtype=np.float32)[:, None]
        reach = np.float32(reach) * np.clip(1 - (down - np.float32(edge)) / 12, 0, 1)
        size = min(40 / max(float(reach.max()), 2), 8)
        x, y = (fractal_crop(self.random, rows, columns, size) * reach for _ in range(2))
        x += np.arange(columns, dtype=np.float32)
        y += down
        pushed = cv2.remap(self.canvas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        self.canvas[:] = pushed


def darker(colour: Colour, share: float) -> list[float]:
    """A colour times a share; a share above 1 makes it lighter."""
    return [min(255.0, share * c) for c in colour]


def _pixel(value: float) -> int:
    if -LIMIT < value < LIMIT:
        return round(value)
    return LIMIT if value > 0 else -LIMIT
