"""What `bodyreg.ops.fit` does, in plain torch, as fast as plain torch goes: the peers of its table.

`fit` here takes what the op takes, ragged points included, and returns what Adam ends with. Two
ways to the gradient:

- "autograd": the objective of `bodyreg.registration`, every term, differentiated by torch;
- "by hand": forces and torques on the joints in place of autograd's graph, for the terms of the
  preset `paper`.

and two to the matched points:

- they are skinned alone, as one matrix product per person of a dense (P, 96) matrix of anchors;
- or the whole mesh is skinned, one matrix product for everybody, and the points are picked from it.

Whatever either can save over the package's reference is saved: the camera is the root of the
kinematic chain, so nothing is projected; a level of joints is one product of 3 x 4 matrices; the
parameters are one tensor. `compiled=True` runs each step through torch.compile.

Shapes: B people (times candidates), J = 24 joints, P points and K keypoints, both padded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration import losses
from bodyreg.registration.rotations import rotation_matrices
from bodyreg.registration.schedule import TERMS
from bodyreg.registration.solver import EPSILON, FIRST_DECAY, SECOND_DECAY

WEIGHTS = slice(0, len(TERMS))
WIDTH, RATE = len(TERMS), len(TERMS) + 1
HAND_MADE = (
    "dense", "keypoint", "depth", "joint", "exponential", "scale_smoothness", "scale_level", "det",
)  # fmt: skip
"""The terms whose gradient is written by hand."""
ADAM = 0


class Skeleton(NamedTuple):
    """The body's constants, in matrices that act on all joints at once.

    Attributes:
        joints (J,3), bones (J,1,3): positions, and what each joint has beyond its parent.
        parent (J,): the root's is itself.
        levels: per level of the tree, its first and last joint and where their parents stand in
            the level above; None where they stand in the same order.
        below (J,J): 1 where a column's joint hangs on a row's; children (J,J): next to it.
        laplace (J,J): of the graph of bones.
        bend (J,1,3): signs of the angles that hyper-extend, else 0.
        mesh (96,V): all vertices as one matrix of anchors.
        keypoints (K,96): anchors of keypoints; offsets (K,96): less the pelvis'.
        pose_terms, surface_normals, surface_area: as in `ops.fit.Rig`.
        left, right: the pairs of joints of the two sides.
    """

    joints: Tensor
    bones: Tensor
    parent: Tensor
    levels: tuple[tuple[int, int, Tensor | None], ...]
    below: Tensor
    children: Tensor
    laplace: Tensor
    bend: Tensor
    mesh: Tensor
    keypoints: Tensor
    offsets: Tensor
    pose_terms: Tensor
    surface_normals: Tensor
    surface_area: Tensor
    left: Tensor
    right: Tensor


class Seen(NamedTuple):
    """Evidence on a grid: the keypoints stand behind the points.

    Attributes:
        anchors (B,P+K,96): of points and keypoints; of the whole mesh, None.
        corners (B,P,3), shares (B,P,3): where the points are on the mesh; else None.
        xy (B,2,P+K): targets, frame units.
        point_weight, keypoint_weight (B,P+K): each zero where the other counts.
        depth, depth_weight (B,K).
        normals (B,J*3,P): rest normals in the rows of their segment; segment_weight (B,J).
    """

    anchors: Tensor | None
    corners: Tensor | None
    shares: Tensor | None
    xy: Tensor
    point_weight: Tensor
    keypoint_weight: Tensor
    depth: Tensor
    depth_weight: Tensor
    normals: Tensor
    segment_weight: Tensor

    def repeat(self, times: int) -> Seen:
        """Every person `times` times in a row."""
        if times == 1:
            return self
        return Seen(*(x if x is None else x.repeat_interleave(times, 0) for x in self))


class Numbers(NamedTuple):
    """What a plan says besides its settings, and which of its terms have a weight."""

    terms: tuple[str, ...]
    robust: bool
    facing_margin: float
    visibility_sharpness: float
    scale_low: float
    scale_high: float
    six_numbers: bool


def fit(
    start: Tensor,
    rig: Rig,
    evidence: Evidence,
    plan: Plan,
    gradient: str = "autograd",
    *,
    whole_mesh: bool = False,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Follow a plan of Adam.

    Args:
        start: (B,C,108) parameters of C starts per person.
        rig, evidence, plan: as of `bodyreg.ops.fit`.
        gradient: "autograd" or "by hand".
        whole_mesh: Skin all vertices and pick the points from them.
        compiled: Through torch.compile.

    Returns:
        (B,108) parameters of the best candidate, and (B,) losses under the final settings.
    """
    body, seen = skeleton(rig), grid(rig, evidence, whole_mesh)
    numbers, settings = _numbers(plan), plan.settings.to(start)
    if gradient == "by hand" and not set(numbers.terms).issubset(HAND_MADE):
        raise ValueError(f"gradient by hand: expected terms of {HAND_MADE}, got {numbers.terms}")
    objective, adam, by_hand = COMPILED if compiled else EAGER
    candidates, flat, begin = start.shape[1], start.flatten(0, 1), 0
    with torch.no_grad():
        for solver, iterations, kept in zip(*[iter(plan.phases)] * 3, strict=True):
            if solver != ADAM:
                raise ValueError("plan: expected phases of Adam alone")
            several = seen.repeat(candidates)
            mean, square = torch.zeros_like(flat), torch.zeros_like(flat)
            rows = settings[begin : begin + iterations]
            count = torch.arange(1, iterations + 1, dtype=torch.float64, device=flat.device)
            rates = (rows[:, RATE] / (1 - FIRST_DECAY**count)).to(flat).unbind()
            unbias = (1 - SECOND_DECAY**count).sqrt().to(flat).unbind()
            for row, rate, root in zip(rows.unbind(), rates, unbias, strict=True):
                if gradient == "by hand":
                    flat, mean, square = by_hand(flat, mean, square, row, rate, root, body, several)
                    continue
                with torch.enable_grad():
                    leaf = flat.requires_grad_()
                    loss = objective(leaf, row, body, several, numbers)
                    (slope,) = torch.autograd.grad(loss.sum(), leaf)
                flat, mean, square = adam(flat.detach(), slope, mean, square, rate, root)
            loss = _objective(flat, settings[-1], body, several, numbers).view(-1, candidates)
            kept = min(kept, candidates)
            best = loss.nan_to_num(nan=torch.inf).argsort(dim=1, stable=True)[:, :kept]
            flat = flat.view(*loss.shape, -1).gather(1, best[..., None].expand(-1, -1, 108))
            flat, candidates, begin = flat.flatten(0, 1), kept, begin + iterations
    return flat, loss.gather(1, best)[:, 0]


