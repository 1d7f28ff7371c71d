"""Rig points: points that move with the skeleton, without the mesh.

A mix of mesh vertices, x = Σ_i b_i v_i, moves under linear blend skinning as x = Σ_k T[j_k] h_k
with h_k = Σ_i b_i W_{i,k} [v_i; 1]. A rig point holds only its influences, the pairs (j_k, h_k). So
a vertex, a matched surface point and a landmark have the same cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

# Points that are mixed in one step: the dense (points, joints, 4) work array stays below a few MB.
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class RigPoints:
    """Points of a body, ready to be posed.

    Attributes:
        joint_ids: (P, K) int32 the joints of the influences. Unused ones have joint 0 and anchor 0.
        anchors: (P, K, 4), metres; the fourth number is the weight of the joint.
        normals: (P, 3) unit surface normals in the rest pose, or None if there is no surface.
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
            index = torch.as_tensor(index, device=self.joint_ids.device)
        return RigPoints(
            self.joint_ids[index],
            self.anchors[index],
            None if self.normals is None else self.normals[index],
        )

    @staticmethod
    def of_dense(dense: np.ndarray, dtype: np.dtype) -> RigPoints:
        """Points whose anchors (P, joints, 4) are given for every joint; most of them are zero.

        Returns:
            P points in this floating-point type, joints in rising order; K is as small as possible,
            and at least 1.
        """
        used = np.logical_or.reduce(np.moveaxis(dense != 0, 2, 0))
        row, joint = np.nonzero(used)
        slot = (np.cumsum(used, 1) - 1)[row, joint]
        shape = len(dense), max(1, int(used.sum(1).max(initial=0)))
        joint_ids, packed = np.zeros(shape, np.int32), np.zeros((*shape, 4), dtype)
        joint_ids[row, slot], packed[row, slot] = joint, dense[row, joint]
        return RigPoints(torch.from_numpy(joint_ids), torch.from_numpy(packed))

    @staticmethod
    def stack(points: Sequence[RigPoints]) -> RigPoints:
        """Points without normals, one after the other; K is the largest of theirs."""
        slots = max(p.joint_ids.shape[1] for p in points)
        padded = [p.pad_to(slots) for p in points]
        return RigPoints(
            torch.cat([p.joint_ids for p in padded]), torch.cat([p.anchors for p in padded])
        )

    def pad_to(self, slots: int) -> RigPoints:
        """The same points with K = `slots` influences.

        Raises:
            ValueError: the points have more influences.
        """
        extra = slots - self.joint_ids.shape[1]
        if extra < 0:
            raise ValueError(f"slots: expected at least {self.joint_ids.shape[1]}, got {slots}")
        return replace(
            self,
            joint_ids=torch.nn.functional.pad(self.joint_ids, (0, extra)),
            anchors=torch.nn.functional.pad(self.anchors, (0, 0, 0, extra)),
        )

    def mix(self, index: np.ndarray, shares: np.ndarray) -> RigPoints:
        """Mixes of these points: x = Σ_i shares_i · x[index_i]; normals are mixed in the same way.

        Influences of the same joint become one. Sums are taken in float64, in the order of the mix.
        Only for points on the CPU.

        Args:
            index: (P, n) the points of each mix.
            shares: (P, n); a regressor's may be negative.

        Returns:
            P points in the same floating-point type, joints in rising order; K is as small as
            possible, and at least 1.
        """
        pieces = [
            self._mix(index[start : start + CHUNK], shares[start : start + CHUNK])
            for start in range(0, max(len(index), 1), CHUNK)
        ]
        slots = max(piece.joint_ids.shape[1] for piece in pieces)
        padded = [piece.pad_to(slots) for piece in pieces]
        normals = [piece.normals for piece in padded if piece.normals is not None]
        return RigPoints(
            torch.cat([piece.joint_ids for piece in padded]),
            torch.cat([piece.anchors for piece in padded]),
            torch.cat(normals) if normals else None,
        )

    def _mix(self, index: np.ndarray, shares: np.ndarray) -> RigPoints:
        ids, anchors = self.joint_ids.numpy(), self.anchors.numpy()
        point = np.arange(len(index))
        dense = np.zeros((len(index), int(ids.max(initial=0)) + 1, 4))
        for corner, share in zip(index.T, shares.T, strict=True):
            for k in range(ids.shape[1]):
                dense[point, ids[corner, k]] += share[:, None] * anchors[corner, k]
        points = RigPoints.of_dense(dense, anchors.dtype)
        normals = None
        if self.normals is not None:
            mixed = (self.normals.numpy()[index] * shares[..., None].astype(np.float64)).sum(1)
            mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
            normals = torch.from_numpy(mixed).to(self.normals.dtype)
        return replace(points, normals=normals)
