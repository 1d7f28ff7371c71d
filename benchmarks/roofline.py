"""Operations that an iteration of `fit` needs; its rate is compared with this count.

Counted from the formulas of csrc/fit/joint_math.h, an addition, a product, a quotient and a root
each being one. What a kernel does beyond that (padding a group of people to the union of their
blocks, refreshes, preparation) is not counted: it is overhead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bodyreg.body import AXIS_ANGLE, JOINT_NAMES
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration.losses import TERMS

JOINTS, PARAMETERS = len(JOINT_NAMES), AXIS_ANGLE.count
SAMPLE = 256
"""Number of people, the first ones, whose blocks are counted for all."""

# Of one joint.
AXIS_ANGLE = 38  # θ·θ, two polynomials, three factors
ROTATION = 24  # R of them
CHAIN = 67  # C_q R, P_q + s S_q C_q bone
ROWS = 11  # s S_k C_k | P_k + t
WRENCH = 42 + 20  # force, torque and stretch from the rows x and y, and z
SUBTREE = 6 + 10  # force and torque onto the parent's; the children's stretch
POSE = 56  # torque about the joint, into its parent's axes, times J_leftᵀ
JOINT = AXIS_ANGLE + ROTATION + CHAIN + ROWS + WRENCH + SUBTREE + POSE

CAMERA = 200  # Gram–Schmidt and its adjoint, the determinant, translation and scale
ADAM = 14  # of one parameter
BLOCK = 2 * 2 * 16  # a 4 x 4 block of Q times two rows, a product and a sum each
KEYPOINT_PAIR = 2 * 2 * 4  # one anchor of a depth, there and back

ANGLE_TERMS = {"prior": 4, "limit": 4, "joint": 2}  # of one angle
SCALE_TERMS = {
    "scale_smoothness": 4, "scale_deviation": 4, "scale_symmetry": 3, "scale_level": 3,
    "scale_limit": 4,
}  # fmt: skip
NORMAL_TERMS = {"facing": 27, "visibility": 5}  # of one joint: N_k c, c·N_k c, a torque


def operations(rig: Rig, evidence: Evidence, plan: Plan) -> float:
    """Operations of one iteration of one person, a mean over the people."""
    diagonal, beside = blocks(rig, evidence)
    pairs = float((rig.keypoint_anchors[..., 3] != 0).sum())
    weights = dict(zip(TERMS, plan.settings[-1].tolist(), strict=False))

    def of(costs: dict[str, int]) -> int:
        return sum(cost for term, cost in costs.items() if weights[term] > 0)

    return (
        BLOCK * diagonal
        + 2 * BLOCK * beside  # Q_kl serves both joints
        + (KEYPOINT_PAIR * pairs if weights["depth"] > 0 else 0)
        + JOINTS * (JOINT + 3 * of(ANGLE_TERMS) + of(SCALE_TERMS) + of(NORMAL_TERMS))
        + CAMERA
        + ADAM * PARAMETERS
    )


def blocks(rig: Rig, evidence: Evidence) -> tuple[float, float]:
    """Nonzero blocks of the moments, on the diagonal and above it, as means over people."""
    people = min(SAMPLE, len(evidence.keypoint_weight))
    start = evidence.point_start[: people + 1].tolist()
    used = _joints(rig.vertex_ids, rig.vertex_anchors)
    points = used[evidence.point_vertex[: start[-1]].cpu().long()].any(1).float()
    marks = _joints(rig.keypoint_ids, rig.keypoint_anchors)[1:].float()
    diagonal = beside = 0
    for person, keypoints in enumerate(evidence.keypoint_weight[:people].cpu() > 0):
        own = torch.cat((points[start[person] : start[person + 1]], marks[keypoints]))
        together = own.T @ own > 0
        on = int(together.diagonal().sum())
        diagonal, beside = diagonal + on, beside + (int(together.sum()) - on) // 2
    return diagonal / people, beside / people


def _joints(ids: Tensor, anchors: Tensor) -> Tensor:
    """(N, 24) bool: the joints that move each point."""
    used = torch.zeros(len(ids), JOINTS, dtype=torch.int32)
    used.scatter_add_(1, ids.cpu().long(), (anchors[..., 3] != 0).int().cpu())
    return used > 0
