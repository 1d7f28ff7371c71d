"""One Levenberg-Marquardt step as its textbook says: a Jacobian by autograd, a dense solve.

And the variances of joints by the same matrix. Of the Jacobian's products those between joints on
different branches of the tree are left out, as `bodyreg.ops.fit` does; everything else is
independent of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bodyreg import reference
from bodyreg.body import AXIS_ANGLE, JOINT_NAMES, Parameters
from bodyreg.body.rotations import rotation_matrices
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration.losses import HYPER_EXTENSION, MAX_EXPONENT
from bodyreg.registration.objective import Objective, frozen_root
from bodyreg.registration.padding import pad
from bodyreg.registration.schedule import Setting

ANGLES = 3 * (len(JOINT_NAMES) - 1)
UNKNOWNS = ANGLES + len(JOINT_NAMES) + 6
"""θ of joints 1 to 23, S (24), ω (3), t (2), ds / s (1)."""

RAW_LENGTH = 4.0
"""Columns of the raw rotation have this length in a Levenberg-Marquardt phase."""

DAMPING, LEAST_CURVATURE = 1e-2, 1e-4
VARIANCE_DAMPING = 1e-3


class Step:
    """The step from (B,108) parameters; both solvers' terms are taken as just refreshed there."""

    def __init__(self, rig: Rig, evidence: Evidence, plan: Plan, parameters: Tensor):
        self.rig, self.plan = rig, plan
        self.seen = pad(rig, evidence)
        self.setting = Setting.of_row(plan.settings[-1].tolist())
        # Turning changes no determinant, but where it is large its gradient is large noise.
        has_det = self.setting.weights.pop("det", 0) > 0
        self.here = self._stretched(parameters) if has_det else parameters

    def _stretched(self, parameters: Tensor) -> Tensor:
        p = AXIS_ANGLE.split(parameters)
        rotation = reference.gram_schmidt(p.rotation, self.plan.six_numbers)
        proper = torch.linalg.det(rotation)[:, None, None] > 0
        raw = torch.where(proper, RAW_LENGTH * rotation, p.rotation)
        return AXIS_ANGLE.join(p._replace(rotation=raw))

    def moved(self, step: Tensor) -> Tensor:
        """(B,99) -> (B,108)"""
        p = AXIS_ANGLE.split(self.here)
        turns, scales, turn, shift, growth = step.split((ANGLES, len(JOINT_NAMES), 3, 2, 1), 1)
        turns = torch.nn.functional.pad(turns, (3, 0)).view_as(p.pose)
        return AXIS_ANGLE.join(
            Parameters(
                p.pose + turns,
                p.segment_scale + scales,
                rotation_matrices(turn) @ p.rotation,
                p.translation + shift,
                p.scale * (1 + growth[:, 0]),
            )
        )

    def take(self) -> Tensor:
        """(B,108) parameters after an accepted step."""
        step = torch.zeros(len(self.here), UNKNOWNS, dtype=self.here.dtype, requires_grad=True)
        there = self.moved(step)
        loss = Objective(reference, self.rig, self.seen, self.plan)(there, self.setting)
        (gradient,) = torch.autograd.grad(loss.sum(), step, retain_graph=True)
        matrix = self._damped(there, step, DAMPING, self._depth_share())
        return self.moved(-torch.linalg.solve(matrix, gradient)).detach()

    def variances(self) -> tuple[Tensor, Tensor]:
        """(B,24,3) the joints' places, and the variances of those less the pelvis's."""
        step = torch.zeros(len(self.here), UNKNOWNS, dtype=self.here.dtype, requires_grad=True)
        there = self.moved(step)
        p = AXIS_ANGLE.split(there)
        rotation = reference.gram_schmidt(p.rotation, self.plan.six_numbers)
        turns = rotation_matrices(frozen_root(p.pose))
        _, joints = reference.kinematics(turns, p.segment_scale, self.rig.joints, self.rig.parents)
        xy, z = reference.projection(joints, rotation, p.scale, p.translation)
        place = torch.cat([xy, z[..., None]], 2)
        rows = (place - place[:, :1]).flatten(1).unbind(1)
        slopes = [torch.autograd.grad(row.sum(), step, retain_graph=True)[0] for row in rows]
        jacobian = torch.stack(slopes, 1)
        parallel = torch.zeros_like(self._depth_share())
        covariance = torch.linalg.inv(self._damped(there, step, VARIANCE_DAMPING, parallel))
        variance = (jacobian @ covariance * jacobian).sum(2).view_as(place)
        return place.detach(), variance.detach()

    def _damped(self, there: Tensor, step: Tensor, damping: float, depth_share: Tensor) -> Tensor:
        """The normal matrix (B,99,99), with a share of its diagonal added."""
        matrix = self._of_residuals(there, step, depth_share) * self._related()
        matrix = matrix + torch.diag_embed(self._curvatures())
        self._add_smoothness(matrix)
        diagonal = matrix.diagonal(dim1=1, dim2=2) + LEAST_CURVATURE
        damped = matrix + damping * torch.diag_embed(diagonal)
        self._add_symmetry(damped)
        return damped

    def _of_residuals(self, there: Tensor, step: Tensor, depth_share: Tensor) -> Tensor:
        """Σ 2 w J Jᵀ of all squares that read evidence or the camera, (B,99,99)."""
        values, weights = zip(*self._residuals(there, depth_share), strict=True)
        values = torch.cat([v.flatten(1) for v in values], 1)
        weights = torch.cat([w.flatten(1) for w in weights], 1).detach()
        rows = [
            torch.autograd.grad(values[:, i].sum(), step, retain_graph=True)[0]
            for i in range(values.shape[1])
        ]
        jacobian = torch.stack(rows, 1)
        return 2 * (jacobian * weights[..., None]).mT @ jacobian

    def _residuals(self, there: Tensor, depth_share: Tensor):
        rig, seen, weights = self.rig, self.seen, self.setting.weights
        p = AXIS_ANGLE.split(there)
        rotation = reference.gram_schmidt(p.rotation, self.plan.six_numbers)
        transforms, _ = reference.kinematics(
            rotation_matrices(frozen_root(p.pose)), p.segment_scale, rig.joints, rig.parents
        )

        def image(ids, anchors):
            points = reference.lbs(transforms, ids, anchors)
            weak, z = reference.projection(points, rotation, p.scale, p.translation)
            xy, _ = reference.projection(points, rotation, p.scale, p.translation, seen.perspective)
            # A step takes the magnification for constant.
            away = seen.perspective[:, :1] * z.detach()
            return weak, z, xy.detach(), 1 + away / (1 - away).clamp_min(0.1)

        def of_xy(weight):
            return weight[..., None].expand(*weight.shape, 2)

        if "dense" in weights:
            weak, z, xy, growth = image(seen.point_ids, seen.point_anchors)
            weight, width = weights["dense"] * seen.point_weight, self.setting.dense_width
            if math.isfinite(width):
                square = (xy - seen.point_xy).square().sum(-1)
                weight = weight * (width**2 / (width**2 + square)) ** 2
            yield weak, of_xy(weight * growth**2)
            yield z, weight * growth**2 * depth_share
        weak, z, _, growth = image(rig.keypoint_ids, rig.keypoint_anchors)
        if "keypoint" in weights:
            weight = weights["keypoint"] * seen.keypoint_weight * growth[:, 1:] ** 2
            yield weak[:, 1:], of_xy(weight)
            yield z[:, 1:], weight * depth_share
        if "depth" in weights:
            yield z[:, 1:] - z[:, :1], weights["depth"] * seen.depth_weight
        if "facing" in weights:
            turns = transforms / p.segment_scale[..., None, None]
            normals = reference.lbs(turns, seen.point_segment, seen.point_normal)
            toward = (seen.point_ray[..., None] * rotation[:, None]).sum(2)
            normal_z = (normals * toward).sum(-1)
            away = normal_z < self.plan.facing_margin
            yield normal_z, weights["facing"] * seen.point_weight * away
        if "upright" in weights:
            yield rotation[:, 2, 1:2], torch.full_like(p.scale[:, None], weights["upright"])

    def _depth_share(self) -> Tensor:
        """(B,1) squared slope of the steepest ray to a segment: how much depth counts."""
        rig, seen = self.rig, self.seen
        strongest = rig.keypoint_anchors[1:, :, 3].argmax(1)[:, None]
        of_keypoints = rig.keypoint_ids[1:].long().gather(1, strongest)[:, 0]
        evidence = (
            (seen.point_segment[..., 0].long(), seen.point_weight, seen.point_xy),
            (of_keypoints.expand(len(seen), -1), seen.keypoint_weight, seen.keypoint_xy),
        )
        (middle, total), (of_marks, marked) = (self._middles(*kind) for kind in evidence)
        middle = torch.where(total > 0, middle, of_marks)
        shear = seen.perspective[:, None, :1] * (middle - seen.perspective[:, None, 1:])
        present = (total > 0) | (marked > 0)
        return torch.where(present, shear.square().sum(-1, keepdim=True), 0).amax(1)

    @staticmethod
    def _middles(segment: Tensor, weight: Tensor, xy: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted means (B,24,2) of what is seen of each segment, and sums of weights (B,24,1)."""
        own = torch.nn.functional.one_hot(segment, len(JOINT_NAMES)).to(weight) * weight[..., None]
        total = own.sum(1)[..., None]
        return (own.mT @ xy.nan_to_num()) / total.clamp_min(1e-30), total

    def _related(self) -> Tensor:
        """(99,99) whether one unknown's joint is the other's or above it."""
        owner = torch.cat((torch.arange(1, 24).repeat_interleave(3), torch.arange(24)))
        owner = torch.cat((owner, torch.zeros(6, dtype=torch.int64)))
        above = torch.eye(24, dtype=torch.bool)
        for k, parent in enumerate(self.rig.parents):
            if k > 0:
                above[k] |= above[parent]
        return (above | above.T)[owner][:, owner]

    def _curvatures(self) -> Tensor:
        """(B,99) second derivatives of the terms that read one parameter."""
        weight = {term: self.setting.weights.get(term, 0.0) for term in TERMS_OF_ONE}
        p = AXIS_ANGLE.split(self.here)
        pose, scale = p.pose[:, 1:].flatten(1), p.segment_scale
        _, inverse_spread, low, high = self.rig.pose_terms[:, 1:].flatten(1)
        by_pose = 2 * (
            weight["joint"]
            + weight["prior"] * inverse_spread**2
            + weight["limit"] * ((pose < low) | (pose > high)).to(pose)
        )
        mode = self.rig.mode[1:].flatten(0, 1).T.abs()
        bound = self.rig.mode_weight.clamp_min(0)[:, None] * mode.sum(1, keepdim=True) * mode
        by_pose = by_pose + 2 * weight["prior"] * bound.sum(0)
        for joint, axis, sign in HYPER_EXTENSION:
            angle = sign * self.here[:, 3 * joint + axis]
            by_pose[:, 3 * joint + axis - 3] += (
                weight["exponential"] * angle.exp() * (angle <= MAX_EXPONENT)
            )
        outside = ((scale < self.plan.scale_low) | (scale > self.plan.scale_high)).to(scale)
        by_scale = 2 * (
            weight["scale_level"] + weight["scale_deviation"] + weight["scale_limit"] * outside
        )
        return torch.cat((by_pose, by_scale, torch.zeros(len(pose), 6).to(pose)), 1)

    def _add_smoothness(self, matrix: Tensor) -> None:
        weight = self.setting.weights.get("scale_smoothness", 0.0)
        for k, parent in enumerate(self.rig.parents):
            if k > 0:
                _couple(matrix, ANGLES + k, ANGLES + parent, 2 * weight)

    def _add_symmetry(self, matrix: Tensor) -> None:
        weight = self.setting.weights.get("scale_symmetry", 0.0)
        for k, mirror in enumerate(self.rig.mirror):
            if k < mirror:
                _couple(matrix, ANGLES + k, ANGLES + mirror, 2 * weight)


TERMS_OF_ONE = (
    "prior", "limit", "joint", "exponential", "scale_level", "scale_deviation", "scale_limit",
)  # fmt: skip


def _couple(matrix: Tensor, i: int, j: int, weight: float) -> None:
    """Adds the second derivatives of weight / 2 · (x_i - x_j)²."""
    matrix[:, i, i] += weight
    matrix[:, j, j] += weight
    matrix[:, i, j] -= weight
    matrix[:, j, i] -= weight
