"""The objective of `bodyreg.registration` in as few torch operations as possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.peers.grid import Seen, Skeleton
from bodyreg.body import AXIS_ANGLE
from bodyreg.body.rotations import rotation_matrices
from bodyreg.ops.fit import Plan
from bodyreg.registration import losses
from bodyreg.registration.losses import TERMS

WIDTH = len(TERMS)
"""Column of the robust function's width in a row of settings."""


class Numbers(NamedTuple):
    """The values of a plan besides its settings, and its terms with a weight."""

    terms: tuple[str, ...]
    robust: bool
    facing_margin: float
    visibility_sharpness: float
    scale_low: float
    scale_high: float
    six_numbers: bool


def numbers_of(plan: Plan) -> Numbers:
    final = plan.settings[-1].tolist()
    return Numbers(
        tuple(term for term, weight in zip(TERMS, final, strict=False) if weight > 0),
        final[WIDTH] < float("inf"),
        plan.facing_margin,
        plan.visibility_sharpness,
        plan.scale_low,
        plan.scale_high,
        plan.six_numbers,
    )


def objective(flat: Tensor, row: Tensor, body: Skeleton, seen: Seen, numbers: Numbers) -> Tensor:
    """(B,108) parameters -> (B,) losses under a row of settings."""
    pose, scale, raw, shift, size = flat.split(AXIS_ANGLE.sizes, 1)
    pose = pose.unflatten(1, AXIS_ANGLE.pose)
    pose = torch.cat((torch.zeros_like(pose[:, :1]), pose[:, 1:]), 1)
    raw = raw.unflatten(1, (3, 3))
    camera = _orthonormal(raw, numbers.six_numbers)
    chain = posed(rotation_matrices(pose.transpose(0, 1)), scale.T, camera, body)
    rows = columns_of(chain, scale.T, size).permute(1, 2, 0, 3).flatten(2)
    gap = points_of(rows, body, seen) + shift[..., None] - seen.xy
    square = gap.square().sum(1)
    terms = _of_parameters(pose, scale, raw, camera, body, numbers)
    if "dense" in numbers.terms:
        width = row[WIDTH].square()
        loss = square * width / (width + square) if numbers.robust else square
        terms["dense"] = (loss * seen.point_weight).sum(1)
    if "keypoint" in numbers.terms:
        terms["keypoint"] = (square * seen.keypoint_weight).sum(1)
    if "depth" in numbers.terms:
        z = rows[:, 2] @ body.offsets.T
        terms["depth"] = losses.depth(z, seen.depth, seen.depth_weight)
    if "facing" in numbers.terms or "visibility" in numbers.terms:
        terms |= _of_normals(chain[:, :, 2, :3], body, seen, numbers)
    return sum(row[TERMS.index(term)] * terms[term] for term in numbers.terms)


def _of_parameters(
    pose: Tensor, scale: Tensor, raw: Tensor, camera: Tensor, body: Skeleton, numbers: Numbers
) -> dict[str, Tensor]:
    mean, inverse_spread, low, high = body.pose_terms
    ends = torch.arange(1, 24, device=pose.device)
    functions: dict[str, Callable[[], Tensor]] = {
        "prior": lambda: losses.prior(pose, mean, inverse_spread, body.mode, body.mode_weight),
        "limit": lambda: losses.limit(pose, low, high),
        "joint": lambda: losses.joint(pose),
        "exponential": lambda: losses.exponential(pose),
        "scale_smoothness": lambda: losses.scale_smoothness(scale, ends, body.parent[1:]),
        "scale_deviation": lambda: losses.scale_deviation(scale),
        "scale_symmetry": lambda: losses.scale_symmetry(scale, body.left, body.right),
        "scale_level": lambda: losses.scale_level(scale),
        "scale_limit": lambda: losses.scale_limit(scale, numbers.scale_low, numbers.scale_high),
        "upright": lambda: losses.upright(camera),
        "det": lambda: losses.det(raw),
    }
    return {term: functions[term]() for term in numbers.terms if term in functions}


