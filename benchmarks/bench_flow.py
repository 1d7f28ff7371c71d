"""flow: what posed bodies show in one picture, carried into another one, after both rasters."""

from __future__ import annotations

import functools

import pytest
from torch import Tensor

from benchmarks import bench_raster, workloads
from bodyreg import ops, reference

SIDE = 256
PEERS = ["reference, eager"]

# Operations of the formulas; a multiply-add counts as two.
PIXEL = 3 * 6 + 2 + 15 + 8 + 5  # place and depth, displacement, slopes, the tolerance, the test


@pytest.mark.parametrize("row", ["bodyreg", *PEERS])
def bench_flow(row, measure, device):
    op = (ops if row == "bodyreg" else reference).flow
    case = tuple(x.to(device) for x in pairs(0))
    measure(
        f"flow, {workloads.PEOPLE} pairs of {SIDE} x {SIDE}",
        row,
        op,
        lambda seed: tuple(x.to(device) for x in pairs(seed)),
        against=PEERS,
        **work(*case),
    )


@functools.cache
def pairs(seed: int) -> tuple[Tensor, ...]:
    """Bodies in random poses, each seen in the pose of the next one."""
    vertices, faces = bench_raster.mesh(workloads.PEOPLE, 0, SIDE, seed)
    shown = ops.raster(vertices, faces, SIDE, SIDE)
    source, depth = (x.roll(1, 0).contiguous() for x in (vertices, shown.depth))
    return shown.face, shown.barycentric, source, faces, depth


def work(
    face: Tensor, barycentric: Tensor, vertices: Tensor, faces: Tensor, depth: Tensor
) -> dict[str, float]:
    """Bytes and operations: all pixels are written, those of bodies are read and computed."""
    seen = float((face >= 0).sum())
    return {
        "bytes_moved": face.numel() * (4 + 9) + seen * (12 + 4) + 4 * vertices.numel(),
        "flops": PIXEL * seen,
    }
