"""Runs every kernel once on the first GPU; compute-sanitizer watches it do so."""

from __future__ import annotations

import torch

from bodyreg import ops
from tests.ops import cases, fit_cases, flow_cases, raster_cases
from tests.ops import test_pool_flow as pool_flow
from tests.ops.cases import FORMS
from tests.ops.test_fit_bits import fits


def main() -> None:
    """Every op, forward and backward, both dtypes, odd sizes."""
    for form in FORMS.values():
        for dtype in (torch.float32, torch.float64):
            for people, points in ((1, 1), (33, 257)):
                form(people, points).to(dtype, "cuda").results(ops)
    rules = fit_cases.plan(*[fit_cases.every_term()] * 4, phases=(0, 2, 2, 0, 1, 1))
    for dtype in (torch.float32, torch.float64):
        fits(fit_cases.problem()._replace(plan=rules).to(dtype, "cuda"))
        ops.fit_variance(*fit_cases.on_one_branch(fit_cases.problem()).to(dtype, "cuda"))
    for size in (2, 30):
        vertices, faces = (x.cuda() for x in raster_cases.soup(3, 300, 33, 31, size=size))
        for dtype in (torch.float32, torch.float64):
            ops.raster(vertices.to(dtype), faces, 33, 31)
    for channels in (8, 5):
        case = cases.warp_case(3, 65, channels=channels, high=31, form="apart")
        last = case.arguments[0].contiguous(memory_format=torch.channels_last)
        for dtype in (torch.float32, torch.float64):
            case.with_argument(0, last).to(dtype, "cuda").results(ops)
        flow, visibility = pool_flow.inputs(3, 31, 65, "cuda")
        for factor in (2, 8):
            pool_flow.results(ops, flow, visibility, factor)
    for perspective in (False, True):
        case = flow_cases.loose(3, 300, (33, 31), (31, 65), perspective=perspective)
        for dtype in (torch.float32, torch.float64):
            case.to(dtype, "cuda").call(ops)
    torch.cuda.synchronize()


if __name__ == "__main__":
    main()
