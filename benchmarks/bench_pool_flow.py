"""pool_flow: flow and visibility of smaller features, against torch's poolings.

The peer is what users write: sums and counts by avg_pool2d, the least kind by max_pool2d.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.conftest import backward
from bodyreg import ops, reference
from bodyreg.reference.flow import BACKGROUND

PICTURES, SIDE, FACTOR = 8, 256, 8
REACH = 8.0  # the flow's deviation, pixels

# Operations of the formulas of a pixel; a comparison counts as one.
PIXEL = 2 * 2 + 2  # two sums with their masks, the least kind and the count
GRADIENT = 2


def by_poolings(flow: Tensor, visibility: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    person = (visibility < BACKGROUND)[:, None].to(flow.dtype)
    share = functional.avg_pool2d(person, factor).clamp(min=0.5 / factor**2)
    mean = functional.avg_pool2d(flow * person, factor) / (factor * share)
    least = -functional.max_pool2d(-visibility[:, None].to(flow.dtype), factor)
    return mean, least[:, 0].to(torch.uint8)


POOLINGS = "avg_pool2d and max_pool2d, eager"
COMPILED = "avg_pool2d and max_pool2d, torch.compile"
ROWS = {
    "bodyreg": ops.pool_flow,
    POOLINGS: by_poolings,
    COMPILED: torch.compile(by_poolings),
    "reference, eager": reference.pool_flow,
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("with_backward", [False, True], ids=["forward", "forward + backward"])
def bench_pool_flow(row, with_backward, measure, device):
    small = SIDE // FACTOR
    cotangent = torch.randn(PICTURES, 2, small, small).to(device)

    def step(flow, visibility):
        if with_backward:
            return backward(ROWS[row](flow, visibility, FACTOR)[0], (flow,), (cotangent,))
        with torch.no_grad():
            return ROWS[row](flow, visibility, FACTOR)

    name = "forward + backward" if with_backward else "forward"
    measure(
        f"pool_flow, {name}, {PICTURES} x 2 x {SIDE} x {SIDE}, windows of {FACTOR} x {FACTOR}",
        row,
        step,
        lambda seed: inputs(seed, device),
        against=[POOLINGS, COMPILED],
        **work(with_backward),
    )


def inputs(seed: int, device: str) -> tuple[Tensor, Tensor]:
    """A flow with gradients, and what pixels show: a person in the middle, half of them hidden."""
    generator = torch.Generator().manual_seed(seed)
    flow = REACH * torch.randn(PICTURES, 2, SIDE, SIDE, generator=generator)
    kinds = torch.randint(0, 2, (PICTURES, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    kinds[:, :, : SIDE // 4] = kinds[:, :, -SIDE // 4 :] = BACKGROUND
    return flow.to(device).requires_grad_(), kinds.to(device)


def work(with_backward: bool) -> dict[str, float]:
    """Bytes and operations: flow and kinds in, a small share of them out; the gradient out."""
    pixels = PICTURES * SIDE**2
    moved, flops = pixels * (8 + 1) * (1 + FACTOR**-2), PIXEL * pixels
    if with_backward:
        moved += pixels * (8 + 1 + 8 * FACTOR**-2)
        flops += GRADIENT * pixels
    return {"bytes_moved": moved, "flops": flops}
