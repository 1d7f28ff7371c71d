"""`bodyreg.ops.lbs` in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def lbs(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """Skins rig points, see `bodyreg.ops.lbs`.

    A point is a weighted sum of the columns of its joints' transforms, the weights being the
    components of its anchors.
    """
    if joint_ids.dim() == 2 and anchors.dim() == 3:
        return _shared(transforms, joint_ids, anchors)
    return _own(transforms, joint_ids, anchors)


def _shared(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """One weighted sum per point for all people at once: what torch calls an embedding bag."""
    people, joints = transforms.shape[:2]
    points, influences = joint_ids.shape
    columns = 4 * joint_ids.long()[..., None] + torch.arange(4, device=joint_ids.device)
    bags = torch.nn.functional.embedding_bag(
        columns.view(points, influences * 4),
        transforms.permute(1, 3, 0, 2).reshape(joints * 4, people * 3),
        mode="sum",
        per_sample_weights=anchors.reshape(points, influences * 4),
    )
    return bags.view(points, people, 3).transpose(0, 1)


def _own(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """One small matrix product per point of a person."""
    people, joints = transforms.shape[:2]
    points, influences = joint_ids.shape[-2:]
    person = torch.arange(people, device=joint_ids.device)[:, None, None]
    chosen = (joint_ids.long() + joints * person).flatten()
    columns = transforms.mT.reshape(people * joints, 12).index_select(0, chosen)
    weights = anchors.expand(people, points, influences, 4)
    product = weights.reshape(people, points, 1, influences * 4) @ columns.view(
        people, points, influences * 4, 3
    )
    return product[:, :, 0]
