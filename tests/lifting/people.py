"""Bodies in random poses and their keypoints in pictures, with true depths."""

from __future__ import annotations

import numpy as np
import torch

from bodyreg import Body, Observations, ops
from bodyreg.data.skeletons import COCO_17, Skeleton

PIXELS_PER_METRE = 150


def places(count: int, seed: int, names: tuple[str, ...], *, turn: float = np.pi) -> np.ndarray:
    """(N, K, 3) metres in camera axes, of people whose knees, elbows and backs are bent."""
    body, random = Body.default(), np.random.default_rng(seed)
    pose = random.normal(0, 0.15, (count, 24, 3)).astype(np.float32)
    pose[:, 0] = 0
    pose[:, [4, 5], 0] = random.uniform(0.2, 1.5, (count, 2))  # knees bend to the back
    pose[:, [1, 2], 0] -= random.uniform(0.1, 1.0, (count, 2))  # thighs to the front
    pose[:, 18, 1] = -random.uniform(0.2, 1.5, count)  # elbows to the front
    pose[:, 19, 1] = random.uniform(0.2, 1.5, count)
    pose[:, 16, 2], pose[:, 17, 2] = -1.0, 1.0  # arms down
    pose[:, 12, 0] = 0.3  # the head to the front
    points = body.keypoints(("pelvis", *names))
    transforms, _ = body.pose(torch.from_numpy(pose), torch.ones(count, 24))
    placed = ops.lbs(transforms, points.joint_ids, points.anchors).numpy()
    yaw = random.uniform(-turn, turn, count)
    zero, one = np.zeros(count), np.ones(count)
    rotation = np.array(
        [[np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)]]
    ).transpose(2, 0, 1)
    placed = np.einsum("nij,nkj->nki", rotation, placed)
    return placed[:, 1:] - placed[:, :1]


def people(
    count: int, seed: int, *, skeleton: Skeleton = COCO_17, noise: float = 0.0, turn: float = np.pi
) -> tuple[Observations, np.ndarray]:
    """Observations, and the depths (N, K) of their keypoints in frame units."""
    found = places(count, seed, skeleton.keypoints, turn=turn)
    random = np.random.default_rng(seed + 1)
    xy = found[..., :2] + random.normal(0, noise, found[..., :2].shape) if noise else found[..., :2]
    xy = 300 + PIXELS_PER_METRE * xy * [1, -1]
    seen = Observations.of_keypoints(skeleton.keypoints, xy, np.ones(xy.shape[:2]))
    return seen, PIXELS_PER_METRE * found[..., 2] / seen.frame[:, 2:]
