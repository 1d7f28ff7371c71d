"""`pool_flow`. Rungs 1, 2, 3, 6 and 7. Reference: torch's own pooling and closed forms for
bodyreg.reference, and that for the op.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bodyreg import ops, reference
from tests.ops.cases import ODD_SIZES, Draw, assert_same_bits

LAST = torch.channels_last
FACTORS = (1, 2, 3, 4, 8, 50)


def inputs(pictures: int, high: int, wide: int, device="cpu", dtype=torch.float64, seed: int = 0):
    """Flow and visibility; whole regions are background."""
    draw = Draw(seed)
    code = draw.integers(4, pictures, -(-high // 5), -(-wide // 5)).repeat_interleave(5, 1)
    code = code.repeat_interleave(5, 2)[:, :high, :wide] + draw.integers(2, pictures, high, wide)
    flow = 4 * draw.normal(pictures, 2, high, wide)
    return flow.to(device, dtype), code.to(device, torch.uint8)


def results(module, flow: Tensor, visibility: Tensor, *rules) -> list[Tensor]:
    """Outputs, and the flow's gradient of a fixed combination."""
    leaf = flow.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    pooled, least = module.pool_flow(leaf, visibility, *rules)
    assert not least.requires_grad
    weight = torch.arange(pooled.numel()).to(pooled).sin().view(pooled.shape)
    return [pooled.detach(), least, *torch.autograd.grad(pooled, leaf, weight)]


# Rung 1: the reference.


@pytest.mark.rung1
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_original_is_average_and_minimum_pooling(factor):
    flow, visibility = inputs(3, 8, 12)
    kept = flow * (visibility < 2)[:, None]
    pooled, least = reference.pool_flow(flow, visibility, factor, False)
    expected = functional.avg_pool2d(kept, factor) / factor
    torch.testing.assert_close(pooled, expected, rtol=1e-12, atol=1e-12)
    code = visibility.clamp(max=2).double()
    assert torch.equal(least.double(), -functional.max_pool2d(-code, factor))


