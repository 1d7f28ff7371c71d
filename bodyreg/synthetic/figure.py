"""A person in a pose before a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg import ops
from bodyreg.body import RigPoints
from bodyreg.synthetic.cameras import Camera
from bodyreg.synthetic.people import Person


@dataclass(frozen=True, eq=False)
class Figure:
    """A posed person in front of a camera.

    Points are float32 metres in camera axes (x right, y up, z toward the viewer), the pelvis at 0.
    `dataclasses.replace(figure, camera=...)` moves the same figure within a picture.

    Attributes:
        person: The person.
        action: Name of the action.
        pose: (24, 3) float32 axis-angle, the root's slot zero.
        rotation: (3, 3) float32, model to camera axes.
        up: (3,) float32, the world's up in camera axes.
        camera: Holds the pelvis' position and projects to pixels.
        vertices: (V, 3).
        joints: (24, 3).
        transforms: (24, 3, 4), from the person's rest pose to these points.
    """

    person: Person
    action: str
    pose: np.ndarray
    rotation: np.ndarray
    up: np.ndarray
    camera: Camera
    vertices: np.ndarray
    joints: np.ndarray
    transforms: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (..., 3) to picture pixels and depth (..., 3) float64."""
        return self.camera.project(points)

    def keypoints(self, names: tuple[str, ...]) -> np.ndarray:
        """(K, 3) the person's joints and landmarks of these names."""
        return _placed(self.transforms, self.person.body.keypoints(names))

    @property
    def ground(self) -> float:
        """Height of the ground along `up`, metres from the pelvis: the lowest vertex."""
        return float((self.vertices @ self.up).min())


def extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest coordinates (d,) of points (n, d)."""
    # NumPy's minimum is vectorised along contiguous rows.
    rows = np.ascontiguousarray(points.T)
    return rows.min(1), rows.max(1)


def make_figure(
    person: Person,
    action: str,
    pose: np.ndarray,
    rotation: np.ndarray,
    up: np.ndarray,
    camera: Camera,
) -> Figure:
    """Pose a person in front of a camera.

    Args:
        person: The person.
        action: Name of the action.
        pose: (24, 3) axis-angle, the root's slot zero.
        rotation: (3, 3), model to camera axes.
        up: (3,), the world's up in camera axes.
        camera: The camera.
    """
    rotation = np.asarray(rotation, np.float32)
    pose = np.asarray(pose, np.float32)
    body = person.body
    turns = Rotation.from_rotvec(pose).as_matrix().astype(np.float32)
    transforms, joints = ops.kinematics(
        torch.from_numpy(turns)[None],
        torch.from_numpy(person.segment_scale)[None],
        torch.from_numpy(body.joints),
        body.parents,
    )
    # The transforms are rotated before skinning: 24 small products instead of one per vertex.
    turn = torch.from_numpy(rotation)
    moved = torch.cat([transforms[..., :3], (transforms[..., 3] - joints[:, :1])[..., None]], -1)
    transforms = (turn @ moved).contiguous()
    points = body.vertex_points(normals=False)
    transforms = transforms[0].numpy()
    vertices = _placed(transforms, points)
    joints = ((joints - joints[:, :1]) @ turn.T)[0].numpy()
    return Figure(
        person=person,
        action=action,
        pose=pose,
        rotation=rotation,
        up=np.asarray(up, np.float32),
        camera=camera,
        vertices=vertices,
        joints=joints,
        transforms=transforms,
    )


def _placed(transforms: np.ndarray, points: RigPoints) -> np.ndarray:
    """(P, 3) rig points moved by transforms (24, 3, 4)."""
    moved = torch.from_numpy(np.ascontiguousarray(transforms))[None]
    return ops.lbs(moved, points.joint_ids, points.anchors)[0].numpy()
