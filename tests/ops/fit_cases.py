"""Problems for `fit`, and the objective once more: in a few lines of torch, straight from the mesh.

A problem is drawn such that float32 can hold it, so that it is the same problem in both types.
Weights that must sum to 1 are multiples of 1/64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bodyreg.body import AXIS_ANGLE
from bodyreg.ops.fit import Evidence, Plan, Rig
from tests.ops.cases import SMPL_PARENTS, Draw

# The joints' names do not matter here: left and right follow each other.
MIRROR = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)
TERMS = (
    "dense", "keypoint", "depth", "facing", "visibility", "prior", "limit", "joint", "exponential",
    "scale_smoothness", "scale_deviation", "scale_symmetry", "scale_level", "scale_limit",
    "upright", "det",
)  # fmt: skip
COUNTS = (33, 0, 1, 257, 7, 32, 0, 64, 5)
"""Points of the people; person 6 has no keypoints either."""


class Problem(NamedTuple):
    """Arguments of `fit_gradient`; of `fit`, with other parameters and another plan."""

    parameters: Tensor
    rig: Rig
    evidence: Evidence
    plan: Plan

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Problem:
        def move(argument):
            if not isinstance(argument, Tensor):
                return argument
            return argument.to(device, dtype if argument.is_floating_point() else None)

        plan = self.plan._replace(settings=self.plan.settings.to(device))
        rig = Rig(*map(move, self.rig))
        return Problem(move(self.parameters), rig, Evidence(*map(move, self.evidence)), plan)

    def with_plan(self, **changes) -> Problem:
        return self._replace(plan=self.plan._replace(**changes))

    def select(self, people: list[int]) -> Problem:
        """The problem of these people alone."""
        seen = self.evidence
        start = seen.point_start.tolist()
        points = [i for b in people for i in range(start[b], start[b + 1])]
        counts = [start[b + 1] - start[b] for b in people]
        own = [x[points].contiguous() for x in seen[1:5]]
        rest = [x[people].contiguous() for x in seen[5:]]
        ends = torch.tensor([0, *counts]).cumsum(0).to(seen.point_start)
        return self._replace(
            parameters=self.parameters[people].contiguous(), evidence=Evidence(ends, *own, *rest)
        )


def row(width: float = float("inf"), rate: float = 0.1, **weights: float) -> list[float]:
    """A settings row."""
    return [*(weights.get(term, 0.0) for term in TERMS), width, rate]


def every_term(width: float = 0.3) -> list[float]:
    """A settings row in which every term counts."""
    weights = {term: 0.1 + 0.05 * i for i, term in enumerate(TERMS)}
    return row(width, **weights)


def plan(*rows: list[float], phases: tuple[int, ...] = (), six: bool = False, refresh: int = 1):
    settings = torch.tensor(rows, dtype=torch.float64)
    return Plan(settings, phases or (0, len(rows) - 1, 1), 0.3, 12.0, 0.6, 1.7, six, refresh)


def shares(draw: Draw, *shape: int) -> Tensor:
    """(..., n) multiples of 1/64 that sum to 1, some of them zero."""
    cuts = draw.integers(65, *shape[:-1], shape[-1] - 1).sort(-1).values.double() / 64
    zero, one = torch.zeros_like(cuts[..., :1]), torch.ones_like(cuts[..., :1])
    return torch.diff(torch.cat([zero, cuts, one], -1))


def rig_points(draw: Draw, places: Tensor, joints: int = 4) -> tuple[Tensor, Tensor]:
    """Ids and anchors of points at these places, (P, 3), that hang on different joints each."""
    order = torch.stack([torch.randperm(24, generator=draw.generator) for _ in places])
    weights = shares(draw, len(places), joints)
    order[::2, -1] = 0  # every other point has less joints: its last slot is padding
    weights[::2, 0] += weights[::2, -1]
    weights[::2, -1] = 0
    homogeneous = torch.cat([places, torch.ones_like(places[:, :1])], 1)
    anchors = weights[..., None] * homogeneous[:, None]
    return order[:, :joints].to(torch.int32), anchors.float().double()


def unit(vectors: Tensor) -> Tensor:
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def make_rig(draw: Draw, keypoints: int, vertices: int = 40) -> Rig:
    joints = 0.5 * draw.normal(24, 3)
    ids, anchors = rig_points(draw, draw.normal(vertices, 3))
    marks, mark_anchors = rig_points(draw, draw.normal(keypoints + 1, 3))
    # The pelvis and every other keypoint are joints.
    for j in range(0, keypoints + 1, 2):
        marks[j] = torch.tensor([(5 * j) % 24, 0, 0, 0])
        mark_anchors[j] = 0
        mark_anchors[j, 0] = torch.cat([joints[(5 * j) % 24], torch.ones(1).double()])
    inverse_spread = draw.uniform(0.5, 4, 24, 3)
    middle, half = 0.3 * draw.normal(24, 3), draw.uniform(0.1, 0.6, 24, 3)
    mode = draw.normal(24, 3, 24)
    inverse_spread[0] = middle[0] = mode[0] = 0  # the root's pose is zero and costs nothing
    return Rig(
        joints, SMPL_PARENTS, ids, anchors, unit(draw.normal(vertices, 3)).float().double(),
        marks, mark_anchors,
        torch.stack([0.2 * draw.normal(24, 3), inverse_spread, middle - half, middle + half])
        .float().double(),
        mode.float().double(), torch.tensor([0.4, -0.001, 0.2, 0, *20 * [0.01]]).double(),
        MIRROR, unit(draw.normal(24, 6, 3)).float().double(), shares(draw, 24, 6),
    )  # fmt: skip


def make_evidence(draw: Draw, counts: tuple[int, ...], keypoints: int, vertices: int) -> Evidence:
    people, points = len(counts), sum(counts)
    present = (draw.uniform(0, 1, people, keypoints) < 0.8).double()
    deep = present * (draw.uniform(0, 1, people, keypoints) < 0.7)
    if people > 6:
        present[6] = deep[6] = 0
    absent = float("nan")
    return Evidence(
        torch.tensor([0, *counts]).cumsum(0),
        torch.stack([torch.randperm(vertices, generator=draw.generator)[:3] for _ in range(points)])
        .to(torch.int32) if points else torch.zeros(0, 3, dtype=torch.int32),
        shares(draw, points, 3), draw.normal(points, 2),
        draw.uniform(0, 1, points) * (draw.uniform(0, 1, points) < 0.9),
        torch.where(present[..., None] > 0, draw.normal(people, keypoints, 2), absent),
        present * draw.uniform(0.5, 1, people, keypoints),
        torch.where(deep > 0, draw.normal(people, keypoints), absent),
        deep * draw.uniform(0.5, 1, people, keypoints),
        torch.zeros(people, 3, dtype=torch.float64),
    )  # fmt: skip


def make_parameters(draw: Draw, people: int) -> Tensor:
    """Random, and people of every ill kind: see the comments."""
    pose = 0.5 * draw.normal(people, 24, 3)
    scale = 1 + 0.3 * draw.normal(people, 24)
    rotation = draw.normal(people, 3, 3)
    rotation = rotation * torch.linalg.det(rotation).sign()[:, None, None]
    camera = torch.cat([draw.normal(people, 2), draw.uniform(0.5, 1.5, people, 1)], 1)
    if people > 7:
        pose[1] = 0  # the rest pose
        pose[2, 1:] *= 12  # whole turns and more
        scale[3, ::2] = -scale[3, ::2]  # negative scales
        scale[4] *= 1e-4  # tiny ones
        rotation[5] *= -1  # a reflection
        camera[7, 2] *= -1  # a negative camera scale
    return torch.cat([pose.flatten(1), scale, rotation.flatten(1), camera], 1).float().double()


def problem(
    counts: tuple[int, ...] = COUNTS, keypoints: int = 7, *, six: bool = False, seed: int = 0
) -> Problem:
    draw = Draw(seed)
    rig = make_rig(draw, keypoints)
    evidence = make_evidence(draw, counts, keypoints, len(rig.vertex_ids))
    return Problem(make_parameters(draw, len(counts)), rig, evidence, plan(every_term(), six=six))


def objective(case: Problem) -> Tensor:
    """(B, T) unweighted terms, differentiable by the parameters."""
    (_, rig, seen, rules), p = case, AXIS_ANGLE.split(case.parameters)
    pose, scale = torch.cat([torch.zeros_like(p.pose[:, :1]), p.pose[:, 1:]], 1), p.segment_scale
    camera = orthonormal(p.rotation, rules.six_numbers)
    turn, place = chain(pose, scale, rig)
    turned = camera[:, None] @ turn
    view = (rays(case)[:, :, None] @ turned)[:, :, 0]  # (B, 24, 3): times a normal, its z
    linear = scale[..., None, None] * turn
    offset = place - (linear @ rig.joints[..., None])[..., 0]
    transforms = torch.cat([linear, offset[..., None]], -1)

    def image(ids: Tensor, anchors: Tensor) -> Tensor:
        """(B, P, 3): x and y with the translation, z without."""
        moved = (transforms[:, ids.long()] @ anchors[..., None]).sum(2)[..., 0]
        seen_at = p.scale[:, None, None] * (moved @ camera.mT)
        return torch.cat([seen_at[..., :2] + p.translation[:, None], seen_at[..., 2:]], -1)

    terms = of_points(image(rig.vertex_ids, rig.vertex_anchors), view, case)
    marks = image(rig.keypoint_ids, rig.keypoint_anchors)
    shown = in_picture(marks[:, 1:], seen.perspective)
    error = (shown - seen.keypoint_xy.nan_to_num()).square().sum(-1)
    terms["keypoint"] = (error * seen.keypoint_weight).sum(1)
    deep = marks[:, 1:, 2] - marks[:, :1, 2] - seen.keypoint_depth.nan_to_num()
    terms["depth"] = (deep.square() * seen.depth_weight).sum(1)

    mean, inverse_spread, low, high = rig.pose_terms
    terms["prior"] = ((pose - mean) * inverse_spread).square().sum((1, 2))
    for mode, weight in zip(rig.mode.unbind(-1), rig.mode_weight, strict=True):
        terms["prior"] = terms["prior"] + weight * ((pose - mean) * mode).sum((1, 2)).square()
    outside = (low - pose).clamp_min(0).square() + (pose - high).clamp_min(0).square()
    terms["limit"] = outside[:, 1:].sum((1, 2))  # the root's limits do not count
    terms["joint"] = pose.square().sum((1, 2))
    bent = torch.stack([-pose[:, 4, 0], -pose[:, 5, 0], pose[:, 18, 1], -pose[:, 19, 1]], 1)
    terms["exponential"] = bent.clamp_max(10).exp().sum(1)
    bones = scale[:, 1:] - scale[:, list(rig.parents[1:])]
    terms["scale_smoothness"] = bones.square().sum(1)
    terms["scale_deviation"] = (scale - scale.mean(1, keepdim=True)).square().sum(1)
    terms["scale_symmetry"] = (scale - scale[:, list(rig.mirror)]).square().sum(1) / 2
    terms["scale_level"] = (scale - 1).square().sum(1)
    small, large = rules.scale_low - scale, scale - rules.scale_high
    terms["scale_limit"] = (small.clamp_min(0).square() + large.clamp_min(0).square()).sum(1)
    terms["upright"] = camera[:, 2, 1].square()
    terms["det"] = (-torch.linalg.det(p.rotation)).exp()
    return torch.stack([terms[term] for term in TERMS], 1)


def of_points(vertices: Tensor, view: Tensor, case: Problem) -> dict[str, Tensor]:
    """Dense, facing and visibility, person by person."""
    _, rig, seen, rules = case
    width = rules.settings[0, len(TERMS)].item()
    starts, sums = seen.point_start.tolist(), []
    for b in range(len(vertices)):
        own = slice(starts[b], starts[b + 1])
        corner, mix = seen.point_vertex[own].long(), seen.point_barycentric[own]
        w = seen.point_weight[own]
        weak = (vertices[b][corner] * mix[..., None]).sum(1)
        at = in_picture(weak[None], seen.perspective[b : b + 1])[0]
        q = (at - seen.point_xy[own]).square().sum(1)
        normal = unit((rig.vertex_normals[corner] * mix[..., None]).sum(1))
        z = (view[b][segments(rig, corner, mix)] * normal).sum(1)
        likely = softplus(rules.visibility_sharpness * z).log()
        all_z = rules.visibility_sharpness * (rig.surface_normals @ view[b][:, :, None])[..., 0]
        typical = (softplus(all_z) * rig.surface_area).sum(1).log()[segments(rig, corner, mix)]
        hinge = (rules.facing_margin - z).clamp_min(0).square()
        sums.append(
            torch.stack(
                [
                    (w * q / (1 + q / width**2)).sum(),
                    (w * hinge).sum(),
                    (w * (typical - likely)).sum(),
                ]
            )
        )
    dense, facing, visibility = torch.stack(sums).unbind(1)
    return {"dense": dense, "facing": facing, "visibility": visibility}


def in_picture(weak: Tensor, perspective: Tensor) -> Tensor:
    """(B, P, 3) weak images and depths, (B, 3) -> (B, P, 2) where a near camera sees them."""
    inverse_focal, centre = perspective[:, None, :1], perspective[:, None, 1:]
    away = inverse_focal * weak[..., 2:]
    return weak[..., :2] + (weak[..., :2] - centre) * (away / (1 - away).clamp_min(0.1))


def rays(case: Problem) -> Tensor:
    """(B, 24, 3) unit vectors from the weighted mean of a segment's points to the camera."""
    _, rig, seen, _ = case
    starts, out = seen.point_start.tolist(), []
    for b, (inverse_focal, *centre) in enumerate(seen.perspective.tolist()):
        own = slice(starts[b], starts[b + 1])
        segment = segments(rig, seen.point_vertex[own].long(), seen.point_barycentric[own])
        for k in range(24):
            w = torch.where(segment == k, seen.point_weight[own], 0)
            used = w > 0
            middle = (w[used, None] * seen.point_xy[own][used]).sum(0) / w.sum()
            away = inverse_focal * (torch.tensor(centre).to(middle) - middle)
            away = away if used.any() and inverse_focal else torch.zeros_like(away)
            out.append(unit(torch.cat([away, torch.ones_like(away[:1])])))
    return torch.stack(out).view(-1, 24, 3) if out else seen.perspective.new_zeros(0, 24, 3)


