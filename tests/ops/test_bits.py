"""Bit for bit: a person's results do not depend on the batch, nor on the number of threads.

Reference: the same op on the same person, elsewhere or alone.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import ops
from tests.ops import cases
from tests.ops.cases import FORMS, Case, assert_same_bits

PER_PERSON_FORMS = [form for form in FORMS if form != "gram_schmidt-six"]


def people_of(case: Case) -> int:
    return case.arguments[0].shape[0]


def is_per_person(case: Case, argument) -> bool:
    if not isinstance(argument, torch.Tensor):
        return False
    # Shared arguments have one dimension less; none of the sizes used here are alike.
    return argument.dim() > 0 and argument.shape[0] == people_of(case)


def select(case: Case, people: list[int]) -> Case:
    """The case of these people alone."""
    arguments = [a[people].contiguous() if is_per_person(case, a) else a for a in case.arguments]
    return Case(case.op, tuple(arguments), case.differentiable)


def per_person_results(case: Case) -> list[torch.Tensor]:
    """Outputs and gradients that belong to single people, for cotangents of one."""
    arguments = [*case.arguments]
    own = [i for i in case.differentiable if is_per_person(case, arguments[i])]
    leaves = [arguments[i].clone().requires_grad_() for i in own]
    for i, leaf in zip(own, leaves, strict=True):
        arguments[i] = leaf
    outputs = cases.as_tuple(getattr(ops, case.op)(*arguments))
    gradients = torch.autograd.grad(outputs, leaves, [torch.ones_like(x) for x in outputs])
    return [*(x.detach() for x in outputs), *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", PER_PERSON_FORMS)
def test_a_person_does_not_depend_on_the_batch(backend, form, dtype):
    case = FORMS[form](37, 50).to(dtype, backend.device)
    together = per_person_results(case)
    for people in ([0], [36], [5, 4, 3], list(range(36, -1, -1)), list(range(20))):
        expected = [x[people] for x in together]
        assert_same_bits(per_person_results(select(case, people)), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("form", FORMS)
def test_the_number_of_threads_changes_no_bit(form, set_threads):
    case = FORMS[form](70, 1500).to(torch.float32)
    set_threads(1)
    expected = case.results(ops)
    for threads in (2, 3, 5):
        set_threads(threads)
        assert_same_bits(case.results(ops), expected)


@pytest.mark.parametrize("form", FORMS)
def test_two_runs_give_the_same_bits(backend, form):
    case = FORMS[form](33, 70).to(torch.float32, backend.device)
    expected = case.results(ops)
    for _ in range(3):
        assert_same_bits(case.results(ops), expected)


@pytest.mark.parametrize("width", [float("inf"), 0.7])
@pytest.mark.parametrize("appended", [1, 31, 100])
def test_appended_points_of_weight_zero_change_no_bit(backend, appended, width):
    case = cases.correspondence_case(9, 50, width=width).to(torch.float32, backend.device)
    *camera, ids, anchors, targets, weights, width = case.arguments
    draw = cases.Draw(3)
    padded = Case(
        case.op,
        (
            *camera,
            torch.cat([ids, draw.integers(24, 9, appended, 4).to(ids)], 1),
            torch.cat([anchors, 1e30 * draw.anchors(9, appended, 4).to(anchors)], 1),
            torch.cat([targets, -1e30 * draw.normal(9, appended, 2).to(targets)], 1),
            torch.cat([weights, torch.zeros_like(weights[:, :1]).expand(-1, appended)], 1),
            width,
        ),
        case.differentiable,
    )
    assert_same_bits(per_person_results(padded), per_person_results(case))