def _numbers(plan: Plan) -> Numbers:
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


# ---------------------------------------------------------------- preparation


def skeleton(rig: Rig) -> Skeleton:
    """Gather the body's constants."""
    joints, parents = rig.joints, list(rig.parents)
    count = len(parents)
    parent = torch.tensor([0, *parents[1:]], device=joints.device)
    bones = joints - joints[parent]
    bones[0] = joints[0]
    below, children = joints.new_zeros(2, count, count)
    for k in range(count):
        above = k
        while above >= 0:
            below[above, k] = 1
            above = parents[above]
    ends = torch.arange(1, count, device=joints.device)
    children[parent[1:], ends] = 1
    bend = joints.new_zeros(count, 1, 3)
    for joint, axis, sign in losses.HYPER_EXTENSION:
        bend[joint, 0, axis] = sign
    mesh = _dense(rig.vertex_ids, rig.vertex_anchors, joints)
    marks = _dense(rig.keypoint_ids, rig.keypoint_anchors, joints)
    pairs = [(k, m) for k, m in enumerate(rig.mirror) if k < m]
    return Skeleton(
        joints,
        bones[:, None],
        parent,
        _levels(parents, joints.device),
        below,
        children,
        torch.diag(children.sum(0) + children.sum(1)) - children - children.T,
        bend,
        mesh.T.contiguous(),
        marks[1:].contiguous(),
        (marks[1:] - marks[:1]).contiguous(),
        rig.pose_terms,
        rig.surface_normals,
        rig.surface_area,
        torch.tensor([k for k, _ in pairs], device=joints.device),
        torch.tensor([m for _, m in pairs], device=joints.device),
    )


