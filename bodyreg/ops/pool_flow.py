"""Flow and visibility of a smaller target."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import empty_picture, folded, is_channels_last, laid_out, unfolded


def pool_flow(
    flow: Tensor, visibility: Tensor, factor: int, masked: bool = True
) -> tuple[Tensor, Tensor]:
    """Makes `warp`'s flow and visibility those of features that are `factor` times smaller.

        flow(window) = Σ flow(pixel) / (factor · n),      over the pixels that have a flow

    A window is `factor` pixels high and wide, and smaller at the right and lower border where they
    do not divide the picture. Pixels of the background have no flow, whatever is stored there. A
    window without any has the flow 0.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer". There n is the number of all
    pixels of a window, which draws the flow at an outline toward 0; `masked=False` is this.

    Args:
        flow: (B, 2, H, W) x and y, pixels; contiguous or channels-last.
        visibility: (B, H, W) uint8, see `warp`.
        factor: 1 to 32768.
        masked: n is the number of pixels that have a flow.

    Returns:
        flow (B, 2, H / factor, W / factor), rounded up, in pixels of the smaller target and with
        the layout of `flow`; visibility (B, H / factor, W / factor) uint8: 0 if a pixel of the
        window is visible, else 1 if one is hidden, else 2.

    Gradients reach the flow.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout, shape or value.
    """
    return _library.active.pool_flow(flow, visibility, factor, masked)


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(flow: Tensor, visibility: Tensor, factor: int, masked: bool):
        pictures, _, high, wide = flow.shape
        size = (-(-high // factor), -(-wide // factor))
        return (
            empty_picture(flow, is_channels_last(flow), pictures, 2, *size),
            visibility.new_empty(pictures, *size),
        )

    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        flow, visibility, ctx.factor, ctx.masked = inputs
        ctx.channels_last = is_channels_last(flow)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(visibility)

    def backward(ctx: Any, grad_flow: Tensor, grad_visibility: Tensor | None):
        (visibility,) = ctx.saved_tensors
        grad_flow = laid_out(grad_flow, ctx.channels_last)
        grad = ops.pool_flow_backward(grad_flow, visibility, ctx.factor, ctx.masked)
        return grad, None, None, None

    def vmap(info: Any, in_dims: tuple, flow, visibility, *rules):
        size = info.batch_size
        out = ops.pool_flow(
            folded(size, in_dims[0], flow), folded(size, in_dims[1], visibility), *rules
        )
        return unfolded(size, out), (0, 0)

    def fake_backward(grad_flow: Tensor, visibility: Tensor, factor: int, masked: bool) -> Tensor:
        pictures = grad_flow.shape[0]
        return empty_picture(
            grad_flow, is_channels_last(grad_flow), pictures, 2, *visibility.shape[1:]
        )

    def vmap_backward(info: Any, in_dims: tuple, grad_flow, visibility, *rules):
        size = info.batch_size
        out = ops.pool_flow_backward(
            folded(size, in_dims[0], grad_flow), folded(size, in_dims[1], visibility), *rules
        )
        return unfolded(size, [out])[0], 0

    _library.register_op(
        f"{namespace}::pool_flow",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::pool_flow_backward", fake=fake_backward, vmap=vmap_backward
    )
