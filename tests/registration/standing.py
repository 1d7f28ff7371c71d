"""Pictures of the built-in body that stands upright, by level cameras at known distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bodyreg import Body, ops
from bodyreg.body import AXIS_ANGLE, Parameters, RigPoints
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data.frames import boxes_of_points, frame_from_image, frames_of_boxes
from bodyreg.data.observations import Observations
from bodyreg.synthetic.cameras import Perspective, WeakPerspective

from .conftest import COCO

SIDE, HEIGHT, POINTS = 800, 560, 120
"""Pixels of a picture's side and of the person's height in it; dense points of a person."""

SHINS = ((4, 7), (5, 8))


@dataclass
class Standing:
    """The body with straight legs and lowered arms, before a camera.

    Args:
        body: The body.
        distance: From the camera to the body's middle, metres; inf for parallel rays.
        yaw: Of the body, radians; 0 faces the camera.
    """

    body: Body
    distance: float
    yaw: float

    def __post_init__(self) -> None:
        low, high = self.body.vertices.min(0), self.body.vertices.max(0)
        self.middle = torch.from_numpy((low + high) / 2).double()
        self.view = rotation_matrices(torch.tensor([[0.0, self.yaw, 0.0]]))[0].double()
        self.pose = torch.zeros(1, 24, 3)
        self.pose[0, 16, 2], self.pose[0, 17, 2] = -1.2, 1.2
        self.size = HEIGHT / float(high[1] - low[1])  # pixels per metre
        centre = np.full(2, SIDE / 2)
        self.camera = (
            Perspective(
                np.full(2, self.size * self.distance), centre, np.array([0, 0, -self.distance])
            )
            if math.isfinite(self.distance)
            else WeakPerspective(self.size, centre)
        )

    def placed(self, points: RigPoints) -> np.ndarray:
        """(P, 3) rig points, metres in camera axes, the middle at 0."""
        transforms, _ = self.body.pose(self.pose)
        model = ops.lbs(transforms.double(), points.joint_ids, points.anchors.double())[0]
        return ((model - self.middle) @ self.view.T).numpy()

    def seen(self, points: RigPoints) -> np.ndarray:
        """(P, 3) the same in the picture: pixels and depth."""
        return self.camera.project(self.placed(points))

    def observations(self, seed: int = 0) -> Observations:
        """Exact points on the visible surface, and exact keypoints."""
        body, near = self.body, math.isfinite(self.distance)
        vertices = self.seen(body.vertex_points(normals=False))
        faces = torch.from_numpy(body.faces).to(torch.int32)
        picture = ops.raster(torch.from_numpy(vertices)[None], faces, SIDE, SIDE, perspective=near)
        pixels = np.flatnonzero(picture.face.flatten() >= 0)
        pixels = np.random.default_rng(seed).choice(pixels, POINTS, replace=False)
        triangle = body.faces[picture.face.flatten()[pixels]]
        barycentric = picture.barycentric.flatten(0, 2)[pixels].numpy().astype(np.float32)
        return Observations(
            id=np.array([seed]),
            frame=frames_of_boxes(boxes_of_points(vertices[None, :, :2])),
            point_start=np.array([0, POINTS]),
            point_xy=self.seen(body.surface_points(triangle, barycentric))[:, :2],
            point_vertex=triangle,
            point_barycentric=barycentric,
            point_weight=np.ones(POINTS),
            keypoint_name=COCO,
            keypoint_xy=self.seen(body.keypoints(COCO))[None, :, :2],
            keypoint_weight=np.ones((1, len(COCO))),
            body=body.fingerprint,
            focal=np.array([self.size * self.distance]),
            principal_point=np.full((1, 2), SIDE / 2),
            picture_size=np.array([[SIDE, SIDE]]),
        )

    def parameters(self, frame: np.ndarray) -> Tensor:
        """(1, 108) float64 parameters of a fit that is right, in a frame (3,)."""
        origin = -(self.view @ self.middle).numpy()
        growth = 1 / (1 - origin[2] / self.distance)  # the model's origin is at another distance
        place = frame_from_image(self.camera.project(origin)[:2], frame.astype(np.float64))
        return AXIS_ANGLE.join(
            Parameters(
                pose=self.pose.double(),
                segment_scale=torch.ones(1, 24, dtype=torch.float64),
                rotation=self.view[None],
                translation=torch.from_numpy(place)[None],
                scale=torch.tensor([self.size * growth / float(frame[2])], dtype=torch.float64),
            )
        )


def standing(body: Body, distances: Sequence[float], yaws: Sequence[float]) -> Observations:
    """One person for each distance and each yaw."""
    places = [(distance, yaw) for distance in distances for yaw in yaws]
    return Observations.concatenate(
        [Standing(body, *place).observations(seed) for seed, place in enumerate(places)]
    )


def shin_tilts(joints: np.ndarray) -> np.ndarray:
    """(N,) degrees by which the shins lean away from the viewer, of joints (N, 24, 3).

    The mean of both shins: the angle of knee to ankle out of the picture's plane.
    """
    bones = np.stack([joints[:, ankle] - joints[:, knee] for knee, ankle in SHINS], 1)
    across = np.linalg.norm(bones[..., :2], axis=2)
    return np.degrees(np.arctan2(-bones[..., 2], across)).mean(1)
