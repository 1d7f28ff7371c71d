"""The registration objective: which terms, of which parameters, on which evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from types import ModuleType

import torch
from torch import Tensor

from bodyreg.body.parameters import AXIS_ANGLE, Parameters
from bodyreg.body.rotations import rotation_matrices
from bodyreg.ops.fit import Plan, Rig
from bodyreg.registration import losses
from bodyreg.registration.padding import Padded
from bodyreg.registration.schedule import Setting

ExtraLoss = Callable[[Parameters, Padded], Tensor]
"""A user's own term: parameters of B paths and what is known of their people -> (B,) losses."""


def frozen_root(pose: Tensor) -> Tensor:
    """The pose without its root slot, which the camera's rotation makes redundant."""
    return torch.cat((torch.zeros_like(pose[:, :1]), pose[:, 1:]), 1)


class Objective:
    """Terms per person, as a function of the parameters.

    Solvers and terms do not depend on each other: a solver calls the objective with (B,108)
    parameters and a `Setting`, and gets (B,) losses to differentiate.
    """

    def __init__(
        self,
        engine: ModuleType,
        rig: Rig,
        evidence: Padded,
        plan: Plan,
        extra_loss: ExtraLoss | None = None,
    ):
        """Bring together what the terms read.

        Args:
            engine: `bodyreg.ops` or `bodyreg.reference`; the code is the same.
            rig: Constants of the body.
            evidence: Evidence of the B people.
            plan: Margins, limits, sharpness and the form of the rotation; not its iterations.
            extra_loss: A term that is added as it is, under the name "extra".
        """
        self.engine = engine
        self.rig = rig
        self.evidence = evidence
        self.plan = plan
        self.extra_loss = extra_loss
        self.weak = not evidence.perspective[:, 0].any()

        def index(values: Iterable[int]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.int64, device=rig.joints.device)

        self.children, self.bone_parents = index(range(1, 24)), index(rig.parents[1:])
        pairs = [(k, m) for k, m in enumerate(rig.mirror) if k < m]
        self.left, self.right = index([k for k, _ in pairs]), index([m for _, m in pairs])

    def __call__(self, flat: Tensor, setting: Setting) -> Tensor:
        """(B,108) parameters -> (B,) weighted sum of the terms."""
        terms = self.terms(flat, setting)
        total = None
        for name, value in terms.items():
            weight = setting.weights.get(name, 1.0)
            total = value * weight if total is None else torch.add(total, value, alpha=weight)
        return flat.new_zeros(len(flat)) if total is None else total

    def terms(self, flat: Tensor, setting: Setting) -> dict[str, Tensor]:
        """(B,108) parameters -> term -> (B,) unweighted values.

        Only terms that have a weight, and evidence to read, are there; and the extra one.
        """
        p, wanted = AXIS_ANGLE.split(flat), setting.weights.keys()
        pose = frozen_root(p.pose)
        terms = self._of_pose(pose, wanted) | self._of_scale(p.segment_scale, wanted)
        if "det" in wanted:
            terms["det"] = losses.det(p.rotation)
        terms |= self._of_evidence(p, pose, setting)
        if self.extra_loss is not None:
            extra = self.extra_loss(p._replace(pose=pose), self.evidence)
            if not isinstance(extra, Tensor) or extra.shape != pose.shape[:1]:
                got = tuple(extra.shape) if isinstance(extra, Tensor) else type(extra).__name__
                raise ValueError(
                    f"extra_loss: expected a tensor of {len(pose)} losses, one for each path, got "
                    f"{got}"
                )
            terms["extra"] = extra
        return terms

    def _of_pose(self, pose: Tensor, wanted: Set[str]) -> dict[str, Tensor]:
        mean, inverse_spread, low, high = self.rig.pose_terms
        terms = {}
        if "prior" in wanted:
            terms["prior"] = losses.prior(
                pose, mean, inverse_spread, self.rig.mode, self.rig.mode_weight
            )
        if "limit" in wanted:
            terms["limit"] = losses.limit(pose, low, high)
        if "joint" in wanted:
            terms["joint"] = losses.joint(pose)
        if "exponential" in wanted:
            terms["exponential"] = losses.exponential(pose)
        return terms

    def _of_scale(self, scale: Tensor, wanted: Set[str]) -> dict[str, Tensor]:
        plan, terms = self.plan, {}
        if "scale_smoothness" in wanted:
            terms["scale_smoothness"] = losses.scale_smoothness(
                scale, self.children, self.bone_parents
            )
        if "scale_deviation" in wanted:
            terms["scale_deviation"] = losses.scale_deviation(scale)
        if "scale_symmetry" in wanted:
            terms["scale_symmetry"] = losses.scale_symmetry(scale, self.left, self.right)
        if "scale_limit" in wanted:
            terms["scale_limit"] = losses.scale_limit(scale, plan.scale_low, plan.scale_high)
        if "scale_level" in wanted:
            terms["scale_level"] = losses.scale_level(scale)
        return terms

    def _of_evidence(self, p: Parameters, pose: Tensor, setting: Setting) -> dict[str, Tensor]:
        engine, rig, seen, wanted, terms = (
            self.engine, self.rig, self.evidence, setting.weights.keys(), {},
        )  # fmt: skip
        rotation = engine.gram_schmidt(p.rotation, self.plan.six_numbers)
        transforms, _ = engine.kinematics(
            rotation_matrices(pose), p.segment_scale, rig.joints, rig.parents
        )
        camera = (rotation, p.scale, p.translation)
        if "upright" in wanted:
            terms["upright"] = losses.upright(rotation)
        if seen.has_points and "dense" in wanted:
            # The paper's Eq. 8, Geman-McClure in place of the square where the width is finite.
            terms["dense"] = self._dense(transforms, camera, setting.dense_width)
        if seen.has_keypoints and not wanted.isdisjoint(("keypoint", "depth")):
            points = engine.lbs(transforms, rig.keypoint_ids, rig.keypoint_anchors)
            xy, z = engine.projection(points, *camera, seen.perspective)
            if "keypoint" in wanted:
                terms["keypoint"] = losses.keypoint(
                    xy[:, 1:], seen.keypoint_xy, seen.keypoint_weight
                )
            if "depth" in wanted:
                terms["depth"] = losses.depth(
                    z[:, 1:] - z[:, :1], seen.keypoint_depth, seen.depth_weight
                )
        if seen.has_points and not wanted.isdisjoint(("facing", "visibility")):
            terms |= self._of_normals(transforms, p.segment_scale, rotation, wanted)
        return terms

    def _dense(
        self, transforms: Tensor, camera: tuple[Tensor, Tensor, Tensor], width: float
    ) -> Tensor:
        engine, seen = self.engine, self.evidence
        if self.weak:
            return engine.correspondence(
                transforms, *camera,
                seen.point_ids, seen.point_anchors, seen.point_xy, seen.point_weight, width,
            )  # fmt: skip
        points = engine.lbs(transforms, seen.point_ids, seen.point_anchors)
        xy, _ = engine.projection(points, *camera, seen.perspective)
        return losses.dense(xy, seen.point_xy, seen.point_weight, width)

    def _of_normals(
        self, transforms: Tensor, scale: Tensor, rotation: Tensor, wanted: Set[str]
    ) -> dict[str, Tensor]:
        rig, seen, plan, terms = self.rig, self.evidence, self.plan, {}
        # A_k = S_k G_k, and G_k turns the normals of segment k.
        turns = transforms / scale[..., None, None]
        normals = self.engine.lbs(turns, seen.point_segment, seen.point_normal)
        normal_z = (normals * self._toward_camera(seen.point_ray, rotation)).sum(-1)
        if "facing" in wanted:
            terms["facing"] = losses.facing(normal_z, seen.point_weight, plan.facing_margin)
        if "visibility" in wanted:
            toward = self._toward_camera(seen.segment_ray, rotation)
            view = (toward[..., None] * turns[..., :3]).sum(2)
            x, y, z = (view[..., i, None] * rig.surface_normals[..., i] for i in range(3))
            surface_z = x + y + z
            terms["visibility"] = losses.visibility(
                normal_z, seen.point_weight, surface_z, rig.surface_area, seen.segment_weight,
                plan.visibility_sharpness,
            )  # fmt: skip
        return terms

    def _toward_camera(self, rays: Tensor, rotation: Tensor) -> Tensor:
        """(B,N,3) rays in the camera's axes -> in the model's; (B,1,3) if all are parallel."""
        if self.weak:
            return rotation[:, None, 2]
        return (rays[..., None] * rotation[:, None]).sum(2)
