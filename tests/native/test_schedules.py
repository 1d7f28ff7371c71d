"""Rung 3: the order in which a kernel's threads and blocks run changes no bit of its results.

Reference: the kernel itself under another seed of the emulator. The tests in tests/ops show that
its results are right; they run over the emulator too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bodyreg import ops
from tests.native import build
from tests.ops import cases, fit_cases, flow_cases, raster_cases
from tests.ops.backends import CPU, EMULATED
from tests.ops.cases import FORMS, ODD_SIZES, Case
from tests.ops.test_fit_bits import fits
from tests.ops.test_pool_flow import inputs, results

pytestmark = pytest.mark.rung3

SEEDS = range(3)


@pytest.fixture(autouse=True)
def emulator():
    with EMULATED.active():
        yield
        build.set_schedule(0)


def assert_schedules_agree(case: Case) -> None:
    """Outputs and gradients under every seed; all kernels of the op, forward and backward."""
    assert_equal_under_every_seed(lambda: case.results(ops))


def assert_equal_under_every_seed(run: Callable[[], list[torch.Tensor]]) -> None:
    results = []
    for seed in SEEDS:
        build.set_schedule(seed)
        results.append(run())
    for other in results[1:]:
        for ours, expected in zip(other, results[0], strict=True):
            assert torch.equal(ours, expected)
            assert not ours.isnan().any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_odd_sizes(form, dtype):
    for size in ODD_SIZES:
        assert_schedules_agree(FORMS[form](min(size, 33), size).to(dtype))


def test_more_people_than_the_grid_has_warps():
    assert_schedules_agree(cases.kinematics_case(130).to(torch.float32))


@pytest.mark.parametrize(
    "case",
    [
        cases.kinematics_case(3, parents=(-1, *range(127))),  # a chain
        cases.kinematics_case(3, parents=(-1, *[0] * 127)),  # a star
        cases.lbs_case(9, 33, influences=3, joints=128),
        cases.lbs_case(2, 33, influences=12, joints=128, shared="none"),
        cases.correspondence_case(2, 33, influences=12, joints=128),
    ],
    ids=["chain", "star", "shared-points", "own-points", "correspondence"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_many_joints_as_allowed(case, dtype):
    assert_schedules_agree(case.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("counts", "keypoints"),
    [((), 3), ((0,), 0), ((1,) * 31, 2), ((*[3] * 32, 257), 1), ((33, 0), 40)],
    ids=["no-people", "no-evidence", "31-people", "33-people", "more-keypoints-than-lanes"],
)
def test_fits(counts, keypoints, dtype):
    """In two phases, the second with fewer candidates."""
    rules = fit_cases.plan(*[fit_cases.every_term()] * 3, phases=(0, 1, 2, 1, 1, 1))
    case = fit_cases.problem(counts, keypoints)._replace(plan=rules).to(dtype)
    assert_equal_under_every_seed(lambda: fits(case))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_variances(dtype):
    case = fit_cases.on_one_branch(fit_cases.in_perspective(fit_cases.problem((33, 0, 2))))
    assert_equal_under_every_seed(lambda: [*ops.fit_variance(*case.to(dtype))])


def test_fits_of_people_with_every_pair_of_joints():
    """They need the second launch, with more shared memory than the default grants."""
    draw = fit_cases.Draw(3)
    case = fit_cases.problem((120, 2, 90), 2)
    ids, anchors = fit_cases.rig_points(draw, draw.normal(len(case.rig.vertex_ids), 3), joints=12)
    case = case._replace(rig=case.rig._replace(vertex_ids=ids, vertex_anchors=anchors))
    case = case.with_plan(settings=torch.tensor([fit_cases.every_term()] * 3).double())
    case = case.with_plan(phases=(0, 1, 2, 1, 1, 1)).to(torch.float64)
    ours = fits(case)
    with CPU.active():
        expected = fits(case)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert_equal_under_every_seed(lambda: fits(case))


def test_anchors_that_begin_between_sixteen_bytes_are_refused():
    transforms, ids, anchors = cases.lbs_case(2, 3).to(torch.float32).arguments
    shifted = torch.empty(anchors.numel() + 1)[1:].view(anchors.shape).copy_(anchors)
    with pytest.raises(
        RuntimeError, match=r"bodyreg.lbs: anchors: expected memory aligned to 16 bytes"
    ):
        ops.lbs(transforms, ids, shifted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
def test_raster(perspective, dtype):
    # Many faces for every pixel, most of them drawn by a thread or most of them by a warp.
    for size in (2, 30):
        vertices, faces = raster_cases.soup(2, 90, 19, 21, size=size, perspective=perspective)
        vertices = vertices.to(dtype)

        def draw(vertices=vertices, faces=faces) -> list[torch.Tensor]:
            return [*ops.raster(vertices, faces, 19, 21, perspective=perspective)]

        assert_equal_under_every_seed(draw)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [8, 5])
def test_warp_channels_last(channels, dtype):
    case = cases.warp_case(3, 19, channels=channels, high=7, form="apart").to(dtype)
    last = case.arguments[0].contiguous(memory_format=torch.channels_last)
    assert_schedules_agree(case.with_argument(0, last))


@pytest.mark.parametrize("factor", [2, 8])
def test_pool_flow(factor):
    flow, visibility = inputs(3, 33, 31)
    assert_equal_under_every_seed(lambda: results(ops, flow, visibility, factor))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flow(dtype):
    for perspective in (False, True):
        case = flow_cases.loose(2, 40, (19, 21), (21, 19), perspective=perspective).to(dtype)
        assert_equal_under_every_seed(lambda case=case: [*case.call(ops)])
