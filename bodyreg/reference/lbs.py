"""`bodyreg.ops.lbs` in plain torch."""

from __future__ import annotations

from torch import Tensor


def lbs(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """Skins rig points, see `bodyreg.ops.lbs`: one gather and one product per influence."""
    people, joints = transforms.shape[:2]
    points = 0
    for k in range(joint_ids.shape[-1]):
        ids = joint_ids[..., k].long()
        if ids.dim() == 1:
            chosen = transforms[:, ids]
        else:
            offset = joints * ids.new_tensor(range(people))[:, None]
            chosen = transforms.flatten(0, 1)[ids + offset]
        points = points + (chosen @ anchors[..., k, :, None])[..., 0]
    return points
