"""Inputs of the benchmarks of single ops: the built-in body, 64 people, float32."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from bodyreg.body import Body

PEOPLE = 64
POINTS = 120  # matched points of a person
FLOAT = torch.float32


@dataclass(frozen=True)
class Rig:
    """The built-in body as tensors."""

    parents: tuple[int, ...]
    joints: Tensor  # (J, 3)
    joint_ids: Tensor  # (V, K)
    anchors: Tensor  # (V, K, 4)

    @property
    def influences(self) -> int:
        """Number of influences that are not padding."""
        return int((self.anchors != 0).any(-1).sum())


@functools.cache
def rig(device: str) -> Rig:
    body = Body.default()
    points = body.vertex_points()
    return Rig(
        tuple(body.parents),
        torch.as_tensor(body.joints, dtype=FLOAT, device=device),
        points.joint_ids.to(device).contiguous(),
        points.anchors.to(device, FLOAT).contiguous(),
    )


def rotations(generator: torch.Generator, *shape: int) -> Tensor:
    """Random rotations (..., 3, 3)."""
    q, r = torch.linalg.qr(torch.randn(*shape, 3, 3, generator=generator))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    return (q * torch.linalg.det(q).sign()[..., None, None]).contiguous()


def pose(seed: int, device: str) -> tuple[Tensor, Tensor]:
    """Rotations (B, J, 3, 3) and segment scales (B, J), both with gradients."""
    generator = torch.Generator().manual_seed(seed)
    joints = len(rig(device).parents)
    scale = 0.8 + 0.4 * torch.rand(PEOPLE, joints, generator=generator)
    return leaf(rotations(generator, PEOPLE, joints), device), leaf(scale, device)


def transforms(seed: int, device: str) -> Tensor:
    """Segment transforms (B, J, 3, 4), with gradients."""
    from bodyreg import reference

    turn, scale = pose(seed, device)
    with torch.no_grad():
        posed, _ = reference.kinematics(turn, scale, rig(device).joints, rig(device).parents)
    return leaf(posed, device)


def camera(seed: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation (B, 3, 3), scale (B,) and translation (B, 2), all with gradients."""
    generator = torch.Generator().manual_seed(seed)
    return (
        leaf(rotations(generator, PEOPLE), device),
        leaf(0.8 + 0.4 * torch.rand(PEOPLE, generator=generator), device),
        leaf(0.1 * torch.randn(PEOPLE, 2, generator=generator), device),
    )


def matches(seed: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rig points on random faces (B, P, K), their anchors, targets and weights."""
    body = Body.default()
    generator = torch.Generator().manual_seed(seed)
    count = PEOPLE * POINTS
    face = torch.randint(len(body.faces), (count,), generator=generator).numpy()
    barycentric = torch.distributions.Dirichlet(torch.ones(3)).sample((count,)).numpy()
    points = body.surface_points(body.faces[face], barycentric)
    slots = points.joint_ids.shape[-1]
    return (
        points.joint_ids.reshape(PEOPLE, POINTS, slots).to(device).contiguous(),
        points.anchors.reshape(PEOPLE, POINTS, slots, 4).to(device, FLOAT).contiguous(),
        torch.randn(PEOPLE, POINTS, 2, generator=generator).to(device),
        torch.rand(PEOPLE, POINTS, generator=generator).to(device),
    )


def leaf(tensor: Tensor, device: str) -> Tensor:
    return tensor.detach().to(device, FLOAT).contiguous().requires_grad_()
