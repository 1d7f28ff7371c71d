"""Any number of people to register, made in seconds with torch and NumPy alone.

Their poses are common ones under the anatomical prior, seen from all sides. Their dense points lie
on the side that faces the viewer; occlusion between limbs is ignored. They serve to measure speed;
for accuracy, `bodyreg.synthetic` makes realistic people.
"""

from __future__ import annotations

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.body.rotations import rotation_matrices
from bodyreg.body.surface import face_normals
from bodyreg.data import Observations
from bodyreg.data.densepose_coco import KEYPOINTS
from bodyreg.data.frames import boxes_of_points, frames_of_boxes, lengths_in_frame, pixel_sizes
from bodyreg.registration.prior import pose_prior

POINTS = 120
PLACES = 2048
"""Surface places to sample points from; five times a person's points if that is more."""
CHUNK = 1024
"""Number of people made at a time; a person depends on the seed and on the chunk."""
PIXELS_PER_METRE = 150.0
PIXEL_SD = 2.0  # of a 256-pixel frame
DEPTH_SD = 0.08  # frame units
SEGMENT_SCALE_SD = 0.06
PITCH_SD, ROLL_SD = np.deg2rad([7.0, 4.0])
FACING = 0.1  # z of the normal from which on a place is seen


def crowd(body: Body, people: int, seed: int, points: int = POINTS) -> Observations:
    """People with dense points, COCO's 17 keypoints and depths.

    Args:
        body: The body they are made from.
        people: Number of people; ids count from 0.
        seed: Seed of everything random; the same seed makes the same people.
        points: Dense points of each person.
    """
    places = _Places(body, max(PLACES, 5 * points), np.random.default_rng([seed, 0]))
    chunks = [
        _chunk(body, places, begin, min(CHUNK, people - begin), points, seed)
        for begin in range(0, people, CHUNK)
    ]
    return Observations.concatenate(chunks)


class _Places:
    """Places on the surface, evenly by area."""

    def __init__(self, body: Body, count: int, random: np.random.Generator):
        _, area = face_normals(body.vertices, body.faces)
        face = random.choice(len(area), count, p=area / area.sum())
        self.vertex = body.faces[face].astype(np.int32)
        self.barycentric = random.dirichlet(np.ones(3), count).astype(np.float32)
        self.points = body.surface_points(self.vertex, self.barycentric)
        normals = np.pad(self.points.normals.numpy(), ((0, 0), (0, 1)))
        strongest = self.points.anchors[..., 3].argmax(1, keepdim=True)
        self.segment = self.points.joint_ids.gather(1, strongest)
        self.normals = torch.from_numpy(normals)[:, None]


def _chunk(
    body: Body, places: _Places, begin: int, people: int, points: int, seed: int
) -> Observations:
    random = np.random.default_rng([seed, 1, begin])
    transforms, joints, rotation = _pose(body, random, people)

    def seen(at: torch.Tensor) -> np.ndarray:
        return at.numpy() @ rotation.transpose(0, 2, 1)

    normals = seen(ops.lbs(transforms, places.segment, places.normals))[..., 2]
    # The first visible places of a random order.
    order = random.random(normals.shape, np.float32)
    order[normals < FACING] += 1
    chosen = np.argpartition(order, points, axis=1)[:, :points]
    ids, anchors = places.points.joint_ids, places.points.anchors
    index = torch.from_numpy(chosen)
    xy = seen(ops.lbs(transforms, ids[index], anchors[index]))[..., :2]

    marks = body.keypoints(KEYPOINTS)
    keypoints = seen(ops.lbs(transforms, marks.joint_ids, marks.anchors))
    depth = keypoints[..., 2] - seen(joints)[:, :1, 2]
    to_image = np.array([PIXELS_PER_METRE, -PIXELS_PER_METRE])
    xy, keypoint_xy = 512 + xy * to_image, 512 + keypoints[..., :2] * to_image
    frame = frames_of_boxes(boxes_of_points(np.concatenate([xy, keypoint_xy], 1)))
    noise = PIXEL_SD * pixel_sizes(frame)[:, None, None]
    depth = lengths_in_frame(depth * PIXELS_PER_METRE, frame[:, None])
    return Observations(
        id=np.arange(begin, begin + people),
        frame=frame,
        point_start=points * np.arange(people + 1),
        point_xy=(xy + noise * random.normal(size=xy.shape)).reshape(-1, 2),
        point_vertex=places.vertex[chosen].reshape(-1, 3),
        point_barycentric=places.barycentric[chosen].reshape(-1, 3),
        point_weight=np.ones(people * points),
        keypoint_name=KEYPOINTS,
        keypoint_xy=keypoint_xy + noise * random.normal(size=keypoint_xy.shape),
        keypoint_weight=np.ones(keypoint_xy.shape[:2]),
        keypoint_depth=depth + DEPTH_SD * random.normal(size=depth.shape),
        body=body.fingerprint,
    )


def _pose(
    body: Body, random: np.random.Generator, people: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Joint transforms (N,24,3,4), joints (N,24,3) and views (N,3,3)."""
    prior = pose_prior()
    pose = prior.mean + prior.spread * random.normal(size=(people, 24, 3))
    pose = pose.clip(prior.low, prior.high)
    pose[:, 0] = 0
    scale = 1 + SEGMENT_SCALE_SD * random.normal(size=(people, 24))
    scale = np.take(scale, np.minimum(np.arange(24), body.mirror_joints), axis=1)
    transforms, joints = ops.kinematics(
        rotation_matrices(torch.from_numpy(pose).float()),
        torch.from_numpy(scale).float(),
        torch.from_numpy(body.joints),
        body.parents,
    )
    roll, pitch, yaw = torch.zeros(3, people, 3)
    roll[:, 2] = torch.from_numpy(ROLL_SD * random.normal(size=people))
    pitch[:, 0] = torch.from_numpy(PITCH_SD * random.normal(size=people))
    yaw[:, 1] = torch.from_numpy(random.uniform(-np.pi, np.pi, people))
    view = rotation_matrices(roll) @ rotation_matrices(pitch) @ rotation_matrices(yaw)
    return transforms, joints, view.numpy()