def _levels(parents: Sequence[int], device: torch.device) -> tuple:
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    rows = [[k for k, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
    if sum(rows, []) != list(range(len(parents))):
        raise ValueError("parents: expected joints in the order of their levels")
    levels = []
    for above, row in pairwise(rows):
        up = [above.index(parents[k]) for k in row]
        same = up == list(range(len(above)))
        levels.append((row[0], row[-1] + 1, None if same else torch.tensor(up, device=device)))
    return tuple(levels)


def _dense(ids: Tensor, anchors: Tensor, joints: Tensor) -> Tensor:
    """(N,96): the anchors of all joints, relative to the joints, most of them zero."""
    dense = anchors.new_zeros(len(ids), len(joints), 4)
    dense.scatter_add_(1, ids.long()[..., None].expand(*ids.shape, 4), anchors)
    dense[..., :3] -= dense[..., 3:] * joints
    return dense.flatten(1)


def grid(rig: Rig, evidence: Evidence, whole_mesh: bool) -> Seen:
    """Contract the points, and put them on a grid of people by points."""
    start, joints = evidence.point_start, rig.joints
    counts = start.diff()
    people, keypoints = evidence.keypoint_weight.shape
    # A multiple of what the losses sum in rows of.
    longest = int(counts.max()) if people else 0
    width = -(-longest // losses.POINT_GRAIN) * losses.POINT_GRAIN
    owner = torch.repeat_interleave(torch.arange(people, device=start.device), counts)
    place = torch.arange(len(owner), device=start.device) - start[owner]

    def put(values: Tensor) -> Tensor:
        out = values.new_zeros(people, width, *values.shape[1:])
        out[owner, place] = values
        return out

    vertex, share = evidence.point_vertex.long(), evidence.point_barycentric
    table = _dense(rig.vertex_ids, rig.vertex_anchors, joints)
    marks = _dense(rig.keypoint_ids, rig.keypoint_anchors, joints)[1:]
    points = (table[vertex] * share[..., None]).sum(1)
    segment = points.unflatten(1, (-1, 4))[..., 3].argmax(1)
    normal = (rig.vertex_normals[vertex] * share[..., None]).sum(1)
    normal = torch.nn.functional.normalize(normal, dim=1)
    rows = points.new_zeros(len(points), len(joints), 3)
    rows[torch.arange(len(points), device=start.device), segment] = normal
    weight = put(evidence.point_weight)
    segment_weight = weight.new_zeros(people, len(joints))
    segment_weight.index_put_((owner, segment), evidence.point_weight, accumulate=True)
    anchors = None
    if not whole_mesh:
        anchors = torch.cat((put(points), marks.expand(people, -1, -1)), 1)
    return Seen(
        anchors,
        put(vertex) if whole_mesh else None,
        put(share) if whole_mesh else None,
        torch.cat((put(evidence.point_xy), evidence.keypoint_xy), 1).mT.contiguous(),
        torch.nn.functional.pad(weight, (0, keypoints)),
        torch.nn.functional.pad(evidence.keypoint_weight, (width, 0)),
        evidence.keypoint_depth,
        evidence.depth_weight,
        put(rows.flatten(1)).mT.contiguous(),
        segment_weight,
    )


# ---------------------------------------------------------------- forward


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


def _chain(turns: Tensor, scale: Tensor, camera: Tensor, body: Skeleton) -> Tensor:
    """[C_k | P_k] (J,B,3,4) in the picture's axes: the camera turns the root, nothing is scaled.

    Args:
        turns: (J,B,3,3) the joints' own rotations.
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


def _columns(chain: Tensor, scale: Tensor, size: Tensor) -> Tensor:
    """[s S_k C_k | s P_k] (J,B,3,4)."""
    factors = torch.cat((scale[..., None].expand(-1, -1, 3), torch.ones_like(scale)[..., None]), -1)
    return chain * (factors * size)[..., None, :]


def _pick(vertices: Tensor, seen: Seen) -> Tensor:
    """(B,2,V) on the picture -> (B,2,P)."""
    people, _, points = len(vertices), 2, seen.corners.shape[1]
    index = seen.corners.flatten(1)[:, None].expand(-1, 2, -1)
    corners = vertices.gather(2, index).view(people, 2, points, 3)
    return (corners * seen.shares[:, None]).sum(-1)


def _points(rows: Tensor, body: Skeleton, seen: Seen) -> Tensor:
    """(B,3,96) rows of all columns -> (B,2,P+K) points and keypoints, without translation."""
    if seen.anchors is not None:
        return torch.bmm(rows[:, :2], seen.anchors.mT)
    mesh = (rows.flatten(0, 1) @ body.mesh).unflatten(0, (-1, 3))
    marks = rows[:, :2] @ body.keypoints.T
    return torch.cat((_pick(mesh[:, :2], seen), marks), -1)


# ---------------------------------------------------------------- the objective, for autograd


def _objective(
    flat: Tensor, row: Tensor, body: Skeleton, seen: Seen, numbers: Numbers
) -> Tensor:
    """(B,108) parameters -> (B,) losses under a row of settings."""
    pose, scale, raw, shift, size = flat.split((72, 24, 9, 2, 1), 1)
    pose = pose.unflatten(1, (24, 3))
    pose = torch.cat((torch.zeros_like(pose[:, :1]), pose[:, 1:]), 1)
    raw = raw.unflatten(1, (3, 3))
    camera = _orthonormal(raw, numbers.six_numbers)
    chain = _chain(rotation_matrices(pose.transpose(0, 1)), scale.T, camera, body)
    rows = _columns(chain, scale.T, size).permute(1, 2, 0, 3).reshape(-1, 3, 96)
    gap = _points(rows, body, seen) + shift[..., None] - seen.xy
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
        "prior": lambda: losses.prior(pose, mean, inverse_spread),
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


def _of_normals(
    view: Tensor, body: Skeleton, seen: Seen, numbers: Numbers
) -> dict[str, Tensor]:
    """Facing and visibility; `view` (J,B,3) is how each joint's axes lie along the line of sight."""
    people, points = len(seen.normals), seen.normals.shape[2]
    normal_z = torch.bmm(view.transpose(0, 1).reshape(people, 1, -1), seen.normals)[:, 0]
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


def _adam(
    flat: Tensor, slope: Tensor, mean: Tensor, square: Tensor, rate: Tensor, unbias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    mean = torch.lerp(mean, slope, 1 - FIRST_DECAY)
    square = (SECOND_DECAY * square).addcmul(slope, slope, value=1 - SECOND_DECAY)
    return flat - rate * (mean / (square.sqrt() / unbias + EPSILON)), mean, square


# ---------------------------------------------------------------- the gradient by hand


def _by_hand(
    flat: Tensor,
    mean: Tensor,
    square: Tensor,
    row: Tensor,
    rate: Tensor,
    unbias: Tensor,
    body: Skeleton,
    seen: Seen,
) -> tuple[Tensor, Tensor, Tensor]:
    """A step of Adam on the terms `HAND_MADE`."""
    people, weight = len(flat), dict(zip(TERMS, row[WEIGHTS].unbind(), strict=True))
    pose = torch.cat((torch.zeros_like(flat[:, :3]), flat[:, 3:72]), 1)
    pose = pose.view(people, 24, 3).transpose(0, 1).contiguous()
    scale, size, shift = flat[:, 72:96].T, flat[:, 107], flat[:, 105:107, None]
    raw = flat[:, 96:105].view(people, 3, 3)

    angle_square = pose.square().sum(-1, keepdim=True) + 1e-30
    angle = angle_square.sqrt()
    sine = (0.5 * angle).sin()
    second = 2 * sine.square() / angle_square  # (1 - cos θ)/θ²
    sinc = 2 * sine * (0.5 * angle).cos() / angle
    turns = _rodrigues(pose, sinc, second, 1 - second * angle_square)
    camera, triangle, sign = _gram_schmidt(raw)
    chain = _chain(turns, scale, camera, body)
    columns = _columns(chain, scale, size[:, None])
    rows = columns.permute(1, 2, 0, 3).reshape(people, 3, 96)

    # Forces on the columns: ∂L/∂[A_k | P_k].
    gap = _points(rows, body, seen) + shift - seen.xy
    pull = gap * (
        2 * (weight["dense"] * seen.point_weight + weight["keypoint"] * seen.keypoint_weight)
    )[:, None]
    depth = torch.addmm(-seen.depth, rows[:, 2], body.offsets.T)
    pull_z = (depth * (2 * weight["depth"] * seen.depth_weight)) @ body.offsets
    forces = torch.cat((_points_adjoint(pull, body, seen), pull_z[:, None]), 1)
    forces = forces.view(people, 3, 24, 4).permute(2, 0, 1, 3)

    # Forces and torques of everything below a joint; the torque about the joint turns it.
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
    slope_size = work.sum((0, 2)) / size
    slope_raw = _gram_schmidt_adjoint(torque[0], camera, triangle, sign)
    slope_raw = slope_raw - _det_adjoint(raw, weight["det"])
    slope = torch.cat(
        (
            slope_pose.transpose(0, 1).reshape(people, 72),
            slope_scale.T,
            slope_raw.reshape(people, 9),
            force[0, :, :2],
            slope_size[:, None],
        ),
        1,
    )
    return _adam(flat, slope, mean, square, rate, unbias)


def _points_adjoint(pull: Tensor, body: Skeleton, seen: Seen) -> Tensor:
    """(B,2,P+K) forces on points and keypoints -> (B,2,96) on the columns."""
    if seen.anchors is not None:
        return torch.bmm(pull, seen.anchors)
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
    """Columns made orthonormal (B,3,3), the triangle's r11, r12 and r22, and the determinant's sign."""
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
    """exp, and 0 where the term is clamped."""
    return torch.where(angles > losses.MAX_EXPONENT, 0.0, angles.exp())


EAGER = (_objective, _adam, _by_hand)
COMPILED = tuple(torch.compile(f, fullgraph=True, dynamic=False) for f in EAGER)
