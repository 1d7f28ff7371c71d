"""`bodyreg.ops.lbs` in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def lbs(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """Skins rig points, see `bodyreg.ops.lbs`.

    A point is a weighted sum of columns of transforms, the weights being its anchors' components:
    what torch calls an embedding bag, and the fastest way it knows to multiply by a sparse matrix.
    """
    people, joints = transforms.shape[:2]
    points, influences = joint_ids.shape[-2:]
    columns = 4 * joint_ids.long()[..., None] + torch.arange(4, device=joint_ids.device)
    if joint_ids.dim() == 2 and anchors.dim() == 3:
        # Shared rig points: one bag a point, for all people at once.
        rows = transforms.permute(1, 3, 0, 2).reshape(joints * 4, people * 3)
        sums = _bags(columns.reshape(points, influences * 4), rows, anchors)
        return sums.view(points, people, 3).transpose(0, 1)
    person = torch.arange(people, device=joint_ids.device)[:, None, None, None]
    columns = (columns + 4 * joints * person).reshape(people * points, influences * 4)
    rows = transforms.mT.reshape(people * joints * 4, 3)
    anchors = anchors.expand(people, points, influences, 4)
    return _bags(columns, rows, anchors).view(people, points, 3)


def _bags(columns: Tensor, rows: Tensor, anchors: Tensor) -> Tensor:
    weights = anchors.reshape(columns.shape)
    return torch.nn.functional.embedding_bag(columns, rows, mode="sum", per_sample_weights=weights)
