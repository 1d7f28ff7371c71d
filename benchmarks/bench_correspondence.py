"""correspondence, forward + backward: matched points to a loss, without kinematics."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import workloads
from benchmarks.conftest import backward
from bodyreg import ops, reference

ROWS = {
    "reference, eager": reference.correspondence,
    "reference, torch.compile": torch.compile(reference.correspondence),
    "bodyreg": ops.correspondence,
}
DENSE = "one dense product a person, eager"


@pytest.mark.parametrize("width", [math.inf, 0.1], ids=["squares", "robust"])
@pytest.mark.parametrize("row", [*ROWS, DENSE])
def bench_correspondence(row, width, measure, device):
    people, points = workloads.PEOPLE, workloads.POINTS
    joints = len(workloads.rig(device).parents)
    ones = torch.ones(people, device=device)
    slots = workloads.matches(0, device)[0].shape[-1]

    function = dense_correspondence if row == DENSE else ROWS[row]

    def step(transforms, rotation, scale, translation, *evidence):
        leaves = (transforms, rotation, scale, translation)
        return backward(function(*leaves, *evidence, width), leaves, (ones,))

    def inputs(seed):
        joint_ids, anchors, *targets = workloads.matches(seed, device)
        if row == DENSE:
            joint_ids, anchors = None, dense_anchors(joint_ids, anchors, joints)
        return (
            workloads.transforms(seed, device),
            *workloads.camera(seed, device),
            *(joint_ids, anchors, *targets),
        )

    measure(
        f"correspondence ({'squares' if math.isinf(width) else 'robust'}) forward + backward, "
        f"{people} people, {points} points",
        row,
        step,
        inputs,
        # Forward and backward read everything once; gradients are written.
        bytes_moved=4 * people * (2 * points * (5 * slots + 3) + 3 * joints * 12),
        flops=2 * people * (points * slots * 8 * 3 + joints * 24 * 4),
    )


def dense_anchors(joint_ids, anchors, joints):
    """All anchors of a person in a matrix (B, P, 4 J), mostly zeros: made once, not timed."""
    people, points, slots, _ = anchors.shape
    dense = anchors.new_zeros(people, points, joints, 4)
    index = joint_ids.long()[..., None].expand(people, points, slots, 4)
    return dense.scatter_add_(2, index, anchors).flatten(2)


def dense_correspondence(transforms, rotation, scale, translation, _, anchors, targets, weights, w):
    """The loss with skinning as one batched matrix product."""
    points = anchors @ transforms.mT.flatten(1, 2)
    xy, _ = reference.projection(points, rotation, scale, translation)
    square = (xy - targets).square().sum(-1)
    if math.isfinite(w):
        square = square * w**2 / (w**2 + square)
    return (weights * square).sum(-1)
