"""Rig points: points tied to the skeleton, with the mesh already contracted away.

A point that is a mix of mesh vertices, x = Σ_i b_i v_i, moves under linear blend skinning as
x = Σ_k T[j_k] h_k with h_k = Σ_i b_i W_{i,k} [v_i; 1]. The (joint, 4-vector) pairs are all that is
kept: posing a point costs the same whether it is a vertex, a matched surface point or a landmark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

# Points contracted at a time: bounds the dense (points, corners, joints) work array to a few MB.
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class RigPoints:
    """Points of a body, ready to be posed.

    Attributes:
        joint_ids: (P, K) int32. Slots that are not needed hold joint 0 with a zero anchor.
        anchors: (P, K, 4), metres; the fourth number is the weight of the joint.
        normals: (P, 3) unit surface normals in the rest pose, or None where there is no surface.
    """

    joint_ids: Tensor
    anchors: Tensor
    normals: Tensor | None = None

    def __len__(self) -> int:
        return len(self.joint_ids)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> RigPoints:
        """The same points on another device or in another floating-point type."""
        return RigPoints(
            self.joint_ids.to(device),
            self.anchors.to(device, dtype),
            None if self.normals is None else self.normals.to(device, dtype),
        )

    def select(self, index: Tensor | np.ndarray | slice | list[int]) -> RigPoints:
        """Some of the points, in the order of `index` (integers, a mask or a slice)."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
        return RigPoints(
            self.joint_ids[index],
            self.anchors[index],
            None if self.normals is None else self.normals[index],
        )

    def pad_to(self, slots: int) -> RigPoints:
        """The same points with K = `slots` (joint, anchor) pairs.

        Raises:
            ValueError: the points already have more.
        """
        extra = slots - self.joint_ids.shape[1]
        if extra < 0:
            raise ValueError(f"slots: expected at least {self.joint_ids.shape[1]}, got {slots}")
        return replace(
            self,
            joint_ids=torch.nn.functional.pad(self.joint_ids, (0, extra)),
            anchors=torch.nn.functional.pad(self.anchors, (0, 0, 0, extra)),
        )


def contract(
    vertex_ids: np.ndarray, mix: np.ndarray, vertices: np.ndarray, weights: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Contract mixes of vertices into (joint, anchor) pairs, one per joint that moves the point.

    Args:
        vertex_ids: (P, n) the vertices of each mix.
        mix: (P, n) their shares; any numbers (a regressor's may be negative).
        vertices: (V, 3) rest vertices.
        weights: (V, J) dense skinning weights.

    Returns:
        joint_ids (P, K) int32 in rising order and anchors (P, K, 4) float32; K is as small as the
        points allow, and at least 1.
    """
    homogeneous = np.concatenate([vertices, np.ones_like(vertices[:, :1])], 1).astype(np.float64)
    weights = weights.astype(np.float64)
    pieces = []
    for start in range(0, len(vertex_ids), CHUNK):
        ids = vertex_ids[start : start + CHUNK]
        share = mix[start : start + CHUNK, :, None] * weights[ids]  # (P, n, J)
        anchors = share.transpose(0, 2, 1) @ homogeneous[ids]  # (P, J, 4)
        used = (share != 0).any(1)
        order = np.argsort(~used, axis=1, kind="stable")[:, : max(1, used.sum(1).max())]
        kept = np.take_along_axis(used, order, 1)
        chosen = np.take_along_axis(anchors, order[..., None], 1)
        pieces.append((np.where(kept, order, 0), np.where(kept[..., None], chosen, 0)))
    slots = max((ids.shape[1] for ids, _ in pieces), default=1)
    joint_ids = np.zeros((len(vertex_ids), slots), np.int32)
    packed = np.zeros((len(vertex_ids), slots, 4), np.float32)
    for i, (ids, anchors) in enumerate(pieces):
        rows = slice(i * CHUNK, i * CHUNK + len(ids))
        joint_ids[rows, : ids.shape[1]] = ids
        packed[rows, : ids.shape[1]] = anchors
    return torch.from_numpy(joint_ids), torch.from_numpy(packed)
