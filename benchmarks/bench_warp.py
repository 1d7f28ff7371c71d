"""warp: features of the appearance-flow generator, against torch's grid_sample.

The peer is what users write: the grid of normalised places, and grid_sample. Results are new memory
in every row.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.conftest import backward
from bodyreg import ops, reference

PICTURES, CHANNELS, SIDE = 8, 64, 128
COARSE, REACH = 8, 8.0  # the flow is drawn on so many cells a side, with this deviation in pixels
FORMATS = {"channels-last": torch.channels_last, "channels-first": torch.contiguous_format}

# Operations of the formulas; a multiply-add counts as two.
PLACE = 2 * 4 + 4 + 4  # of a target pixel: places, cells and shares, weights
BLEND = 4 * 2  # of a channel
SPREAD = 4 * 2 + 2 * (3 * 2 + 2)  # its gradient to the corners and along the flow


def by_grid_sample(features: Tensor, flow: Tensor) -> Tensor:
    high, wide = features.shape[2:]
    rows, columns = (torch.arange(size, device=flow.device) for size in flow.shape[2:])
    x = 2 * (columns + flow[:, 0]) / max(wide - 1, 1) - 1
    y = 2 * (rows[:, None] + flow[:, 1]) / max(high - 1, 1) - 1
    return functional.grid_sample(features, torch.stack([x, y], -1), align_corners=True)


GRID_SAMPLE = "grid and grid_sample, eager"
COMPILED = "grid and grid_sample, torch.compile"
ROWS = {
    "bodyreg": ops.warp,
    GRID_SAMPLE: by_grid_sample,
    COMPILED: torch.compile(by_grid_sample),
    "reference, eager": reference.warp,
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("with_backward", [False, True], ids=["forward", "forward + backward"])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("threads", [1, None], ids=["one thread", "all threads"])
def bench_warp(row, with_backward, layout, threads, measure, device):
    if device == "cuda" and threads is not None:
        pytest.skip("threads are those of a CPU")
    before = torch.get_num_threads()
    cotangent = inputs(1000, device, layout)[0].detach()

    def step(features, flow):
        # Set here, because all threads measure the machine's ceilings.
        torch.set_num_threads(threads or before)
        if with_backward:
            return backward(ROWS[row](features, flow), (features, flow), (cotangent,))
        with torch.no_grad():
            return ROWS[row](features, flow)

    name = "warp, forward + backward" if with_backward else "warp, forward"
    try:
        measure(
            f"{name}, {PICTURES} x {CHANNELS} x {SIDE} x {SIDE}, {layout}"
            + (", one thread" if threads == 1 else ""),
            row,
            step,
            lambda seed: inputs(seed, device, layout),
            against=[GRID_SAMPLE, COMPILED],
            **work(with_backward),
        )
    finally:
        torch.set_num_threads(before)


def inputs(seed: int, device: str, layout: str) -> tuple[Tensor, Tensor]:
    """Features and a smooth flow, both with gradients."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(PICTURES, CHANNELS, SIDE, SIDE, generator=generator)
    coarse = REACH * torch.randn(PICTURES, 2, COARSE, COARSE, generator=generator)
    flow = functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    features = features.to(device).contiguous(memory_format=FORMATS[layout])
    return features.requires_grad_(), flow.to(device).requires_grad_()


def work(with_backward: bool) -> dict[str, float]:
    """Bytes and operations."""
    pixels = PICTURES * SIDE**2
    numbers = pixels * CHANNELS
    # Features in, results out; their gradients in, features again, their gradients out.
    moved = 4 * (2 * numbers + 2 * pixels)
    flops = PLACE * pixels + BLEND * numbers
    if with_backward:
        moved += 4 * (3 * numbers + 4 * pixels)
        flops += PLACE * pixels + SPREAD * numbers
    return {"bytes_moved": moved, "flops": flops}
