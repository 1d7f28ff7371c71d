"""Rungs 2, 3 and 7. Reference: bodyreg.reference, in float64.

float32 is held to no tolerance of ours: an op may err twice as much as the float32 reference does
on the same numbers, both measured against float64.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import ops, reference
from tests.ops import cases
from tests.ops.cases import FORMS, ODD_SIZES, Case

ROUNDING = 2.0**-24  # of float32: what a correct result may err by


def sizes_of(backend, sizes=ODD_SIZES):
    # An emulated thread is a function call where a device has a clock tick.
    return sizes if backend.name != "emulated" else [min(size, 65) for size in sizes]


def assert_float64_agrees(case: Case, backend) -> None:
    for ours, expected in zip(
        case.to(torch.float64, backend.device).results(ops), case.results(reference), strict=True
    ):
        assert ours.shape == expected.shape
        scale = expected.abs().max().clamp_min(1) if expected.numel() else 1
        assert ((ours.cpu() - expected).abs() <= 1e-10 * scale).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("people", ODD_SIZES)
def test_float64_agrees_with_the_reference(backend, form, people):
    for points in sizes_of(backend):
        assert_float64_agrees(
            FORMS[form](people if points < 2 else min(people, 33), points), backend
        )


@pytest.mark.parametrize("form", FORMS)
def test_float32_errs_at_most_twice_as_much_as_the_reference(backend, form):
    case = FORMS[form](*sizes_of(backend, [257, 120]))
    exact = case.results(reference)
    peer = case.to(torch.float32).results(reference)
    ours = case.to(torch.float32, backend.device).results(ops)
    for mine, theirs, truth in zip(ours, peer, exact, strict=True):
        error = torch.linalg.vector_norm(mine.cpu().double() - truth)
        allowed = torch.linalg.vector_norm(theirs.double() - truth)
        assert error <= 2 * allowed + ROUNDING * torch.linalg.vector_norm(truth)


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(backend, form):
    case = FORMS[form](2, 5).to(torch.float64, backend.device)
    leaves = [case.arguments[i].clone().requires_grad_() for i in case.differentiable]

    def function(*leaves):
        changed = case
        for i, leaf in zip(case.differentiable, leaves, strict=True):
            changed = changed.with_argument(i, leaf)
        return changed.call(ops)

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)


@pytest.mark.parametrize("joints", [1, 2, 33, 128])
def test_any_number_of_joints(backend, joints):
    generator = torch.Generator().manual_seed(joints)
    parents = [-1] + [int(torch.randint(k, (), generator=generator)) for k in range(1, joints)]
    assert_float64_agrees(cases.kinematics_case(3, parents=parents), backend)
    for shared in ("both", "none"):
        assert_float64_agrees(cases.lbs_case(3, 40, joints=joints, shared=shared), backend)
    assert_float64_agrees(cases.correspondence_case(3, 40, joints=joints), backend)


@pytest.mark.parametrize("influences", [1, 3, 12])
def test_any_number_of_influences(backend, influences):
    for shared in ("both", "ids", "none"):
        case = cases.lbs_case(3, 40, influences=influences, shared=shared)
        assert_float64_agrees(case, backend)
    assert_float64_agrees(cases.correspondence_case(3, 40, influences=influences), backend)


def test_many_points(backend):
    # More than a block of the CPU op takes, and than one pass of a kernel's block.
    people, points = (2, 3000) if backend.name != "emulated" else (1, 1100)
    for shared in ("both", "none"):
        assert_float64_agrees(cases.lbs_case(people, points, shared=shared), backend)
    assert_float64_agrees(cases.projection_case(people, points), backend)
    assert_float64_agrees(cases.correspondence_case(people, points), backend)


@pytest.mark.rung2
@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("form", FORMS)
def test_every_instruction_set(isa, form, use_isa):
    use_isa(isa)
    case = FORMS[form](19, 37)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
        for ours, expected in zip(
            case.to(dtype).results(ops), case.results(reference), strict=True
        ):
            scale = expected.abs().max().clamp_min(1)
            assert ((ours - expected).abs() <= tolerance * scale).all()
