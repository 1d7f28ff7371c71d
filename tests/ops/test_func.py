"""Rung 6. The ops inside torch.func and forward mode: the right derivatives, or an error in words.

Reference: bodyreg.reference under torch.autograd.
"""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad

from bodyreg import ops, reference
from tests.ops import fit_cases
from tests.ops.backends import Backend
from tests.ops.cases import FORMS, Case

pytestmark = pytest.mark.rung6

LEAVES = [(form, place) for form in FORMS for place in FORMS[form](2, 3).differentiable]
every_leaf = pytest.mark.parametrize(("form", "place"), LEAVES)


def make(form: str, device: str, people: int = 3) -> Case:
    return FORMS[form](people, 5).to(torch.float64, device)


def function_of(case: Case, place: int, module=ops):
    """A loss of one argument; the outputs are weighted, so that no derivative is 0 by symmetry."""

    def loss(argument):
        outputs = case.with_argument(place, argument).call(module)
        return sum(
            (torch.arange(x.numel()).to(x).sin().view(x.shape) * x.square()).sum() for x in outputs
        )

    return loss


def gradient(loss, argument):
    leaf = argument.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def assert_close(ours, expected):
    assert expected.abs().max() > 0
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@every_leaf
def test_grad(built_backend: Backend, form, place):
    case = make(form, built_backend.device)
    expected = gradient(function_of(case, place, reference), case.arguments[place])
    loss = function_of(case, place)
    assert_close(torch.func.grad(loss)(case.arguments[place]), expected)
    value, pullback = torch.func.vjp(loss, case.arguments[place])
    assert_close(pullback(torch.ones_like(value))[0], expected)


@every_leaf
def test_jacrev(built_backend: Backend, form, place):
    case = make(form, built_backend.device, people=2)

    def outputs(argument, module=ops):
        return case.with_argument(place, argument).call(module)

    argument = case.arguments[place]
    ours = torch.func.jacrev(outputs)(argument)
    expected = torch.autograd.functional.jacobian(lambda x: outputs(x, reference), argument)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@every_leaf
def test_grad_of_each_of_several(built_backend: Backend, form, place):
    # vmap outside and inside of grad.
    case = make(form, built_backend.device)
    loss = function_of(case, place)
    several = torch.stack([case.arguments[place] * factor for factor in (1.0, 0.5, -2.0)])
    expected = torch.stack([gradient(function_of(case, place, reference), x) for x in several])
    assert_close(torch.vmap(torch.func.grad(loss))(several), expected)
    assert_close(torch.func.grad(lambda x: torch.vmap(loss)(x).sum())(several), expected)


@every_leaf
def test_forward_mode_is_a_clear_error(built_backend: Backend, form, place):
    case = make(form, built_backend.device)
    loss, argument = function_of(case, place), case.arguments[place]
    refused = pytest.raises(
        RuntimeError, match=rf"^bodyreg\.{case.op}: forward-mode derivatives are not implemented; "
    )
    with refused:
        torch.func.jvp(loss, (argument,), (torch.ones_like(argument),))
    with refused:
        torch.func.jacfwd(loss)(argument)
    with refused, forward_ad.dual_level():
        loss(forward_ad.make_dual(argument, torch.ones_like(argument)))
    with refused:
        torch.vmap(lambda x: torch.func.jvp(loss, (x,), (x,)))(torch.stack([argument] * 2))


@every_leaf
def test_without_tangents_forward_mode_changes_nothing(built_backend: Backend, form, place):
    case = make(form, built_backend.device)
    loss, argument = function_of(case, place), case.arguments[place]
    with forward_ad.dual_level():
        assert torch.equal(loss(argument), loss(argument.clone()))
        ours = gradient(loss, argument)
    assert torch.equal(ours, gradient(loss, argument))


@every_leaf
def test_second_derivatives_are_a_clear_error(built_backend: Backend, form, place):
    case = make(form, built_backend.device)
    loss, argument = function_of(case, place), case.arguments[place]
    for outer in (torch.func.jacrev, torch.func.jacfwd):
        refused = r"second derivatives|forward-mode derivatives"
        with pytest.raises(RuntimeError, match=rf"^bodyreg\.{case.op}: ({refused}) are not impl"):
            outer(torch.func.grad(loss))(argument)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_autocast(built_backend: Backend, form, half):
    case = FORMS[form](3, 5).to(half, built_backend.device)
    place = case.differentiable[0]
    with torch.autocast(built_backend.device, torch.bfloat16):
        ours = torch.func.grad(function_of(case, place))(case.arguments[place])
        expected = gradient(function_of(case, place), case.arguments[place])
    assert ours.dtype == half
    assert torch.equal(ours, expected)


def of_raster(device: str):
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    return lambda vertices: ops.raster(vertices, faces, 6, 6).depth.clamp(min=0).sum()


def of_flow(device: str):
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    face = torch.zeros(1, 2, 2, dtype=torch.int32, device=device)
    share = torch.full((1, 2, 2, 3), 1 / 3, dtype=torch.float64, device=device)
    depth = torch.zeros(1, 6, 6, dtype=torch.float64, device=device)
    return lambda vertices: ops.flow(face, share, vertices, faces, depth).flow.sum()


def of_fit(device: str):
    _, rig, evidence, plan = fit_cases.problem((5,)).to(torch.float64, device)
    plan = plan._replace(settings=torch.cat([plan.settings[:1]] * 2), phases=[0, 1, 1])
    zero = torch.zeros(1, 1, 108, dtype=torch.float64, device=device)
    return lambda shift: ops.fit(zero + shift.sum(), rig, evidence, plan)[1].sum()


def of_fit_gradient(device: str):
    _, rig, evidence, plan = fit_cases.problem((5,)).to(torch.float64, device)
    zero = torch.zeros(1, 108, dtype=torch.float64, device=device)
    return lambda shift: ops.fit_gradient(zero + shift.sum(), rig, evidence, plan)[0].sum()


def of_fit_gradient_by_evidence(device: str):
    parameters, rig, evidence, plan = fit_cases.problem((5,)).to(torch.float64, device)

    def loss(shift):
        moved = evidence._replace(keypoint_xy=evidence.keypoint_xy + shift.sum())
        return ops.fit_gradient(parameters, rig, moved, plan)[0].sum()

    return loss


def of_fit_variance(device: str):
    _, rig, evidence, plan = fit_cases.problem((5,)).to(torch.float64, device)
    zero = torch.zeros(1, 108, dtype=torch.float64, device=device)
    return lambda shift: ops.fit_variance(zero + shift.sum(), rig, evidence, plan)[1].sum()


@pytest.mark.parametrize(
    ("op", "make_loss"),
    [
        ("raster", of_raster),
        ("flow", of_flow),
        ("fit", of_fit),
        ("fit_gradient", of_fit_gradient),
        ("fit_gradient", of_fit_gradient_by_evidence),
        ("fit_variance", of_fit_variance),
    ],
)
def test_ops_without_a_derivative_say_so(built_backend: Backend, op, make_loss):
    loss = make_loss(built_backend.device)
    corners = [[[1.0, 1, 3], [1, 5, 4], [5, 1, 5]]]
    argument = torch.tensor(corners, dtype=torch.float64, device=built_backend.device)
    refused = pytest.raises(RuntimeError, match=rf"^bodyreg\.{op}: it is not differentiable")
    for transform in (torch.func.grad, torch.func.jacrev, torch.func.jacfwd):
        with refused:
            transform(loss)(argument)
    with refused, forward_ad.dual_level():
        loss(forward_ad.make_dual(argument, argument))
    with refused:
        gradient(loss, argument)
