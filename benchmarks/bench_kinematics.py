"""kinematics, forward + backward: rotations and scales to transforms and positions."""

from __future__ import annotations

import pytest
import torch

from benchmarks import workloads
from benchmarks.conftest import backward
from bodyreg import ops, reference

ROWS = {
    "reference, eager": reference.kinematics,
    "reference, torch.compile": torch.compile(reference.kinematics),
    "bodyreg": ops.kinematics,
}


@pytest.mark.parametrize("row", ROWS)
def bench_kinematics(row, measure, device):
    rig, people = workloads.rig(device), workloads.PEOPLE
    joints = len(rig.parents)
    ones = [torch.ones(people, joints, *shape, device=device) for shape in ((3, 4), (3,))]

    def step(rotations, scale):
        outputs = ROWS[row](rotations, scale, rig.joints, rig.parents)
        return backward(outputs, (rotations, scale), ones)

    measure(
        f"kinematics forward + backward, {people} people",
        row,
        step,
        lambda seed: workloads.pose(seed, device),
        # Read: 10 numbers a joint, twice, and 15 gradients; written: 15 numbers and 10 gradients.
        bytes_moved=4 * people * joints * (2 * 10 + 15 + 15 + 10),
        flops=2 * people * joints * 3 * (27 + 9 + 9 + 9),
    )
