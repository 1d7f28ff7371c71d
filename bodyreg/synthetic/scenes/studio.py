"""A studio like Human3.6M's: four near cameras around a floor, and its world coordinates.

Our world is in metres, y up, with the floor at 0. Human3.6M's (Ionescu et al. 2014) is in
millimetres, z up; its camera axes are x right, y down, z away from the camera. Sizes, names and
roughly the focal lengths, distances and heights are those of the real set-up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.synthetic.cameras import Perspective, WeakPerspective
from bodyreg.synthetic.figure import Figure, make_figure
from bodyreg.synthetic.people import Person

# Our axes to Human3.6M's: up is y here and z there.
_WORLD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_CAMERA = np.diag([1.0, -1, -1])
# The cameras look at the middle of a person in the middle of the floor, metres.
_AIM = np.array([0, 0.95, 0])
UP = np.array([0.0, 1, 0])


@dataclass(frozen=True, eq=False)
class StudioCamera:
    """One camera of the studio.

    Attributes:
        name: Human3.6M's name.
        width, height: Size of the pictures, pixels.
        focal: (2,) pixels.
        centre: (2,) the principal point in picture pixels.
        rotation: (3, 3), our world axes to our camera axes.
        position: (3,) metres in our world.
    """

    name: str
    width: int
    height: int
    focal: np.ndarray
    centre: np.ndarray
    rotation: np.ndarray
    position: np.ndarray

    @property
    def up(self) -> np.ndarray:
        """(3,): the world's up in camera axes."""
        return self.rotation[:, 1]

    def on(self, pelvis: np.ndarray) -> Perspective:
        """The camera for a figure with its pelvis at (3,) metres in our world."""
        return Perspective(self.focal, self.centre, self.rotation @ (pelvis - self.position))

    def to_world(self, figure: Figure, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of a figure that this camera sees -> metres in our world."""
        return (points + figure.camera.pelvis) @ self.rotation + self.position

    @property
    def orientation(self) -> np.ndarray:
        """(4,) quaternion w, x, y, z that turns Human3.6M's camera axes into its world axes.

        With `translation` it gives the extrinsics of Human3.6M's readers: a world point X is
        orientation^-1 (X - translation) in camera axes.
        """
        turn = Rotation.from_matrix(_WORLD @ self.rotation.T @ _CAMERA)
        return turn.as_quat(canonical=True)[[3, 0, 1, 2]]

    @property
    def translation(self) -> np.ndarray:
        """(3,) position of the camera, millimetres in Human3.6M's world."""
        return to_human36m(self.position)


def to_human36m(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) in our world, metres -> Human3.6M's world, millimetres."""
    return 1000 * np.asarray(points, np.float64) @ _WORLD.T


@lru_cache(maxsize=1)
def studio_cameras() -> tuple[StudioCamera, ...]:
    """The four cameras, in the order of Human3.6M's names."""
    return (
        _camera("54138969", 1002, (1145.0, 1143.8), (512.5, 515.5), (1.84, 1.56, -4.96)),
        _camera("55011271", 1000, (1149.7, 1147.6), (508.8, 508.1), (1.76, 1.61, 5.08)),
        _camera("58860488", 1000, (1149.1, 1148.8), (519.8, 501.4), (-1.85, 1.49, -5.22)),
        _camera("60457274", 1002, (1145.5, 1144.8), (515.0, 501.9), (-1.79, 1.57, 3.72)),
    )


def _camera(
    name: str,
    height: int,
    focal: tuple[float, float],
    centre: tuple[float, float],
    position: tuple[float, float, float],
) -> StudioCamera:
    backward = np.array(position) - _AIM
    backward /= np.linalg.norm(backward)
    right = np.cross(UP, backward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(backward, right), backward])
    return StudioCamera(
        name, 1000, height, np.array(focal), np.array(centre), rotation, np.array(position)
    )


def studio_figures(
    person: Person,
    action: str,
    pose: np.ndarray,
    turn: np.ndarray,
    place: np.ndarray,
    heading: float,
) -> list[Figure]:
    """One posed person on the studio's floor, seen by each of `studio_cameras`.

    Args:
        person: The person.
        action: Name of the action.
        pose: (24, 3) axis-angle, the root's slot zero.
        turn: (3, 3) model axes to the axes of a person that faces +z, as in `Performance`.
        place: (2,) x and z of the pelvis on the floor, metres.
        heading: Degrees of rotation about the vertical; at 90 the person faces +x.
    """
    world = Rotation.from_euler("y", heading, degrees=True).as_matrix() @ turn
    standing = make_figure(person, action, pose, world, UP, WeakPerspective(1.0, np.zeros(2)))
    pelvis = np.array([place[0], -standing.ground, place[1]])
    return [_turned(standing, camera.rotation, camera.on(pelvis)) for camera in studio_cameras()]


def _turned(figure: Figure, rotation: np.ndarray, camera: Perspective) -> Figure:
    rotation = rotation.astype(np.float32)
    return replace(
        figure,
        rotation=rotation @ figure.rotation,
        up=rotation @ figure.up,
        camera=camera,
        vertices=figure.vertices @ rotation.T,
        joints=figure.joints @ rotation.T,
        transforms=rotation @ figure.transforms,
    )
