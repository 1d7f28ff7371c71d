"""Where the horizon is and how large a metre is at every row of level ground.

Floors run away under people's feet by it, and furniture, houses and cars have their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from bodyreg.synthetic.noise import sample_tile
from bodyreg.synthetic.scenes.scene import Scene

# A weak-perspective camera has no focal length; floors look as if it had this one, in sides.
FOCAL = 1.5
# Least and greatest height of a camera above the ground, metres.
EYES = (0.8, 2.6)
# Nobody before a near camera stands farther away than this, metres.
BEHIND = 8.0
# The nearest that the horizon may come to the farthest feet, in sides.
LEAST_GROUND = 0.12


@dataclass(frozen=True, eq=False)
class GroundView:
    """How the camera sees level ground, before it is rolled.

    Attributes:
        height: Pixels.
        width: Pixels.
        horizon: Row of the horizon; it may lie outside of the picture.
        feet: Row of the farthest feet.
        metre: Pixels of a metre there.
        focal: Pixels.
    """

    height: int
    width: int
    horizon: float
    feet: float
    metre: float
    focal: float

    def metre_at(self, row: float) -> float:
        """Pixels of a metre of what stands on the ground at a row."""
        return self.metre * max(row - self.horizon, 1.0) / (self.feet - self.horizon)

    def halved(self) -> GroundView:
        """The same in a picture of half the size."""
        lengths = (v / 2 for v in (self.horizon, self.feet, self.metre, self.focal))
        return GroundView(-(-self.height // 2), -(-self.width // 2), *lengths)

    def ground(self, tile: np.ndarray, size: float, top: int) -> np.ndarray:
        """(height - top, width, 3) uint8: ground from row `top` down.

        Args:
            tile: (h, w, 3) uint8 that repeats.
            size: Of the tile, metres.
            top: First row, below the horizon.
        """
        rows = np.arange(top, self.height, dtype=np.float32) + np.float32(0.5)
        scale = self.metre * (rows - self.horizon) / (self.feet - self.horizon)
        away = self.focal / scale
        x = (np.arange(self.width, dtype=np.float32) - self.width / 2) / scale[:, None]
        pixels = np.float32(tile.shape[0] / size)
        y = np.broadcast_to((away * pixels)[:, None], x.shape)
        found = sample_tile(tile, x * pixels, y)
        # Far away a tile is finer than a pixel: only its mean is left.
        mean = np.array(cv2.mean(tile)[:3], np.float32)
        share = np.clip(scale * np.float32(size / 24), 0, 1)[:, None]
        # Rows of numbers, so that the last axis is long.
        plain = np.tile(mean, self.width)
        found = found.reshape(len(rows), -1)
        return (plain + share * (found - plain)).astype(np.uint8).reshape(len(rows), -1, 3)


def ground_view_of(scene: Scene) -> GroundView:
    """How a scene's camera sees the ground, from its figures: their cameras, up and feet."""
    side = max(scene.height, scene.width)
    size = scene.height, scene.width
    if not scene.figures:
        return GroundView(*size, 0.45 * scene.height, 0.9 * scene.height, side / 2, FOCAL * side)
    lowest = [f.project(f.vertices[(f.vertices @ f.up).argmin()])[1] for f in scene.figures]
    farthest = int(np.argmin(lowest))
    figure, feet = scene.figures[farthest], float(lowest[farthest])
    camera, up = figure.camera, figure.up.astype(np.float64)
    # The horizon is where rays (x, -y, -1) are at right angles to the world's up, for x = 0.
    slope = up[2] / max(up[1], 0.2)
    if camera.perspective:
        focal = float(camera.focal.mean())
        horizon = float(camera.centre[1]) - focal * slope
        # The same for everybody before this camera, so that what stands behind them stands still.
        above = -float(camera.pelvis @ up) - figure.ground
        metre = focal / BEHIND
        feet = horizon + metre * max(round(above, 1), EYES[0])
    else:
        focal, metre = FOCAL * side, camera.pixels_per_metre
        # No farther from the feet than eyes are from the ground: this camera has no say in it.
        horizon = scene.height / 2 - focal * slope
        horizon = float(np.clip(horizon, feet - EYES[1] * metre, feet - EYES[0] * metre))
    horizon = min(horizon, feet - LEAST_GROUND * side)
    return GroundView(*size, horizon, feet, float(metre), focal)