def perspectives(people: int, seed: int = 0) -> Tensor:
    """(B, 3) numbers that float32 can hold: two of three are near, the middle is anywhere."""
    draw = Draw(seed + 50)
    perspective = torch.cat([draw.uniform(0.01, 0.5, people, 1), 2 * draw.normal(people, 2)], 1)
    perspective[::3] = 0
    return perspective.float().double()


def in_perspective(case: Problem, seed: int = 0) -> Problem:
    """The same people, two of three in perspective."""
    perspective = perspectives(len(case.parameters), seed).to(case.parameters)
    return case._replace(evidence=case.evidence._replace(perspective=perspective))


def on_one_branch(case: Problem, seed: int = 0) -> Problem:
    """The same people with all points on the way from the pelvis to a hand; keypoints are joints.

    Without points between branches of the tree the normal matrix is complete, and so positive.
    """
    draw = Draw(seed)
    way = [22]
    while way[-1] > 0:
        way.append(SMPL_PARENTS[way[-1]])
    rig, count = case.rig, case.rig.vertex_ids.shape[1]
    order = [torch.randperm(len(way), generator=draw.generator)[:count] for _ in rig.vertex_ids]
    ids = torch.tensor(way, dtype=torch.int32)[torch.stack(order)].to(rig.vertex_ids)
    marks, anchors = rig.keypoint_ids.clone(), torch.zeros_like(rig.keypoint_anchors)
    marks[:, 0] = torch.randperm(24, generator=draw.generator)[: len(marks)]
    anchors[:, 0, :3] = rig.joints[marks[:, 0].long()]
    anchors[:, 0, 3] = 1
    return case._replace(
        rig=rig._replace(vertex_ids=ids, keypoint_ids=marks, keypoint_anchors=anchors)
    )