def _of_normals(view: Tensor, body: Skeleton, seen: Seen, numbers: Numbers) -> dict[str, Tensor]:
    """Facing and visibility; `view` (J,B,3) is the line of sight in each joint's axes."""
    points = seen.normals.shape[2]
    normal_z = per_person(view.transpose(0, 1).flatten(1)[:, None], seen.normals)[:, 0]
    weight, terms = seen.point_weight[:, :points], {}
    if "facing" in numbers.terms:
        terms["facing"] = losses.facing(normal_z, weight, numbers.facing_margin)
    if "visibility" in numbers.terms:
        surface_z = torch.bmm(view, body.surface_normals.mT).transpose(0, 1)
        terms["visibility"] = losses.visibility(
            normal_z, weight, surface_z, body.surface_area, seen.segment_weight,
            numbers.visibility_sharpness,
        )  # fmt: skip
    return terms


def _orthonormal(raw: Tensor, six: bool) -> Tensor:
    """(B,3,3) -> its columns orthonormal, by Gram-Schmidt."""
    a, b, c = raw.unbind(-1)
    e1 = a / torch.linalg.vector_norm(a, dim=-1, keepdim=True)
    b = b - (e1 * b).sum(-1, keepdim=True) * e1
    e2 = b / torch.linalg.vector_norm(b, dim=-1, keepdim=True)
    e3 = torch.linalg.cross(e1, e2)
    if not six:
        e3 = e3 * (e3 * c).sum(-1, keepdim=True).sign()
    return torch.stack((e1, e2, e3), -1)


def posed(turns: Tensor, scale: Tensor, camera: Tensor, body: Skeleton) -> Tensor:
    """[C_k | P_k] (J,B,3,4) in the picture's axes: the camera rotates the root, without scale.

    Args:
        turns: (J,B,3,3) rotations of the joints.
        scale: (J,B) segment scales.
        camera: (B,3,3).
    """
    shift = scale[body.parent][..., None] * body.bones
    last = turns.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*turns.shape[:2], 1, 4)
    local = torch.cat((torch.cat((turns, shift[..., None]), -1), last), -2)
    root = torch.cat((camera, (camera @ body.joints[0])[..., None]), -1)
    chain = [root[None]]
    for begin, end, up in body.levels:
        above = chain[-1] if up is None else chain[-1][up]
        level = torch.bmm(above.flatten(0, 1), local[begin:end].flatten(0, 1))
        chain.append(level.unflatten(0, (end - begin, -1)))
    return torch.cat(chain)


def columns_of(chain: Tensor, scale: Tensor, size: Tensor) -> Tensor:
    """[s S_k C_k | s P_k] (J,B,3,4)."""
    factors = torch.cat((scale[..., None].expand(-1, -1, 3), torch.ones_like(scale)[..., None]), -1)
    return chain * (factors * size)[..., None, :]


def _pick(vertices: Tensor, seen: Seen) -> Tensor:
    """(B,2,V) on the picture -> (B,2,P)."""
    people, _, points = len(vertices), 2, seen.corners.shape[1]
    index = seen.corners.flatten(1)[:, None].expand(-1, 2, -1)
    corners = vertices.gather(2, index).view(people, 2, points, 3)
    return (corners * seen.shares[:, None]).sum(-1)


def points_of(rows: Tensor, body: Skeleton, seen: Seen) -> Tensor:
    """(B,3,96) rows of all columns -> (B,2,P+K) points and keypoints, without translation."""
    if seen.anchors is not None:
        return per_person(rows[:, :2], seen.anchors.mT)
    if body.mesh is None:
        mesh = _blended(rows.unflatten(2, (-1, 4)), body)
    else:
        mesh = (rows.flatten(0, 1) @ body.mesh).unflatten(0, (-1, 3))
    marks = rows[:, :2] @ body.keypoints.T
    return torch.cat((_pick(mesh[:, :2], seen), marks), -1)


def per_person(rows: Tensor, matrices: Tensor) -> Tensor:
    """(B·C,r,n) rows of C candidates times the person's matrix (B,n,m), which is read once."""
    product = torch.bmm(rows.reshape(len(matrices), -1, rows.shape[2]), matrices)
    return product.view(*rows.shape[:2], -1)


def _blended(rows: Tensor, body: Skeleton) -> Tensor:
    """(B,3,J,4) -> (B,3,V): each vertex moved by a mix of the joints' matrices."""
    offset = rows[..., 3] - (rows[..., :3] * body.joints).sum(-1)
    joints = torch.cat((rows[..., :3], offset[..., None]), -1).transpose(1, 2).flatten(2)
    matrices = (body.weights @ joints).unflatten(2, (3, 4))
    return (matrices * body.rest[:, None]).sum(-1).mT
