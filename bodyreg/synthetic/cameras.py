"""Cameras: from metres in camera axes (x right, y up, z toward the viewer) to picture pixels.

A person's points have the pelvis at 0; the camera holds the position of the pelvis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

# Standard deviations of a camera's pitch and roll, degrees.
PITCH_SD, ROLL_SD = 7.0, 4.0


@dataclass(frozen=True, eq=False)
class WeakPerspective:
    """A distant camera: one scale for the whole person.

    Attributes:
        pixels_per_metre: The scale.
        pelvis: (2,) picture pixels, where the pelvis appears.
    """

    pixels_per_metre: float
    pelvis: np.ndarray

    perspective: ClassVar[bool] = False

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres with the pelvis at 0 -> (..., 3) float64.

        Returns:
            x and y in picture pixels (y down), and the depth in metres in front of the pelvis:
            larger is nearer.
        """
        points = np.asarray(points)
        x, y, z = np.moveaxis(points, -1, 0).astype(np.float64)
        placed = np.empty(points.shape)
        placed[..., 0] = self.pelvis[0] + self.pixels_per_metre * x
        placed[..., 1] = self.pelvis[1] - self.pixels_per_metre * y
        placed[..., 2] = z
        return placed

    def weak(self) -> WeakPerspective:
        """This camera; see `Perspective.weak`."""
        return self

    def near(self, focal: float, centre: np.ndarray) -> Perspective:
        """The pinhole camera that agrees with this one at the pelvis' depth.

        Args:
            focal: Focal length, pixels; the pelvis is at the distance focal / pixels_per_metre.
            centre: (2,) the principal point in picture pixels.
        """
        right, down = (self.pelvis - centre) / self.pixels_per_metre
        pelvis = np.array([right, -down, -focal / self.pixels_per_metre])
        return Perspective(np.full(2, focal), np.asarray(centre, np.float64), pelvis)


@dataclass(frozen=True, eq=False)
class Perspective:
    """A pinhole camera without distortion.

    Attributes:
        focal: (2,) focal lengths in pixels, of x and of y.
        centre: (2,) the principal point in picture pixels.
        pelvis: (3,) metres in camera axes; z is negative in front of the camera.
    """

    focal: np.ndarray
    centre: np.ndarray
    pelvis: np.ndarray

    perspective: ClassVar[bool] = True

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres with the pelvis at 0 -> (..., 3) float64.

        Returns:
            x and y in picture pixels (y down), and z in camera axes: larger is nearer, and negative
            in front of the camera. Points with z >= 0 do not appear in the picture.
        """
        points = np.asarray(points)
        x, y, z = np.moveaxis(points, -1, 0).astype(np.float64)
        x, y, z = x + self.pelvis[0], y + self.pelvis[1], z + self.pelvis[2]
        placed = np.empty(points.shape)
        placed[..., 0] = self.centre[0] - self.focal[0] * x / z
        placed[..., 1] = self.centre[1] + self.focal[1] * y / z
        placed[..., 2] = z
        return placed

    def weak(self) -> WeakPerspective:
        """The weak-perspective camera that agrees with this one at the pelvis' depth."""
        size = float(np.mean(self.focal)) / -float(self.pelvis[2])
        return WeakPerspective(size, self.project(np.zeros(3))[:2])


Camera = WeakPerspective | Perspective


def sample_view(random: np.random.Generator, widest: float = 180.0) -> np.ndarray:
    """Sample the orientation of a camera: uniform yaw, moderate pitch and roll.

    Args:
        random: Source of random numbers.
        widest: The yaw is uniform between -widest and widest degrees. At yaw 0 the person faces the
            camera; a widest yaw of 180 covers the full circle.

    Returns:
        (3, 3), world axes (y up) to camera axes; its middle column is the world's up.
    """
    yaw = random.uniform(-widest, widest)
    pitch, roll = random.normal(0, [PITCH_SD, ROLL_SD])
    return Rotation.from_euler("ZXY", [roll, pitch, yaw], degrees=True).as_matrix()
