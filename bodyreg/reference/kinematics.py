"""`bodyreg.ops.kinematics` in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def kinematics(
    rotations: Tensor, segment_scale: Tensor, joints: Tensor, parents: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Poses the skeleton, see `bodyreg.ops.kinematics`, one level of the tree at a time."""
    people, count = rotations.shape[:2]
    joints = joints.expand(people, count, 3)
    levels = _levels(parents)
    chain, places = [rotations[:, :1]], [joints[:, :1]]
    for above, level in pairwise(levels):
        q = [parents[k] for k in level]
        parent = [above.index(joint) for joint in q]
        parent_chain = chain[-1][:, parent]
        bone = segment_scale[:, q, None] * (joints[:, level] - joints[:, q])
        places.append(places[-1][:, parent] + (parent_chain @ bone[..., None])[..., 0])
        chain.append(parent_chain @ rotations[:, level])
    order = [joint for level in levels for joint in level]
    back = [order.index(joint) for joint in range(count)]
    positions = torch.cat(places, 1)[:, back]
    linear = segment_scale[..., None, None] * torch.cat(chain, 1)[:, back]
    offset = positions[..., None] - linear @ joints[..., None]
    return torch.cat([linear, offset], -1), positions


def _levels(parents: Sequence[int]) -> list[list[int]]:
    """The joints by their distance from the root."""
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [[k for k, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
