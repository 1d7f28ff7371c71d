"""The horizon, and the size of a metre at every row of level ground.

They give the perspective of floors, and the sizes of furniture, houses and cars.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from bodyreg.synthetic.noise import sample_tile
from bodyreg.synthetic.scenes.scene import Scene

# Focal length for the floors of weak-perspective cameras, which have none, in picture sides.
FOCAL = 1.5
# Least and greatest height of a camera above the ground, metres.
EYES = (0.8, 2.6)
# People in front of a perspective camera stand nearer than this, metres.
BEHIND = 8.0
# Least distance between the horizon and the farthest feet, in picture sides.
LEAST_GROUND = 0.12


@dataclass(frozen=True, eq=False)
class GroundView:
    """How a camera without roll sees level ground.

    Attributes:
        height: Of the picture, pixels.
        width: Of the picture, pixels.
        horizon: Row of the horizon; it may lie outside of the picture.
        feet: Row of the farthest feet.
        metre: Pixels per metre at that row.
        focal: Focal length, pixels.
    """

    height: int
    width: int
    horizon: float
    feet: float
    metre: float
    focal: float

    def metre_at(self, row: float) -> float:
        """Pixels per metre for objects that stand on the ground at a row."""
        return self.metre * max(row - self.horizon, 1.0) / (self.feet - self.horizon)

    def halved(self) -> GroundView:
        """The same view in a picture of half the size."""
        lengths = (v / 2 for v in (self.horizon, self.feet, self.metre, self.focal))
        return GroundView(-(-self.height // 2), -(-self.width // 2), *lengths)

    def ground(self, tile: np.ndarray, size: float, top: int) -> np.ndarray:
        """Draw the ground from row `top` down.

        Args:
            tile: (h, w, 3) uint8, repeated over the ground.
            size: Size of the tile, metres.
            top: First row, below the horizon.

        Returns:
            (height - top, width, 3) uint8.
        """
        rows = np.arange(top, self.height, dtype=np.float32) + np.float32(0.5)
        scale = self.metre * (rows - self.horizon) / (self.feet - self.horizon)
        away = self.focal / scale
        x = (np.arange(self.width, dtype=np.float32) - self.width / 2) / scale[:, None]
        pixels = np.float32(tile.shape[0] / size)
        y = np.broadcast_to((away * pixels)[:, None], x.shape)
        found = sample_tile(tile, x * pixels, y)
        # Far away a tile is finer than a pixel: fade to its mean.
        mean = np.array(cv2.mean(tile)[:3], np.float32)
        share = np.clip(scale * np.float32(size / 24), 0, 1)[:, None]
        # One flat row per picture row: NumPy is fast along a long last axis.
        plain = np.tile(mean, self.width)
        found = found.reshape(len(rows), -1)
        return (plain + share * (found - plain)).astype(np.uint8).reshape(len(rows), -1, 3)


def ground_view_of(scene: Scene) -> GroundView:
    """How a scene's camera sees the ground: from its figures' cameras, up vectors and feet."""
    side = max(scene.height, scene.width)
    size = scene.height, scene.width
    if not scene.figures:
        return GroundView(*size, 0.45 * scene.height, 0.9 * scene.height, side / 2, FOCAL * side)
    lowest = [f.project(f.vertices[(f.vertices @ f.up).argmin()])[1] for f in scene.figures]
    farthest = int(np.argmin(lowest))
    figure, feet = scene.figures[farthest], float(lowest[farthest])
    camera, up = figure.camera, figure.up.astype(np.float64)
    # At the horizon, rays (0, -y, -1) are orthogonal to the world's up.
    slope = up[2] / max(up[1], 0.2)
    if camera.perspective:
        focal = float(camera.focal.mean())
        horizon = float(camera.centre[1]) - focal * slope
        # Independent of the person, so that the background of a take does not move.
        above = -float(camera.pelvis @ up) - figure.ground
        metre = focal / BEHIND
        feet = horizon + metre * max(round(above, 1), EYES[0])
    else:
        focal, metre = FOCAL * side, camera.pixels_per_metre
        # A weak-perspective camera does not fix its height: limit it to usual heights of eyes.
        horizon = scene.height / 2 - focal * slope
        horizon = float(np.clip(horizon, feet - EYES[1] * metre, feet - EYES[0] * metre))
    horizon = min(horizon, feet - LEAST_GROUND * side)
    return GroundView(*size, horizon, feet, float(metre), focal)