@pytest.mark.rung1
def test_a_moved_body_moves_as_far_at_every_level():
    # Masked: windows at the outline have the flow of the rest, and sizes are rounded up.
    flow = torch.tensor([3.0, -5.0]).view(1, 2, 1, 1).repeat(1, 1, 11, 9)
    visibility = torch.full((1, 11, 9), 2, dtype=torch.uint8)
    visibility[0, 3:8, 2:] = 1
    visibility[0, 5, 4] = 0
    flow = torch.where((visibility == 2)[:, None], torch.nan, flow)
    for factor in (1, 2, 4, 16):
        pooled, least = reference.pool_flow(flow, visibility, factor)
        assert pooled.shape[2:] == least.shape[1:] == (-(-11 // factor), -(-9 // factor))
        body = least[0] < 2
        expected = torch.tensor([[3.0], [-5.0]]) / factor
        torch.testing.assert_close(pooled[0][:, body], expected.expand(2, int(body.sum())))
        assert (pooled[0][:, ~body] == 0).all()
        assert (least == 0).sum() == 1
        assert least[0, 5 // factor, 4 // factor] == 0


# Rungs 2, 3 and 7: the op.


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("factor", FACTORS)
def test_agrees_with_the_reference(backend, factor, masked):
    sizes = [(2, 7, wide) for wide in ODD_SIZES] + [(0, 4, 4), (3, 0, 5), (2, 70, 33)]
    for size in sizes:
        flow, visibility = inputs(*size, backend.device)
        for given in (flow, flow.contiguous(memory_format=LAST)):
            ours = results(ops, given, visibility, factor, masked)
            expected = results(reference, flow.cpu(), visibility.cpu(), factor, masked)
            assert torch.equal(ours[1].cpu(), expected[1])
            for a, b in zip(ours[::2], expected[::2], strict=True):
                torch.testing.assert_close(a.cpu(), b, rtol=1e-12, atol=1e-12)
            # A result of one pixel has both layouts.
            if 1 not in flow.shape and ours[1].numel() > len(flow):
                assert ours[2].stride() == given.stride()


@pytest.mark.parametrize("factor", FACTORS)
def test_float32_errs_at_most_twice_as_much_as_the_reference(backend, factor):
    flow, visibility = inputs(3, 70, 65, backend.device, torch.float32)
    exact = results(reference, flow.cpu().double(), visibility.cpu(), factor)
    peer = results(reference, flow.cpu(), visibility.cpu(), factor)
    ours = results(ops, flow, visibility, factor)
    for i in (0, 2):
        error, allowed = (
            torch.linalg.vector_norm(x[i].cpu().double() - exact[i]) for x in (ours, peer)
        )
        assert error <= 2 * allowed + 2.0**-24 * torch.linalg.vector_norm(exact[i])


def test_background_may_hold_anything(backend):
    flow, visibility = inputs(2, 20, 21, backend.device)
    wild = torch.where((visibility < 2)[:, None], flow, torch.nan)
    for factor in FACTORS:
        assert_same_bits(
            results(ops, wild, visibility, factor), results(ops, flow, visibility, factor)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_picture_does_not_depend_on_the_batch(backend, dtype):
    flow, visibility = inputs(5, 33, 20, backend.device, dtype)
    for factor in (2, 8):
        together = ops.pool_flow(flow, visibility, factor)
        alone = ops.pool_flow(flow[3:4].contiguous(), visibility[3:4].contiguous(), factor)
        assert_same_bits(alone, [x[3:4] for x in together])


@pytest.mark.rung2
def test_threads_and_instruction_sets_agree(use_isa, set_threads):
    flow, visibility = inputs(5, 300, 200)
    set_threads(1)
    expected = results(ops, flow, visibility, 8)
    for threads in (2, 5):
        set_threads(threads)
        assert_same_bits(results(ops, flow, visibility, 8), expected)
    for isa in ("baseline", "avx2", "avx512"):
        use_isa(isa)
        for ours, other in zip(results(ops, flow, visibility, 8), expected, strict=True):
            torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12)


@pytest.mark.rung2
def test_wrong_arguments_are_named():
    flow, visibility = inputs(2, 8, 6)
    for arguments, message in (
        ((flow[:, :1].contiguous(), visibility, 2), r"flow: expected shape \(any, 2, any, any\)"),
        ((flow[..., ::2], visibility, 2), "flow: expected a contiguous or channels-last tensor"),
        ((flow.long(), visibility, 2), "flow: expected dtype float32 or float64, got int64"),
        ((flow, visibility.int(), 2), "visibility: expected dtype uint8, got int32"),
        ((flow, visibility[1:], 2), r"visibility: expected shape \(2, 8, 6\), got \(1, 8, 6\)"),
        ((flow, visibility, 0), "factor: expected 1 to 32768, got 0"),
    ):
        with pytest.raises(RuntimeError, match=rf"^bodyreg\.pool_flow: {message}"):
            ops.pool_flow(*arguments)


# Rung 6.


@pytest.mark.rung6
@pytest.mark.parametrize("last", [False, True])
def test_opcheck(built_backend, last):
    flow, visibility = inputs(2, 9, 7, built_backend.device, torch.float32)
    flow = flow.contiguous(memory_format=LAST if last else torch.contiguous_format)
    library = built_backend.library
    arguments = (flow.clone().requires_grad_(), visibility, 2, True)
    torch.library.opcheck(library.pool_flow.default, arguments)
    grad = torch.randn_like(library.pool_flow(flow, visibility, 2, True)[0])
    torch.library.opcheck(library.pool_flow_backward.default, (grad, visibility, 2, True))


@pytest.mark.rung6
def test_inside_torch(built_backend):
    # Derivatives, vmap, torch.compile and autocast. Reference: the op itself, called plainly.
    flow, visibility = inputs(3, 9, 7, built_backend.device)

    def loss(flow, visibility=visibility):
        pooled, least = ops.pool_flow(flow, visibility, 2)
        return (pooled.square() * (least < 2)[:, None]).sum()

    leaf = flow.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, leaf)
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(flow), expected)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(leaf), leaf)[0], expected)
    several = torch.stack([flow, 2 * flow], -1)
    ours = torch.vmap(torch.func.grad(loss), -1)(several)
    torch.testing.assert_close(ours, torch.stack([expected, 2 * expected]))
    refused = pytest.raises(RuntimeError, match=r"^bodyreg\.pool_flow: forward-mode derivatives")
    with refused:
        torch.func.jvp(loss, (flow,), (flow,))
    with torch.autocast(built_backend.device, torch.bfloat16):
        pooled, _ = ops.pool_flow(flow.half(), visibility, 2)
    assert pooled.dtype == torch.float32
    (first,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match=r"bodyreg\.pool_flow: second derivatives are not"):
        torch.autograd.grad(first.sum(), leaf)
