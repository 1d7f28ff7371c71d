"""The gradient by hand: forces and torques on the joints, without autograd's graph."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.peers.grid import Seen, Skeleton
from benchmarks.peers.objective import columns_of, per_person, points_of, posed
from bodyreg.body import AXIS_ANGLE
from bodyreg.registration import losses
from bodyreg.registration.losses import TERMS

HAND_MADE = (
    "dense", "keypoint", "depth", "joint", "exponential", "scale_smoothness", "scale_level", "det",
)  # fmt: skip
"""The terms with a gradient by hand."""


def gradient(flat: Tensor, row: Tensor, body: Skeleton, seen: Seen) -> Tensor:
    """(B,108) parameters -> (B,108) gradient of the terms `HAND_MADE` under a row of settings."""
    people, weight = len(flat), dict(zip(TERMS, row.unbind(), strict=False))
    pose, scale, raw, shift, size = flat.split(AXIS_ANGLE.sizes, 1)
    pose = torch.cat((torch.zeros_like(pose[:, :3]), pose[:, 3:]), 1)
    pose = pose.view(people, *AXIS_ANGLE.pose).transpose(0, 1).contiguous()
    scale, shift, raw = scale.T, shift[..., None], raw.view(people, 3, 3)

    angle_square = pose.square().sum(-1, keepdim=True) + 1e-30
    angle = angle_square.sqrt()
    sine = (0.5 * angle).sin()
    second = 2 * sine.square() / angle_square  # (1 - cos θ)/θ²
    sinc = 2 * sine * (0.5 * angle).cos() / angle
    turns = _rodrigues(pose, sinc, second, 1 - second * angle_square)
    camera, triangle, sign = _gram_schmidt(raw)
    chain = posed(turns, scale, camera, body)
    columns = columns_of(chain, scale, size)
    rows = columns.permute(1, 2, 0, 3).flatten(2)

    # Forces on the columns: ∂L/∂[A_k | P_k].
    gap = points_of(rows, body, seen) + shift - seen.xy
    trust = weight["dense"] * seen.point_weight + weight["keypoint"] * seen.keypoint_weight
    pull = gap * (2 * trust)[:, None]
    depth = torch.addmm(-seen.depth, rows[:, 2], body.offsets.T)
    pull_z = (depth * (2 * weight["depth"] * seen.depth_weight)) @ body.offsets
    forces = torch.cat((_points_adjoint(pull, body, seen), pull_z[:, None]), 1)
    forces = forces.view(people, 3, 24, 4).permute(2, 0, 1, 3)

    # Sum forces and torques of all joints below a joint; the torque about the joint rotates it.
    force = forces[..., 3]
    torque = torch.linalg.cross(columns, forces, dim=2).sum(-1)
    both = (body.below @ torch.cat((force, torque), -1).view(24, -1)).view(24, people, 6)
    force, torque = both.split(3, -1)
    position = columns[..., 3]
    own = torque - torch.linalg.cross(position, force)
    own = (chain[..., :3] * own[..., None]).sum(-2) * sign
    slope_pose = (
        sinc * own
        + second * torch.linalg.cross(pose, own)
        + ((1 - sinc) / angle_square * (pose * own).sum(-1, keepdim=True)) * pose
        + (2 * weight["joint"]) * pose
        + weight["exponential"] * body.bend * _bounded_exp(body.bend * pose)
    )
    slope_pose[0] = 0

    work = (columns * forces).sum(2)
    stretch = (force * (position - position[body.parent])).sum(-1)
    slope_scale = (work[..., :3].sum(-1) + body.children @ stretch) / scale
    slope_scale = (
        slope_scale
        + (2 * weight["scale_smoothness"]) * (body.laplace @ scale)
        + (2 * weight["scale_level"]) * (scale - 1)
    )
    slope_size = work.sum((0, 2))[:, None] / size
    slope_raw = _gram_schmidt_adjoint(torque[0], camera, triangle, sign)
    slope_raw = slope_raw - _det_adjoint(raw, weight["det"])
    return torch.cat(
        (
            slope_pose.transpose(0, 1).flatten(1),
            slope_scale.T,
            slope_raw.flatten(1),
            force[0, :, :2],
            slope_size,
        ),
        1,
    )


def _points_adjoint(pull: Tensor, body: Skeleton, seen: Seen) -> Tensor:
    """(B,2,P+K) forces on points and keypoints -> (B,2,96) on the columns."""
    if seen.anchors is not None:
        return per_person(pull, seen.anchors)
    points = seen.corners.shape[1]
    shared = (pull[..., :points, None] * seen.shares[:, None]).flatten(2)
    index = seen.corners.flatten(1)[:, None].expand(-1, 2, -1)
    mesh = pull.new_zeros(len(pull), 2, body.mesh.shape[1]).scatter_add_(2, index, shared)
    return (mesh.flatten(0, 1) @ body.mesh.T).unflatten(0, (-1, 2)) + (
        pull[..., points:] @ body.keypoints
    )


def _rodrigues(vectors: Tensor, sinc: Tensor, second: Tensor, cos: Tensor) -> Tensor:
    x, y, z = (sinc * vectors).unbind(-1)
    c = cos[..., 0]
    cross = torch.stack((c, -z, y, z, c, -x, -y, x, c), -1).unflatten(-1, (3, 3))
    return torch.addcmul(cross, (second * vectors)[..., :, None], vectors[..., None, :])


def _gram_schmidt(raw: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Tensor]:
    """Orthonormal columns (B,3,3), the triangle's r11, r12 and r22, the determinant's sign."""
    a, b, c = raw.unbind(-1)
    r11 = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
    e1 = a / r11
    r12 = (e1 * b).sum(-1, keepdim=True)
    b = b - r12 * e1
    r22 = torch.linalg.vector_norm(b, dim=-1, keepdim=True)
    e2 = b / r22
    e3 = torch.linalg.cross(e1, e2)
    sign = (e3 * c).sum(-1, keepdim=True).sign()
    return torch.stack((e1, e2, e3 * sign), -1), (r11, r12, r22), sign


def _gram_schmidt_adjoint(
    torque: Tensor, camera: Tensor, triangle: tuple[Tensor, Tensor, Tensor], sign: Tensor
) -> Tensor:
    """The torque about the origin (B,3) as a gradient of the raw matrix (B,3,3)."""
    r11, r12, r22 = triangle
    _, e2, e3 = camera.unbind(-1)
    k1, k2, k3 = (sign * (camera * torque[..., None]).sum(1)).split(1, -1)
    first = (k3 * e2 - (k2 + k1 * r12 / r22) * e3) / r11
    return torch.stack((first, k1 / r22 * e3, torch.zeros_like(e3)), -1)


def _det_adjoint(raw: Tensor, weight: Tensor) -> Tensor:
    """Gradient of -exp(-det) (B,3,3): weight · exp(-det) times the cofactors."""
    cofactors = torch.linalg.cross(raw[..., [1, 2, 0]], raw[..., [2, 0, 1]], dim=1)
    det = (cofactors[..., 0] * raw[..., 0]).sum(-1)
    return (weight * (-det).exp())[:, None, None] * cofactors


def _bounded_exp(angles: Tensor) -> Tensor:
    """exp, with 0 for clamped angles."""
    return torch.where(angles > losses.MAX_EXPONENT, 0.0, angles.exp())
