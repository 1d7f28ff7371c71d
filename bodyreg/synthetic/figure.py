"""A person in a pose before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg import ops
from bodyreg.body import JOINT_NAMES, LANDMARK_NAMES, Body
from bodyreg.synthetic.cameras import Camera
from bodyreg.synthetic.people import Person

KEYPOINT_NAMES: tuple[str, ...] = (*JOINT_NAMES, *LANDMARK_NAMES)
"""Names of `Figure.keypoints`: every joint, then every landmark."""

_NUMBER = {name: number for number, name in enumerate(KEYPOINT_NAMES)}


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
        keypoints: (K, 3), for `KEYPOINT_NAMES`.
    """

    person: Person
    action: str
    pose: np.ndarray
    rotation: np.ndarray
    up: np.ndarray
    camera: Camera
    vertices: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (..., 3) to picture pixels and depth (..., 3) float64."""
        return self.camera.project(points)

    def named(self, names: tuple[str, ...]) -> np.ndarray:
        """(n, 3) keypoints by their names."""
        return self.keypoints[[_NUMBER[name] for name in names]]

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
    vertices = ops.lbs(transforms, points.joint_ids, points.anchors)[0].numpy()
    joints = ((joints - joints[:, :1]) @ turn.T)[0].numpy()
    corners, shares = _landmarks(person.template)
    landmarks = np.einsum("lnc,ln->lc", vertices[corners], shares)
    return Figure(
        person=person,
        action=action,
        pose=pose,
        rotation=rotation,
        up=np.asarray(up, np.float32),
        camera=camera,
        vertices=vertices,
        joints=joints,
        keypoints=np.concatenate([joints, landmarks]),
    )


@lru_cache(maxsize=4)
def _landmarks(template: Body) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks as weighted means of vertices: indices (L, n) and weights (L, n) float32."""
    mixes = [template.landmarks[name] for name in LANDMARK_NAMES]
    corners = np.zeros((len(mixes), max(len(mix.vertices) for mix in mixes)), np.int64)
    shares = np.zeros(corners.shape, np.float32)
    for row, mix in enumerate(mixes):
        corners[row, : len(mix.vertices)] = mix.vertices
        shares[row, : len(mix.weights)] = mix.weights
    return corners, shares
