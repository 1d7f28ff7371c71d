"""Bit for bit: a fit does not depend on its batch, on threads, nor on the instruction set.

Reference: the same person elsewhere or alone.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bodyreg import ops
from tests.ops.cases import assert_same_bits
from tests.ops.fit_cases import Problem, every_term, in_perspective, plan, problem, row
from tests.ops.test_fit import candidates

COUNTS = (12, 0, 33, 7, 100, 1, 64, 5, 31, 32, 3, 0, 2, 20, 8, 13, 50, 6, 40)
PLANS = {
    "squares": [row(dense=1.0, keypoint=0.5, depth=0.1, joint=0.01, exponential=0.01, det=0.1)] * 7,
    "every term": [every_term(0.5)] * 7,
}


def fits(case: Problem) -> list[Tensor]:
    """Parameters, losses and terms of fits in two phases, and the gradient where they end."""
    fitted = fits_from(case, candidates(case, 3))
    last = case.plan._replace(settings=case.plan.settings[-1:].contiguous())
    return [*fitted, *ops.fit_gradient(fitted[0], case.rig, case.evidence, last)]


def case_of(rows: list[list[float]], dtype: torch.dtype, device: str = "cpu") -> Problem:
    rules = plan(*rows, phases=(0, 4, 2, 0, 2, 1), refresh=3)
    return in_perspective(problem(COUNTS, seed=4))._replace(plan=rules).to(dtype, device)


def assert_same_fits(ours: list[Tensor], expected: list[Tensor]) -> None:
    assert_same_bits(ours, expected)
    assert all(values.isfinite().all() for values in ours)


def fits_from(case: Problem, start: Tensor) -> list[Tensor]:
    return [*ops.fit(start, case.rig, case.evidence, case.plan)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", PLANS)
def test_a_person_does_not_depend_on_the_batch(backend, form, dtype):
    case = case_of(PLANS[form], dtype, backend.device)
    start = candidates(case, 3)
    together = fits_from(case, start)
    for people in ([0], [18], [5, 4, 3], list(range(18, -1, -1)), list(range(9))):
        own = fits_from(case.select(people), start[people].contiguous())
        assert_same_fits(own, [x[people] for x in together])


@pytest.mark.parametrize("lm", [False, True])
@pytest.mark.parametrize("form", PLANS)
def test_neighbours_in_perspective_change_no_bit(backend, form, lm):
    """Weights change from row to row: people who need no refresh keep those of the first."""
    rows = [[x * (1 + i / 10) for x in r] for i, r in enumerate(PLANS[form])]
    case = case_of(rows, torch.float32, backend.device)
    if lm:
        case = case.with_plan(phases=(0, 2, 2, 1, 4, 1))
    start = candidates(case, 3)
    weak = case.evidence.perspective[:, 0] == 0
    seen = case.evidence._replace(perspective=torch.zeros_like(case.evidence.perspective))
    expected = fits_from(case._replace(evidence=seen), start)
    ours = fits_from(case, start)
    assert_same_bits([x[weak] for x in ours], [x[weak] for x in expected])
    assert all((x != y).any() for x, y in zip(ours, expected, strict=True))


@pytest.mark.parametrize("form", PLANS)
def test_two_runs_give_the_same_bits(backend, form):
    case = case_of(PLANS[form], torch.float32, backend.device)
    expected = fits(case)
    for _ in range(2):
        assert_same_fits(fits(case), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("form", PLANS)
def test_the_number_of_threads_changes_no_bit(form, set_threads):
    case = case_of(PLANS[form], torch.float32)
    set_threads(1)
    expected = fits(case)
    for threads in (2, 3, 5):
        set_threads(threads)
        assert_same_fits(fits(case), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", PLANS)
def test_the_width_of_vectors_changes_no_bit(form, dtype, use_isa):
    case = case_of(PLANS[form], dtype)
    use_isa("avx2")
    expected = fits(case)
    use_isa("avx512")
    assert_same_fits(fits(case), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("solver", ["adam", "lm"])
@pytest.mark.parametrize("isa", ["avx2", "avx512"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", PLANS)
def test_the_size_of_a_group_changes_no_bit(form, dtype, isa, solver, use_isa):
    """Alone, in groups of four, of the widest registers, and as what is left of one."""
    case = case_of(PLANS[form], dtype)
    if solver == "lm":
        case = case._replace(plan=case.plan._replace(phases=(0, 4, 2, 1, 2, 1)))
    start = candidates(case, 3)
    use_isa(isa)
    together = fits_from(case, start)
    for size in (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17):
        for first in {0, len(COUNTS) // 2 - size // 2, len(COUNTS) - size}:
            people = list(range(first, first + size))
            own = fits_from(case.select(people), start[people].contiguous())
            assert_same_bits(own, [x[people] for x in together])


@pytest.mark.rung2
@pytest.mark.parametrize("form", PLANS)
def test_without_fused_operations_only_rounding_differs(form, use_isa):
    case = case_of(PLANS[form], torch.float64)
    expected = fits(case)
    use_isa("baseline")
    for ours, theirs in zip(fits(case), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


def test_appended_points_of_weight_zero_change_no_bit(backend):
    case = case_of(PLANS["every term"], torch.float32, backend.device)
    seen = case.evidence
    counts = seen.point_start.diff().tolist()
    first = seen.point_start[:-1].tolist()
    index = torch.tensor([first[b] + i for b, n in enumerate(counts) for i in [*range(n), 0, 0]])
    index = index.clamp_max(len(seen.point_xy) - 1)
    padding = torch.tensor([flag for n in counts for flag in [False] * n + [True] * 2])
    weight, xy = seen.point_weight[index], seen.point_xy[index]
    weight[padding], xy[padding] = 0, torch.nan
    padded = seen._replace(
        point_start=torch.tensor([0, *(n + 2 for n in counts)]).cumsum(0).to(seen.point_start),
        point_vertex=seen.point_vertex[index],
        point_barycentric=seen.point_barycentric[index],
        point_xy=xy,
        point_weight=weight,
    )
    start = candidates(case, 3)
    assert_same_fits(fits_from(case._replace(evidence=padded), start), fits_from(case, start))
