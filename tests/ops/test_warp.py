"""What `warp` has beside the forms of cases.FORMS: memory layouts, edges, sizes, visibility.

Rungs 1, 2, 3, 6 and 7. Reference: torch's grid_sample and closed forms for bodyreg.reference, and
that for the op.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bodyreg import ops, reference
from tests.ops import cases
from tests.ops.cases import Case, Draw, assert_same_bits

LAST = torch.channels_last
INFINITE = torch.inf


def by_grid_sample(features: Tensor, flow: Tensor) -> Tensor:
    """The appearance-flow paper's operator: a grid of normalised places, and torch's sampler."""
    high, wide = features.shape[2:]
    rows, columns = (torch.arange(size).to(flow) for size in flow.shape[2:])
    x = 2 * (columns + flow[:, 0]) / max(wide - 1, 1) - 1
    y = 2 * (rows[:, None] + flow[:, 1]) / max(high - 1, 1) - 1
    return functional.grid_sample(features, torch.stack([x, y], -1), align_corners=True)


def laid(case: Case, features: bool, flow: bool) -> Case:
    """The case with features or flow in channels-last memory."""
    for i, last in enumerate((features, flow)):
        if last:
            case = case.with_argument(i, case.arguments[i].contiguous(memory_format=LAST))
    return case


def assert_agrees(case: Case, device: str = "cpu") -> None:
    """Results and gradients, against the reference in float64."""
    for ours, expected in zip(
        case.to(torch.float64, device).results(ops), case.results(reference), strict=True
    ):
        assert ours.shape == expected.shape
        scale = expected.abs().max().clamp_min(1) if expected.numel() else 1
        assert ((ours.cpu() - expected).abs() <= 1e-10 * scale).all()


# Rung 1: the reference.

SIZES = [((7, 9), (7, 9)), ((1, 9), (1, 9)), ((9, 1), (9, 1)), ((1, 1), (5, 4)), ((12, 5), (3, 8))]


@pytest.mark.rung1
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_the_reference_is_grid_sample(source, target):
    draw = Draw(0)
    leaves = [draw.normal(3, 4, *source), cases.flow(draw, 3, *target, reach=5)]
    leaves = [x.requires_grad_() for x in leaves]
    ours, expected = reference.warp(*leaves), by_grid_sample(*leaves)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    weight = draw.normal(*ours.shape)
    for a, b in zip(
        torch.autograd.grad(ours, leaves, weight),
        torch.autograd.grad(expected, leaves, weight),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.rung1
def test_layers_of_the_reference():
    draw = Draw(1)
    features, flow = draw.normal(2, 3, 6, 5), cases.flow(draw, 2, 6, 5)
    code = draw.integers(5, 2, 6, 5).to(torch.uint8)
    whole = reference.warp(features, flow)
    warped, layers = reference.warp(features, flow, code, apart=True)
    assert torch.equal(warped, whole)
    assert torch.equal(layers[:, :3], whole * (code == 0)[:, None])
    assert torch.equal(layers[:, 3:], whole * (code == 1)[:, None])
    masked = reference.warp(features, flow, code, -1.0)
    assert torch.equal(masked, torch.where(code[:, None] < 2, whole, -1.0))


# Rungs 2, 3 and 7: the op.


@pytest.mark.parametrize("flow_last", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4, 16, 17, 40, 67])
@pytest.mark.parametrize("form", ["all", "seen", "apart"])
def test_channels_last(backend, form, channels, flow_last):
    case = cases.warp_case(2, 7, channels=channels, high=9, form=form)
    case = laid(case, True, flow_last)
    assert_agrees(case, backend.device)
    for dtype in (torch.float32, torch.float64):
        device = case.to(dtype, backend.device)
        features, flow = (x.clone().requires_grad_() for x in device.arguments[:2])
        outputs = device.with_argument(0, features).with_argument(1, flow).call(ops)
        loss = sum(x.square().sum() for x in outputs)
        gradients = torch.autograd.grad(loss, (features, flow))
        for x in (*outputs, gradients[0]):
            # Of one channel, memory is contiguous either way.
            assert channels == 1 or x.is_contiguous(memory_format=LAST)
        assert gradients[1].stride() == flow.stride()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("source", "target"), [*SIZES, ((9, 8), (0, 3)), ((0, 3), (4, 4)), ((33, 3), (3, 130))]
)
def test_sizes(backend, source, target, last):
    for form in ("all", "seen", "apart"):
        for channels in (0, 5, 18):
            case = cases.warp_case(
                2, target[1], channels=channels, high=target[0], source=source, form=form
            )
            assert_agrees(laid(case, last, False), backend.device)


@pytest.mark.parametrize("last", [False, True])
def test_whole_flows_shift(backend, last):
    draw = Draw(2)
    features = draw.normal(2, 6, 8, 11).to(backend.device, torch.float32)
    features = features.contiguous(memory_format=LAST) if last else features
    for x, y in ((0, 0), (3, 0), (0, -2), (-4, 1), (11, 0), (0, 8), (-12, -9)):
        flow = torch.zeros(2, 2, 8, 11, device=backend.device)
        flow[:, 0], flow[:, 1] = x, y
        expected = functional.pad(features, (20, 20, 20, 20))[..., 20 + y :, 20 + x :]
        assert torch.equal(ops.warp(features, flow), expected[..., :8, :11])


@pytest.mark.parametrize("last", [False, True])
def test_halfway_is_the_mean(backend, last):
    features = Draw(3).normal(1, 5, 4, 6).to(backend.device, torch.float32)
    features = features.contiguous(memory_format=LAST) if last else features
    flow = torch.full((1, 2, 4, 6), 0.5, device=backend.device)
    corners = functional.pad(features, (0, 1, 0, 1))
    expected = functional.avg_pool2d(corners, 2, 1)
    torch.testing.assert_close(ops.warp(features, flow), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("last", [False, True])
def test_the_border(backend, last):
    # Values and slopes where a place is on a border, next to it, or a pixel outside.
    nothing = 1e-9
    for x in (-1.0, -1 + nothing, -nothing, 0.0, nothing, 4 - nothing, 4.0, 4 + nothing, 5.0):
        features, flow = Draw(4).normal(1, 5, 5, 5), torch.zeros(1, 2, 5, 5).double()
        flow[:, 0] = x - torch.arange(5).double()
        for form in (flow, flow.flip(1).mT.contiguous()):
            case = Case("warp", (features, form), (0, 1))
            assert_agrees(laid(case, last, last), backend.device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("last", [False, True])
def test_flows_that_lead_nowhere(backend, last, dtype):
    draw = Draw(5)
    features = draw.normal(1, 5, 6, 7).to(backend.device, dtype)
    features = features.contiguous(memory_format=LAST) if last else features
    flow = cases.flow(draw, 1, 6, 7, reach=1).to(backend.device, dtype)
    far = torch.finfo(dtype).max
    for i, wrong in enumerate((INFINITE, -INFINITE, far, -far, 1e30, -(2.0**31), 2.0**32, 2.0**63)):
        flow[0, i % 2, i // 2, i % 7] = wrong
    flow[0, 0, 5, 5] = flow[0, 1, 5, 6] = torch.nan
    leaves = [features.clone(memory_format=torch.preserve_format), flow.clone()]
    leaves = [x.requires_grad_() for x in leaves]
    out = ops.warp(*leaves)
    assert out[0, :, 5, 5:].isnan().all()
    assert out.isnan().sum() == 10
    for i in range(8):
        assert (out[0, :, i // 2, i % 7] == 0).all()
    # Pixels with such flows give the features nothing, and change no other pixel.
    grad_features, grad_flow = torch.autograd.grad(out[..., :5, :].sum() + out[..., 5:, :].sum(),
                                                   leaves)  # fmt: skip
    blank = flow.where(flow.isfinite() & (flow.abs() < 1e9), 1e6)
    calm = [features, blank.clone()]
    calm = [x.detach().requires_grad_() for x in calm]
    expected = torch.autograd.grad(ops.warp(*calm).sum(), calm)
    assert torch.equal(grad_features, expected[0])
    usual = (blank == flow).all(1, keepdim=True).expand_as(flow)
    assert torch.equal(grad_flow[usual], expected[1][usual])
    assert not grad_flow[..., :5, :].isnan().any()


@pytest.mark.parametrize("last", [False, True])
def test_background_reads_nothing(backend, last):
    case = cases.warp_case(2, 9, channels=20, form="seen")
    features, flow, code, *_ = laid(case, last, False).to(torch.float32, backend.device).arguments
    flow = flow.masked_fill(code[:, None] >= 2, torch.nan)
    features = features.clone(memory_format=torch.preserve_format).requires_grad_()
    out = ops.warp(features, flow, code, -1.0)
    assert (out.movedim(1, -1)[code >= 2] == -1).all()
    assert out.isfinite().all()
    (grad,) = torch.autograd.grad(out.sum(), features)
    assert grad.isfinite().all()


@pytest.mark.parametrize("last", [False, True])
def test_pixels_outside_add_nothing_that_is_not_finite(backend, last):
    # A corner outside counts as 0, whatever lies at the border.
    features = torch.full((1, 17, 3, 3), INFINITE, device=backend.device)
    features = features.contiguous(memory_format=LAST) if last else features
    flow = torch.full((1, 2, 3, 3), 10.0, device=backend.device)
    assert (ops.warp(features, flow) == 0).all()


@pytest.mark.parametrize("last", [False, True])
def test_all_pixels_may_read_one(backend, last):
    side = 40 if backend.name != "emulated" else 12
    flow = -torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="xy"))
    features = Draw(6).normal(2, 5, 4, 4)
    case = Case("warp", (features, flow[None].expand(2, -1, -1, -1).double() + 1.25), (0, 1))
    case = case.with_argument(1, case.arguments[1].contiguous())
    assert_agrees(laid(case, last, False), backend.device)


@pytest.mark.parametrize("last", [False, True])
def test_float32_is_grid_sample(backend, last):
    side = 64 if backend.name != "emulated" else 16
    case = cases.warp_case(2, side, channels=7, high=side).to(torch.float32)
    exact = by_grid_sample(*case.to(torch.float64).arguments[:2])
    ours = laid(case, last, False).to(torch.float32, backend.device).call(ops)[0]
    assert (ours.cpu() - exact).abs().max() <= 1e-6 * side / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", ["seen", "apart"])
def test_channels_last_pictures_do_not_depend_on_the_batch(backend, form, dtype):
    case = laid(cases.warp_case(7, 33, channels=20, form=form), True, False)
    case = case.to(dtype, backend.device)

    def results(pictures: list[int]) -> list[Tensor]:
        some = [x[pictures] if isinstance(x, Tensor) else x for x in case.arguments]
        some[0] = some[0].contiguous(memory_format=LAST)
        leaves = [x.requires_grad_() for x in some[:2]]
        outputs = cases.as_tuple(ops.warp(*leaves, *some[2:]))
        return [*outputs, *torch.autograd.grad(sum(x.square().sum() for x in outputs), leaves)]

    together = results(list(range(7)))
    for pictures in ([0], [6], [5, 4, 3]):
        assert_same_bits(results(pictures), [x[pictures] for x in together])


@pytest.mark.rung2
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("form", ["seen", "apart"])
def test_the_number_of_threads_changes_no_bit(form, last, set_threads):
    # Fewer pictures than threads: each is cut into slices of channels.
    for pictures, channels in ((1, 64), (1, 19), (2, 100), (3, 5)):
        case = cases.warp_case(pictures, 45, channels=channels, high=31, form=form)
        case = laid(case, last, False).to(torch.float32)
        set_threads(1)
        expected = case.results(ops)
        for threads in (2, 3, 5):
            set_threads(threads)
            assert_same_bits(case.results(ops), expected)


@pytest.mark.rung2
@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("form", ["seen", "apart"])
def test_every_instruction_set_channels_last(isa, form, use_isa):
    use_isa(isa)
    for channels in (3, 16, 37):
        case = cases.warp_case(2, 70, channels=channels, high=9, form=form)
        assert_agrees(laid(case, True, True))


# Rung 2: arguments.


@pytest.mark.rung2
def test_wrong_arguments_are_named():
    features, flow, code, *_ = cases.warp_case(2, 5, form="seen").to(torch.float32).arguments
    for arguments, message in (
        ((features[..., ::2], flow), r"features: expected a contiguous or channels-last tensor"),
        ((features, flow[..., ::2]), r"flow: expected a contiguous or channels-last tensor"),
        ((features, flow[:, :1]), r"flow: expected shape \(2, 2, any, any\), got \(2, 1, 4, 5\)"),
        ((features, flow[:1]), r"flow: expected shape \(2, 2, any, any\), got \(1, 2, 4, 5\)"),
        ((features, flow, code[:, 1:]), r"visibility: expected shape \(2, 4, 5\), got"),
        ((features, flow, code.bool()), r"visibility: expected dtype uint8, got"),
        ((features, flow, None, 0, True), r"visibility: expected a tensor, .*, got none$"),
    ):
        with pytest.raises(RuntimeError, match=rf"^bodyreg\.warp: {message}"):
            ops.warp(*arguments)


@pytest.mark.rung2
def test_a_picture_of_too_many_numbers_is_refused():
    features, flow = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    large = features.expand(0, 2**11, 2**10, 2**10).contiguous()
    with pytest.raises(RuntimeError, match=r"features: expected fewer than 2\^31 numbers"):
        ops.warp(large, flow.expand(0, 2, 1, 1).contiguous())


# Rung 6.


@pytest.mark.rung6
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("form", ["all", "seen", "apart"])
def test_opcheck(built_backend, form, last):
    case = laid(cases.warp_case(3, 6, form=form), last, last)
    case = case.to(torch.float32, built_backend.device)
    features, flow, code, background, apart = case.arguments
    leaves = [x.requires_grad_() for x in (features, flow)]
    library = built_backend.library
    torch.library.opcheck(library.warp.default, (*leaves, code, background, apart))
    warped, layers = library.warp(features.detach(), flow.detach(), code, background, apart)
    for given, to_features in ((features.detach(), True), (None, True), (features.detach(), False)):
        arguments = (
            *(torch.randn_like(warped), torch.randn_like(layers) if apart else None),
            *(given, flow.detach(), code, *features.shape[2:], to_features),
        )
        torch.library.opcheck(library.warp_backward.default, arguments)


@pytest.mark.rung6
@pytest.mark.parametrize("last", [False, True])
def test_compile_fullgraph(built_backend, last):
    case = laid(cases.warp_case(3, 6, form="apart"), last, False)
    features, flow, code, *_ = case.to(torch.float64, built_backend.device).arguments
    leaves = [x.requires_grad_() for x in (features, flow)]

    def function(features, flow):
        warped, layers = ops.warp(2 * features, flow, code, apart=True)
        return warped.square().sum() + layers.sin().sum()

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(
        torch.autograd.grad(compiled(*leaves), leaves),
        torch.autograd.grad(function(*leaves), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.rung6
@pytest.mark.parametrize("place", [0, 1])
def test_one_gradient_alone(built_backend, place):
    # Only what it needs is kept and computed. Reference: both together.
    case = cases.warp_case(2, 6, form="apart").to(torch.float64, built_backend.device)
    leaf = case.arguments[place].clone().requires_grad_()
    outputs = case.with_argument(place, leaf).call(ops)
    both = case.results(ops)
    generator = torch.Generator().manual_seed(7)
    cotangents = [
        torch.randn(x.shape, generator=generator, dtype=torch.float64).float().to(x)
        for x in outputs
    ]
    (ours,) = torch.autograd.grad(outputs, leaf, cotangents)
    assert torch.equal(ours, both[2 + place])


@pytest.mark.rung6
def test_vmap_over_every_layout(built_backend):
    # Reference: one call after the other.
    case = cases.warp_case(2, 6, form="apart").to(torch.float64, built_backend.device)
    features, flow, code, *_ = case.arguments

    def loss(features, flow):
        warped, layers = ops.warp(features, flow, code, apart=True)
        return warped.square().sum() + layers.sin().sum()

    several = torch.stack([features, -features])
    layouts = (
        several,
        several.movedim(2, -1).contiguous().movedim(-1, 2),  # each is channels-last
        several.movedim(0, -1).contiguous().movedim(-1, 0),
    )
    gradient = torch.func.grad(loss, argnums=(0, 1))
    for given in layouts:
        ours = torch.vmap(gradient, (0, None))(given, flow)
        expected = [gradient(x, flow) for x in several]
        for a, b in zip(ours, zip(*expected, strict=True), strict=True):
            torch.testing.assert_close(a, torch.stack(b), rtol=1e-12, atol=1e-12)
