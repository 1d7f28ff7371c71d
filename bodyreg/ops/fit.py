"""Whole fits in one call: every iteration of every start, for many people at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bodyreg.ops import _library

BESIDE_TERMS = 2
"""Numbers of a settings row beside the terms' weights: the dense width and the step size."""


class Rig(NamedTuple):
    """A body, as the fit reads it.

    Attributes:
        joints: (24, 3) rest joints, metres.
        parents: of each joint: -1 for the root, and an earlier joint for every other one.
        vertex_ids: (V, n) int32 joints of the vertices as rig points, see `lbs`.
        vertex_anchors: (V, n, 4).
        vertex_normals: (V, 3) unit normals in the rest pose.
        keypoint_ids: (K + 1, m) int32 joints of the keypoints as rig points, the pelvis first.
        keypoint_anchors: (K + 1, m, 4).
        pose_terms: (4, 24, 3) radians: mean and inverse spread of the prior, lower and upper
            limits. The root's do not count.
        mode: (24, 3, 24) directions of the pose in which joints move together, per radian; 0 for
            the root.
        mode_weight: (24,) what a mode adds to the prior of single angles; of either sign, 0 for no
            mode.
        mirror: the joint on the other side, of each joint.
        surface_normals: (24, M, 3) unit normals that stand for each segment's surface.
        surface_area: (24, M) their shares of its area.
    """

    joints: Tensor
    parents: Sequence[int]
    vertex_ids: Tensor
    vertex_anchors: Tensor
    vertex_normals: Tensor
    keypoint_ids: Tensor
    keypoint_anchors: Tensor
    pose_terms: Tensor
    mode: Tensor
    mode_weight: Tensor
    mirror: Sequence[int]
    surface_normals: Tensor
    surface_area: Tensor


class Evidence(NamedTuple):
    """What the pictures show of B people: P points of all of them, K keypoints of each.

    Weights carry their division by counts; where one is 0, what it weighs is not looked at.

    Attributes:
        point_start: (B + 1,) int64; person b owns the points from point_start[b] to
            point_start[b + 1].
        point_vertex: (P, 3) int32 vertices of the point's triangle.
        point_barycentric: (P, 3).
        point_xy: (P, 2) frame units.
        point_weight: (P,).
        keypoint_xy: (B, K, 2) frame units.
        keypoint_weight: (B, K).
        keypoint_depth: (B, K) frame units, relative to the pelvis, towards the viewer.
        depth_weight: (B, K).
        perspective: (B, 3) inverse focal length and principal point, see `projection`.
    """

    point_start: Tensor
    point_vertex: Tensor
    point_barycentric: Tensor
    point_xy: Tensor
    point_weight: Tensor
    keypoint_xy: Tensor
    keypoint_weight: Tensor
    keypoint_depth: Tensor
    depth_weight: Tensor
    perspective: Tensor


class Plan(NamedTuple):
    """What to minimise, and how.

    Attributes:
        settings: (I + 1, T + 2) float64, a row per iteration of all phases and a last row for the
            final loss. A row has the weights of the T terms in the order of
            `registration.losses.TERMS` (0 leaves a term out), the width of the dense term's robust
            function, and Adam's step size.
        phases: three numbers each: solver (0 Adam, 1 Levenberg-Marquardt), iterations, and how many
            candidates go on; the last phase keeps 1. At most 8 phases.
        facing_margin: z of a unit normal under which facing begins to cost.
        visibility_sharpness: how sharply the seen part of a segment ends, per unit of normal z.
        scale_low: smallest segment scale that costs nothing.
        scale_high: largest such scale.
        six_numbers: use the first two columns of the rotation only.
        refresh: iterations after which robust weights, active facing points and visibility's
            tangent are taken anew, and what perspective makes of points. 1 is the objective
            itself; terms that are squares of parallel rays need none. In perspective, iterations
            refresh // 9 and refresh // 3 of a phase refresh, too.
    """

    settings: Tensor
    phases: Sequence[int]
    facing_margin: float
    visibility_sharpness: float
    scale_low: float
    scale_high: float
    six_numbers: bool
    refresh: int


