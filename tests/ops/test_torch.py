"""Rung 6. The ops inside torch: opcheck, torch.compile, vmap, autocast, double backward.

Reference: the op itself, called plainly.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import _C, ops, reference
from tests.ops import cases
from tests.ops.backends import Backend
from tests.ops.cases import FORMS, Case

pytestmark = pytest.mark.rung6


def with_leaves(case: Case) -> Case:
    for i in case.differentiable:
        case = case.with_argument(i, case.arguments[i].clone().requires_grad_())
    return case


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_opcheck(built_backend: Backend, form, dtype):
    case = with_leaves(FORMS[form](3, 5).to(dtype, built_backend.device))
    op = getattr(built_backend.library, case.op).default
    torch.library.opcheck(op, case.arguments)


def test_opcheck_of_the_backward_ops(built_backend: Backend):
    library, draw = built_backend.library, cases.Draw(0)

    def on_device(*arguments):
        return Case("", arguments, ()).to(torch.float32, built_backend.device).arguments

    rotations, scale, rest, parents = cases.kinematics_case(3).arguments
    arguments = (draw.normal(3, 24, 3, 4), draw.normal(3, 24, 3), rotations, scale, rest, parents)
    torch.library.opcheck(library.kinematics_backward.default, on_device(*arguments))
    for shared in ("both", "ids", "none"):
        transforms, ids, anchors = cases.lbs_case(3, 5, shared=shared).arguments
        grad = draw.normal(3, 5, 3)
        torch.library.opcheck(
            library.lbs_backward_transforms.default, on_device(grad, ids, anchors, 24)
        )
        torch.library.opcheck(
            library.lbs_backward_anchors.default,
            on_device(grad, transforms, ids, anchors.dim() == 3),
        )
    arguments = (draw.normal(3, 5, 2), draw.normal(3, 5), *cases.projection_case(3, 5).arguments)
    torch.library.opcheck(library.projection_backward.default, on_device(*arguments))
    arguments = (draw.normal(3, 3, 3), draw.normal(3, 3, 3), True)
    torch.library.opcheck(library.gram_schmidt_backward.default, on_device(*arguments))
    arguments = (draw.normal(3), *cases.correspondence_case(3, 5).arguments)
    torch.library.opcheck(library.correspondence_backward.default, on_device(*arguments))


def body_loss(module, rotations, scale, rest, matrix, size, shift, perspective, points, match):
    """A whole chain of ops, as a registration has it."""
    transforms, positions = module.kinematics(rotations, scale, rest, cases.SMPL_PARENTS)
    rotation = module.gram_schmidt(matrix)
    placed = module.lbs(transforms, *points)
    xy, depth = module.projection(placed, rotation, size, shift, perspective)
    dense = module.correspondence(transforms, rotation, size, shift, *match, 0.5)
    return dense.sum() + xy.square().sum() + depth.square().sum() + positions.square().sum()


def body_inputs(device: str):
    rotations, scale, rest, _ = cases.kinematics_case(4).arguments
    _, ids, anchors = cases.lbs_case(4, 9).arguments
    *_, size, shift, perspective = cases.projection_case(4, 9).arguments
    match = cases.correspondence_case(4, 11).arguments[4:8]
    matrix = cases.gram_schmidt_case(4, six=False).arguments[0]
    leaves = (rotations, scale, rest, matrix, size, shift, perspective)
    tensors = Case("", leaves, ()).to(torch.float64, device)
    points = Case("", (ids, anchors), ()).to(torch.float64, device).arguments
    match = Case("", match, ()).to(torch.float64, device).arguments
    return [t.clone().requires_grad_() for t in tensors.arguments], points, match


def test_compile_fullgraph(built_backend: Backend):
    leaves, points, match = body_inputs(built_backend.device)

    def function(*leaves):
        return body_loss(ops, *leaves, points, match)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(
        torch.autograd.grad(compiled(*leaves), leaves),
        torch.autograd.grad(body_loss(reference, *leaves, points, match), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_vmap_over_everything(built_backend: Backend, form):
    # A new leading dimension on every tensor: the same as calling one by one.
    each = [make(form, seed).to(torch.float64, built_backend.device) for seed in range(3)]
    stacked = [
        torch.stack(column) if isinstance(column[0], torch.Tensor) else column[0]
        for column in zip(*(case.arguments for case in each), strict=True)
    ]
    in_dims = tuple(0 if isinstance(a, torch.Tensor) else None for a in stacked)
    outputs = torch.vmap(getattr(ops, each[0].op), in_dims)(*stacked)
    for i, expected in enumerate(zip(*(case.call(ops) for case in each), strict=True)):
        ours = cases.as_tuple(outputs)[i]
        torch.testing.assert_close(ours, torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_vmap_over_one_argument_at_a_time(built_backend: Backend, form):
    first, second = (make(form, seed).to(torch.float64, built_backend.device) for seed in range(2))
    for i, argument in enumerate(first.arguments):
        if not isinstance(argument, torch.Tensor):
            continue
        both = torch.stack([argument, second.arguments[i]], -1)  # the last dimension, for a change
        in_dims = tuple(-1 if j == i else None for j in range(len(first.arguments)))
        function = getattr(ops, first.op)
        outputs = torch.vmap(function, in_dims)(*first.with_argument(i, both).arguments)
        other = first.with_argument(i, second.arguments[i])
        for ours, a, b in zip(
            cases.as_tuple(outputs), first.call(ops), other.call(ops), strict=True
        ):
            torch.testing.assert_close(ours, torch.stack([a, b]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_through_vmap(built_backend: Backend, form):
    # Reference: the sum of the losses, one by one.
    each = [make(form, seed).to(torch.float64, built_backend.device) for seed in range(3)]
    for i in each[0].differentiable:

        def loss(argument, i=i):
            return sum(x.square().sum() for x in each[0].with_argument(i, argument).call(ops))

        leaf = torch.stack([case.arguments[i] for case in each]).requires_grad_()
        (ours,) = torch.autograd.grad(torch.vmap(loss)(leaf).sum(), leaf)
        (expected,) = torch.autograd.grad(sum(loss(x) for x in leaf), leaf)
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_many_cotangents_at_once(built_backend: Backend, form):
    # The backward ops under vmap. Reference: one cotangent after the other.
    case = with_leaves(make(form, 0).to(torch.float64, built_backend.device))
    leaves = [case.arguments[i] for i in case.differentiable]
    outputs = case.call(ops)
    draw = cases.Draw(1)
    cotangents = [draw.normal(3, *x.shape).to(x) for x in outputs]
    together = torch.autograd.grad(
        outputs, leaves, cotangents, is_grads_batched=True, retain_graph=True
    )
    for k in range(3):
        alone = torch.autograd.grad(outputs, leaves, [c[k] for c in cotangents], retain_graph=True)
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[k], expected, rtol=1e-10, atol=1e-10)


def make(form: str, seed: int) -> Case:
    """Cases of one form that differ in every tensor but no size."""
    case = FORMS[form](4, 6)
    generator = torch.Generator().manual_seed(seed)
    for i, argument in enumerate(case.arguments):
        if isinstance(argument, torch.Tensor):
            order = torch.randperm(argument.shape[0], generator=generator)
            case = case.with_argument(i, argument[order].contiguous())
    return case


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_autocast_casts_half_precision_up(built_backend: Backend, form, half):
    case = FORMS[form](3, 5).to(half, built_backend.device)
    with torch.autocast(built_backend.device, torch.bfloat16):
        outputs = case.call(ops)
        gradients = case.results(ops)
    for ours, expected in zip(outputs, case.to(torch.float32).call(ops), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, expected)
    assert all(x.isfinite().all() for x in gradients)


@pytest.mark.parametrize("form", FORMS)
def test_a_second_derivative_is_a_clear_error(built_backend: Backend, form):
    case = with_leaves(FORMS[form](2, 3).to(torch.float64, built_backend.device))
    leaf = case.arguments[case.differentiable[0]]
    loss = sum(x.square().sum() for x in case.call(ops))
    (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
    with pytest.raises(RuntimeError, match=rf"bodyreg.{case.op}: second derivatives are not"):
        torch.autograd.grad(gradient.sum(), leaf)


@pytest.mark.skipif(bool(_C.build_info()["cuda_archs"]), reason="built with CUDA")
def test_cuda_tensors_without_cuda_kernels_are_a_clear_error():
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    for case in (make(form, 0) for form in FORMS):
        op = getattr(torch.ops.bodyreg, case.op).default
        with pytest.raises(RuntimeError, match="bodyreg was built without CUDA"):
            op.redispatch(cuda, *case.arguments)
