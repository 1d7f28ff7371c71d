"""Where the keypoints of made people are, by the truth's parameters."""

from __future__ import annotations

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.data import Truth
from bodyreg.data.frames import image_from_frame


def true_keypoints(truth: Truth, names: tuple[str, ...]) -> np.ndarray:
    """(N, K, 3) joints and landmarks of each person's own body, as `Truth.joints`."""
    found = []
    for shape, pose, scale, rotation in zip(
        truth.shape, truth.pose, truth.segment_scale, truth.rotation, strict=True
    ):
        body = Body.default().with_shape(shape)
        points = body.keypoints(names)
        transforms, joints = body.pose(*(torch.from_numpy(a)[None] for a in (pose, scale)))
        placed = ops.lbs(transforms, points.joint_ids, points.anchors) - joints[:, :1]
        found.append(placed[0].numpy() @ rotation.T)
    return np.array(found).reshape(len(truth), len(names), 3)


def true_pixels(truth: Truth, names: tuple[str, ...]) -> np.ndarray:
    """(N, K, 2) where the pictures show them, picture pixels."""
    return image_from_frame(truth.in_frame(true_keypoints(truth, names)), truth.frame[:, None])