def fit(start: Tensor, rig: Rig, evidence: Evidence, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """Fits B people, each from C starts.

    The objective is `registration.Objective`, term by term, and the result that of its solver. A
    phase runs every candidate of a person separately; then the candidates of lowest loss under the
    last settings row go on, best first (NaN counts as infinite, ties keep their order). Adam's
    moments begin at zero in every phase. A person's results do not depend, bit for bit, on the rest
    of the batch; numbers that are not finite stay within their person.

    Between two refreshes, the dense term is minimised as squares with the weights ρ'(q) of the
    refresh, facing on the points that cost something then, visibility along its tangent. The
    weights of dense, keypoint, facing and visibility and the width are read at refreshes.

    A phase of Levenberg-Marquardt (Levenberg 1944, Marquardt 1963) refreshes before every step and
    reads no step size. Damping begins at 1e-2 of the diagonal and is quartered by a step that
    lowers the refreshed objective; any other step is undone and quadruples it. Steps turn the raw
    rotation and never change its determinant: before the first, columns of length 4 make exp(-det)
    vanish, unless the rotation is a reflection, which stays one.

    Args:
        start: (B, C, 108) parameters: pose (24, 3) axis-angle, segment scale (24), raw rotation
            (9, row-major), translation (2), scale (1). The root's pose counts as zero.
        rig: the body; real tensors in the dtype of `start`, float32 or float64.
        evidence: of the B people.
        plan: terms, phases and step sizes.

    Returns:
        parameters: (B, 108) of each person's best candidate.
        loss: (B,) under the last settings row; the exact objective.
        terms: (B, T) its terms, weighted; the loss is their sum.

    Not differentiable, and of no use under torch.vmap: people are a batch already.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, phases or parents
            are malformed, or (on the CPU) an id is out of range or the points do not start in
            order. On a CUDA device such a person's results are NaN.
    """
    return _library.active.fit(
        start, *_problem(rig, evidence, plan), list(plan.phases), plan.refresh
    )


def fit_gradient(
    parameters: Tensor, rig: Rig, evidence: Evidence, plan: Plan
) -> tuple[Tensor, Tensor, Tensor]:
    """The objective of `fit` and its gradient at some parameters, just refreshed and so exact.

    Args:
        parameters: (B, 108).
        rig: the body.
        evidence: of the B people.
        plan: as for `fit`, with a single settings row; phases and refresh are not read.

    Returns:
        loss: (B,).
        gradient: (B, 108); 0 for the root's pose.
        terms: (B, T) the loss's terms, weighted.

    Not differentiable, and of no use under torch.vmap: people are a batch already.

    Raises:
        RuntimeError: as for `fit`.
    """
    return _library.active.fit_gradient(parameters, *_problem(rig, evidence, plan))


def fit_variance(
    parameters: Tensor, rig: Rig, evidence: Evidence, plan: Plan
) -> tuple[Tensor, Tensor]:
    """The places of the joints, and how well the objective of `fit` determines them.

    The objective is taken for minus the log density of the parameters, near these ones: a normal
    distribution with H⁻¹ as covariance. H is the normal matrix of Levenberg-Marquardt, see `fit`:
    second derivatives of the refreshed objective, without those between joints on different
    branches of the tree, and with 1e-3 of its diagonal added; rays count as parallel. To the first
    order the place of a joint then has the covariance J H⁻¹ Jᵀ, where J is its Jacobian by the
    parameters. If the objective is multiplied by a number, variances are divided by it.

    Args:
        parameters: (B, 108), where a fit ended.
        rig: the body.
        evidence: of the B people.
        plan: as for `fit`, with a single settings row; phases and refresh are not read, nor the
            weight of det.

    Returns:
        place: (B, 24, 3) x, y and z of the joints, frame units.
        variance: (B, 24, 3) of these places less that of the pelvis, frame units²; 0 for the
            pelvis. In perspective x and y are those across the joint's ray.

    Not differentiable, and of no use under torch.vmap: people are a batch already.

    Raises:
        RuntimeError: as for `fit`.
    """
    return _library.active.fit_variance(parameters, *_problem(rig, evidence, plan))


def _problem(rig: Rig, evidence: Evidence, plan: Plan) -> tuple:
    """What the ops read beside their first argument, as lists in the order that they unpack."""
    return (
        [
            rig.joints, rig.vertex_ids, rig.vertex_anchors, rig.vertex_normals,
            rig.keypoint_ids, rig.keypoint_anchors,
            rig.pose_terms, rig.mode, rig.mode_weight, rig.surface_normals, rig.surface_area,
        ],
        list(rig.parents),
        list(rig.mirror),
        list(evidence),
        plan.settings,
        [plan.facing_margin, plan.visibility_sharpness, plan.scale_low, plan.scale_high],
        plan.six_numbers,
    )  # fmt: skip


@_library.registration
def _register(namespace: str) -> None:
    def fake(start: Tensor, rig, parents, mirror, evidence, settings: Tensor, *args):
        people, parameters = start.shape[0], start.shape[-1]
        return (
            start.new_empty(people, parameters),
            start.new_empty(people),
            start.new_empty(people, settings.shape[1] - BESIDE_TERMS),
        )

    def fake_gradient(parameters: Tensor, rig, parents, mirror, evidence, settings: Tensor, *args):
        people = parameters.shape[0]
        return (
            parameters.new_empty(people),
            torch.empty_like(parameters),
            parameters.new_empty(people, settings.shape[1] - BESIDE_TERMS),
        )

    def fake_variance(parameters: Tensor, rig: list[Tensor], *args):
        shape = (parameters.shape[0], *rig[0].shape)
        return parameters.new_empty(shape), parameters.new_empty(shape)

    _library.register_solver_op(f"{namespace}::fit", fake=fake)
    _library.register_solver_op(f"{namespace}::fit_gradient", fake=fake_gradient)
    _library.register_solver_op(f"{namespace}::fit_variance", fake=fake_variance)
