"""projection and Gram–Schmidt, forward + backward."""

from __future__ import annotations

import pytest
import torch

from benchmarks import workloads
from benchmarks.conftest import backward
from bodyreg import ops, reference

PROJECTION = {
    "reference, eager": reference.projection,
    "reference, torch.compile": torch.compile(reference.projection),
    "bodyreg": ops.projection,
}
GRAM_SCHMIDT = {
    "reference, eager": reference.gram_schmidt,
    "reference, torch.compile": torch.compile(reference.gram_schmidt),
    "bodyreg": ops.gram_schmidt,
}


@pytest.mark.parametrize("row", PROJECTION)
def bench_projection(row, measure, device):
    people, vertices = workloads.PEOPLE, len(workloads.rig(device).anchors)
    ones = [torch.ones(people, vertices, *shape, device=device) for shape in ((2,), ())]

    def step(points, rotation, scale, translation):
        leaves = (points, rotation, scale, translation)
        return backward(PROJECTION[row](*leaves), leaves, ones)

    def inputs(seed):
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(people, vertices, 3, generator=generator)
        return workloads.leaf(points, device), *workloads.camera(seed, device)

    measure(
        f"projection forward + backward, {people} people, {vertices:,} points",
        row,
        step,
        inputs,
        bytes_moved=4 * people * vertices * (3 + 3 + 3 + 3 + 3),
        flops=2 * people * vertices * (9 + 3 + 9 + 9),
    )


@pytest.mark.parametrize("row", GRAM_SCHMIDT)
def bench_gram_schmidt(row, measure, device):
    people = workloads.PEOPLE
    ones = [torch.ones(people, 3, 3, device=device)]

    def step(matrix):
        return backward(GRAM_SCHMIDT[row](matrix), (matrix,), ones)

    measure(
        f"gram_schmidt forward + backward, {people} people",
        row,
        step,
        lambda seed: workloads.camera(seed, device)[:1],
        bytes_moved=4 * people * 9 * 5,
        flops=people * 200,
    )
