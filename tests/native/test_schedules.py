"""Rung 3: the order in which a kernel's threads and blocks run changes no bit of its results.

Reference: the kernel itself under another seed of the emulator. That its results are right is shown
in tests/ops, whose tests run over the emulator too.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import ops
from tests.native import build
from tests.ops import cases
from tests.ops.backends import EMULATED
from tests.ops.cases import FORMS, ODD_SIZES, Case

pytestmark = pytest.mark.rung3

SEEDS = range(3)


@pytest.fixture(autouse=True)
def emulator():
    with EMULATED.active():
        yield
        build.set_schedule(0)


def assert_schedules_agree(case: Case) -> None:
    """Outputs and gradients under every seed; all kernels of the op, forward and backward."""
    results = []
    for seed in SEEDS:
        build.set_schedule(seed)
        results.append(case.results(ops))
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


def test_anchors_that_begin_between_sixteen_bytes_are_refused():
    transforms, ids, anchors = cases.lbs_case(2, 3).to(torch.float32).arguments
    shifted = torch.empty(anchors.numel() + 1)[1:].view(anchors.shape).copy_(anchors)
    with pytest.raises(
        RuntimeError, match=r"bodyreg.lbs: anchors: expected memory aligned to 16 bytes"
    ):
        ops.lbs(transforms, ids, shifted)
