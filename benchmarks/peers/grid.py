"""Inputs of the peers: evidence on a grid, and a body as dense matrices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from bodyreg.ops.fit import Evidence, Rig
from bodyreg.registration import losses


class Skeleton(NamedTuple):
    """The body's constants, as matrices that act on all joints at once.

    Attributes:
        joints (J,3), bones (J,1,3): positions, and offsets from the parent.
        parent (J,): the root's parent is itself.
        levels: for each level of the tree, its first and last joint and the indices of their
            parents in the level above; None if these are in the same order.
        below (J,J): 1 if a column's joint is a descendant of a row's; children (J,J): a child.
        laplace (J,J): Laplacian of the graph of bones.
        bend (J,1,3): signs of the angles that hyper-extend, else 0.
        mesh (96,V): all vertices as one matrix of anchors. "blend" has these instead:
        weights (V,J), rest (V,4): skinning weights, and homogeneous vertices.
        keypoints (K,96): anchors of keypoints; offsets (K,96): minus the pelvis'.
        pose_terms, mode, mode_weight, surface_normals, surface_area: as in `ops.fit.Rig`.
        left, right: joints of the two sides, in pairs.
    """

    joints: Tensor
    bones: Tensor
    parent: Tensor
    levels: tuple[tuple[int, int, Tensor | None], ...]
    below: Tensor
    children: Tensor
    laplace: Tensor
    bend: Tensor
    mesh: Tensor | None
    weights: Tensor | None
    rest: Tensor | None
    keypoints: Tensor
    offsets: Tensor
    pose_terms: Tensor
    mode: Tensor
    mode_weight: Tensor
    surface_normals: Tensor
    surface_area: Tensor
    left: Tensor
    right: Tensor


class Seen(NamedTuple):
    """Evidence on a grid: the keypoints come after the points.

    Attributes:
        anchors (B,P+K,96): of points and keypoints; None for "mesh" and "blend".
        corners (B,P,3), shares (B,P,3): places of the points on the mesh; else None.
        xy (B,2,P+K): targets, frame units.
        point_weight, keypoint_weight (B,P+K): each is zero for the other kind.
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
        """Repeat every person `times` times; all candidates share the two large matrices."""
        if times == 1:
            return self
        several = (x if x is None else x.repeat_interleave(times, 0) for x in self)
        return Seen(*several)._replace(anchors=self.anchors, normals=self.normals)


def skeleton(rig: Rig, skin: str) -> Skeleton:
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
    weights = mesh.unflatten(1, (-1, 4))[..., 3]
    rest = torch.nn.functional.pad(rig.vertex_anchors[..., :3].sum(1), (0, 1), value=1.0)
    blend = skin == "blend"
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
        None if blend else mesh.T.contiguous(),
        weights.contiguous() if blend else None,
        rest if blend else None,
        marks[1:].contiguous(),
        (marks[1:] - marks[:1]).contiguous(),
        rig.pose_terms,
        rig.mode,
        rig.mode_weight,
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
    if list(chain(*rows)) != list(range(len(parents))):
        raise ValueError("parents: expected joints in the order of their levels")
    levels = []
    for above, row in pairwise(rows):
        up = [above.index(parents[k]) for k in row]
        same = up == list(range(len(above)))
        levels.append((row[0], row[-1] + 1, None if same else torch.tensor(up, device=device)))
    return tuple(levels)


def _dense(ids: Tensor, anchors: Tensor, joints: Tensor) -> Tensor:
    """(N,96): anchors for all joints, relative to the joints, mostly zero."""
    dense = anchors.new_zeros(len(ids), len(joints), 4)
    dense.scatter_add_(1, ids.long()[..., None].expand(*ids.shape, 4), anchors)
    dense[..., :3] -= dense[..., 3:] * joints
    return dense.flatten(1)


def grid(rig: Rig, evidence: Evidence, skin: str) -> Seen:
    """Contract the points, and put them on a grid of people by points."""
    start, joints = evidence.point_start, rig.joints
    counts = start.diff()
    people, keypoints = evidence.keypoint_weight.shape
    # Round up to the row length of the losses' sums.
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
    if skin == "points":
        anchors = torch.cat((put(points), marks.expand(people, -1, -1)), 1)
    return Seen(
        anchors,
        None if skin == "points" else put(vertex),
        None if skin == "points" else put(share),
        torch.cat((put(evidence.point_xy), evidence.keypoint_xy), 1).mT.contiguous(),
        torch.nn.functional.pad(weight, (0, keypoints)),
        torch.nn.functional.pad(evidence.keypoint_weight, (width, 0)),
        evidence.keypoint_depth,
        evidence.depth_weight,
        put(rows.flatten(1)).mT.contiguous(),
        segment_weight,
    )
