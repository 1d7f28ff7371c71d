"""A body of 24 ellipsoids and people made of it: small, with known truth, without any file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import trimesh

from bodyreg import reference
from bodyreg.body import PARENTS, Body, Landmark
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data.frames import image_from_frame
from bodyreg.data.observations import Observations
from bodyreg.registration import RegistrationConfig, schedule
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.objective import Objective
from bodyreg.registration.padding import pad

# Pelvis first; metres, x left, y up, z front.
JOINTS = np.array(
    [[0, 0, 0], [.1, -.08, 0], [-.1, -.08, 0], [0, .1, 0], [.11, -.45, .01], [-.11, -.45, .01],
     [0, .2, 0], [.11, -.85, -.01], [-.11, -.85, -.01], [0, .3, 0], [.11, -.9, .12],
     [-.11, -.9, .12], [0, .5, 0], [.05, .44, 0], [-.05, .44, 0], [0, .58, .02],
     [.18, .45, 0], [-.18, .45, 0],
     [.45, .45, -.01], [-.45, .45, -.01], [.7, .45, 0], [-.7, .45, 0], [.8, .45, 0], [-.8, .45, 0]],
    np.float32,
)  # fmt: skip

COCO = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "nose",
)  # fmt: skip


def ellipsoid_body() -> Body:
    """One ellipsoid per segment, from its joint to the child joint.

    The head is rigid, the others give a fifth to their parent: rig points differ in their joints.
    """
    sphere = trimesh.creation.icosphere(subdivisions=1)
    vertices, faces, segment = [], [], []
    for joint, position in enumerate(JOINTS):
        children = [k for k, parent in enumerate(PARENTS) if parent == joint]
        end = JOINTS[children].mean(0) if children else position + np.float32([0, 0.08, 0.05])
        axis, length = end - position, max(np.linalg.norm(end - position), 0.1)
        frame = trimesh.geometry.align_vectors([0, 0, 1], axis / np.linalg.norm(axis))[:3, :3]
        radius = 0.13 if joint in (0, 3, 6, 9) else 0.06
        shape = sphere.vertices * (radius, radius, 0.6 * length) @ frame.T + (position + end) / 2
        faces.append(sphere.faces + sum(map(len, vertices)))
        vertices.append(shape)
        segment += [joint] * len(shape)
    nose = np.flatnonzero(np.array(segment) == 15)[:1]
    return Body(
        name="ellipsoids",
        vertices=np.concatenate(vertices).astype(np.float32),
        faces=np.concatenate(faces).astype(np.int64),
        joints=JOINTS,
        weight_joint_ids=np.stack([segment, np.maximum(np.array(PARENTS)[segment], 0)], 1).astype(
            np.int32
        ),
        weights=np.where(np.isin(segment, (0, 15))[:, None], (1, 0), (0.8, 0.2)).astype(np.float32),
        landmarks={"nose": Landmark(nose, np.ones(1, np.float32))},
    )


@dataclass
class People:
    """Observations and the truth they were made of, float64 tensors."""

    observations: Observations
    pose: torch.Tensor
    segment_scale: torch.Tensor
    rotation: torch.Tensor
    vertices: torch.Tensor  # frame units, z toward the viewer


def make_people(body: Body, count: int, seed: int, *, points=(70, 100), noise=0.005) -> People:
    """People in mild random poses, seen from random sides; visible points and noisy keypoints."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.2, (count, 24, 3))
    pose[:, 0] = 0
    pose[:, 4:6, 0] = rng.uniform(0.1, 1, (count, 2))
    scale = 1 + rng.normal(0, 0.05, (count, 24))
    rotation = rotation_matrices(
        torch.from_numpy(np.outer(rng.uniform(-1.2, 1.2, count), [0.0, 1.0, 0.0]))
    )
    pose, scale = torch.from_numpy(pose), torch.from_numpy(scale)
    transforms, _ = reference.kinematics(
        rotation_matrices(pose), scale, torch.from_numpy(body.joints).double(), body.parents
    )
    camera = rotation, torch.full((count,), 0.95).double(), torch.zeros(count, 2).double()

    def place(points):
        moved = reference.lbs(transforms, points.joint_ids, points.anchors.double())
        return torch.cat([reference.projection(moved, *camera)[0],
                          reference.projection(moved, *camera)[1][..., None]], -1)  # fmt: skip

    vertices = place(body.vertex_points())
    keypoints = place(body.keypoints(("pelvis", *COCO))).numpy()
    corners = vertices.numpy()[:, body.faces]
    front = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    faces, start = [], [0]
    for normal_z in front[..., 2]:
        faces.append(rng.choice(np.flatnonzero(normal_z > 0), rng.integers(*points)))
        start.append(start[-1] + len(faces[-1]))
    mix = rng.dirichlet(np.ones(3), start[-1])
    owner = np.repeat(np.arange(count), np.diff(start))
    triangle = body.faces[np.concatenate(faces)]
    point_xy = (vertices.numpy()[owner[:, None], triangle] * mix[..., None]).sum(1)[:, :2]
    frame = np.tile(np.float32([200, 150, 128]), (count, 1))
    observations = Observations(
        id=np.arange(count) + 100,
        frame=frame,
        point_start=np.array(start),
        point_xy=image_from_frame(point_xy + rng.normal(0, noise, point_xy.shape), frame[owner]),
        point_vertex=triangle,
        point_barycentric=mix,
        point_weight=rng.uniform(0.5, 1, start[-1]),
        keypoint_name=COCO,
        keypoint_xy=image_from_frame(
            keypoints[:, 1:, :2] + rng.normal(0, noise, (count, len(COCO), 2)), frame[:, None]
        ),
        keypoint_weight=np.ones((count, len(COCO))),
        keypoint_depth=keypoints[:, 1:, 2]
        - keypoints[:, :1, 2]
        + rng.normal(0, 0.05, (count, len(COCO))),
        body=body.fingerprint,
    )  # fmt: skip
    return People(observations, pose, scale, rotation, vertices)


def near(observations: Observations, *, known: slice = slice(None)) -> Observations:
    """The same people in pictures of one size; the camera of those in the slice is known."""
    random, people = np.random.default_rng(8), len(observations)
    focal = np.full(people, np.nan)
    focal[known] = random.uniform(300, 900, people)[known]
    return replace(
        observations,
        focal=focal,
        principal_point=random.uniform(50, 350, (people, 2)),
        picture_size=np.zeros((people, 2), np.int32),
    )


def composed(
    engine, body: Body, observations: Observations, config: RegistrationConfig, dtype=torch.float64
) -> Objective:
    """The objective of the composed solver."""
    device = torch.device("cpu")
    rig = make_rig(body, observations.keypoint_name, device, dtype)
    evidence = pad(rig, gather(observations, config, device, dtype))
    return Objective(engine, rig, evidence, schedule.cold(config))


@pytest.fixture(scope="session")
def body() -> Body:
    return ellipsoid_body()


@pytest.fixture(scope="session")
def people(body) -> People:
    return make_people(body, 6, seed=1)


@pytest.fixture(scope="session")
def quick() -> RegistrationConfig:
    """The accurate preset with few iterations and one start."""
    return RegistrationConfig(iterations=60, starts=1)