def segments(rig: Rig, corner: Tensor, mix: Tensor) -> Tensor:
    """(P,) the joint of the largest weight at each point, the lowest of equals."""
    each = rig.vertex_anchors[..., 3][corner] * mix[..., None]
    total = each.new_zeros(len(corner), 24)
    total.scatter_add_(1, rig.vertex_ids.long()[corner].flatten(1), each.flatten(1))
    return total.argmax(1)


def chain(pose: Tensor, scale: Tensor, rig: Rig) -> tuple[Tensor, Tensor]:
    """Rotations (B, 24, 3, 3) and positions (B, 24, 3) of the joints."""
    zero = torch.zeros_like(pose[..., 0])
    x, y, z = pose.unbind(-1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    own = torch.linalg.matrix_exp(skew)
    turn, place = [own[:, 0]], [rig.joints[0].expand(len(pose), 3)]
    for k in range(1, 24):
        q = rig.parents[k]
        bone = turn[q] @ (rig.joints[k] - rig.joints[q])
        turn.append(turn[q] @ own[:, k])
        place.append(place[q] + scale[:, q, None] * bone)
    return torch.stack(turn, 1), torch.stack(place, 1)


def orthonormal(raw: Tensor, six: bool) -> Tensor:
    a, b, c = raw.unbind(-1)
    e = unit(a)
    f = unit(b - (e * b).sum(-1, keepdim=True) * e)
    g = torch.linalg.cross(e, f)
    if not six:
        g = unit(c - (e * c).sum(-1, keepdim=True) * e - (f * c).sum(-1, keepdim=True) * f)
    return torch.stack([e, f, g], -1)


def softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def with_gradient(case: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """What `fit_gradient` returns, by autograd."""
    x = case.parameters.clone().requires_grad_()
    weights = case.plan.settings[0, : len(TERMS)].to(x)
    wanted = weights.nonzero()[:, 0]  # the others may be infinite
    some = objective(case._replace(parameters=x))[:, wanted] * weights[wanted]
    loss = some.sum(1)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    terms = x.new_zeros(len(x), len(TERMS)).index_copy(1, wanted, some.detach())
    return loss.detach(), gradient, terms
