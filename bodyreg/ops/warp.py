"""Backward warping by a flow, with visibility."""

from __future__ import annotations

from typing import Any, Literal, overload

from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import empty_picture, folded, is_channels_last, laid_out, unfolded


@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    apart: Literal[False] = False,
) -> Tensor: ...
@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None,
    background: float,
    apart: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    *,
    apart: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def warp(
    features: Tensor,
    flow: Tensor,
    visibility: Tensor | None = None,
    background: float = 0.0,
    apart: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Reads a source where a flow points, for every pixel of a target.

        place(u) = u + flow(u),      warped(u) = the source at place(u), bilinear

    Pixel centres are whole numbers, and the source is 0 outside: a place within one pixel outside
    fades, one farther out reads 0. The same as `grid_sample(align_corners=True,
    padding_mode="zeros")` with the grid `2 place / max(size - 1, 1) - 1`; so along a side of one
    pixel the flow does not count.

    The memory may be contiguous or channels-last. Results and gradients have the layout of what
    they belong to; nothing is converted.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer"; the visible and the hidden
    layer are what its generator gets beside the warped features.

    Args:
        features: (B, C, h, w), the source.
        flow: (B, 2, H, W), x and y, in pixels of the source. One that is not a number gives values
            that are not numbers, and no gradient to the features.
        visibility: (B, H, W) uint8: 0 where the source shows what the target shows, 1 where it
            hides it, from 2 on where the target shows no person. All count as visible if left out.
        background: what the result is where there is no person. Unused if `apart`.
        apart: also return the visible and the hidden layer. Needs a visibility.

    Returns:
        (B, C, H, W): the warped features, `background` where there is no person. If `apart`, the
        warped features everywhere, and (B, 2 C, H, W): the visible layer, which is 0 where the
        visibility is not 0, and the hidden layer, which is 0 where it is not 1.

    Gradients reach features and flow. Where a place is a whole number, the flow's gradient is that
    toward larger places.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, `apart` has no
            visibility, or a picture has 2^31 numbers or more; on a CUDA device, for the gradient to
            the features, also if the sources of a batch together have 2^31 pixels or more.
    """
    warped, layers = _library.active.warp(features, flow, visibility, background, apart)
    return (warped, layers) if apart else warped


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(features, flow, visibility, background, apart):
        pictures, channels = features.shape[:2]
        return tuple(
            empty_picture(features, is_channels_last(features), pictures, count, *flow.shape[2:])
            for count in (channels, 2 * channels if apart else 0)
        )

    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        features, flow, visibility, _, ctx.apart = inputs
        ctx.size, ctx.channels_last = features.shape[2:], is_channels_last(features)
        # The features' gradient does not depend on the features.
        ctx.save_for_backward(features if ctx.needs_input_grad[1] else None, flow, visibility)

    def backward(ctx: Any, grad_warped: Tensor, grad_layers: Tensor):
        features, flow, visibility = ctx.saved_tensors
        grad_features, grad_flow = ops.warp_backward(
            laid_out(grad_warped, ctx.channels_last),
            laid_out(grad_layers, ctx.channels_last) if ctx.apart else None,
            features,
            flow,
            visibility,
            *ctx.size,
            ctx.needs_input_grad[0],
        )
        return (
            grad_features if ctx.needs_input_grad[0] else None,
            grad_flow if ctx.needs_input_grad[1] else None,
            None,
            None,
            None,
        )

    def folded_all(info: Any, in_dims: tuple, tensors: tuple) -> list[Tensor | None]:
        return [
            None if tensor is None else folded(info.batch_size, dim, tensor)
            for dim, tensor in zip(in_dims, tensors, strict=True)
        ]

    def vmap(info: Any, in_dims: tuple, *args: Any):
        out = ops.warp(*folded_all(info, in_dims[:3], args[:3]), *args[3:])
        return unfolded(info.batch_size, out), (0, 0)

    def fake_backward(
        grad_warped, grad_layers, features, flow, visibility, height, width, to_features
    ):
        pictures, channels = grad_warped.shape[:2]
        channels_last = is_channels_last(grad_warped, grad_layers, features)
        size = (pictures if to_features else 0, channels, height, width)
        flow_size = (0 if features is None else pictures, *flow.shape[1:])
        return (
            empty_picture(grad_warped, channels_last, *size),
            empty_picture(flow, is_channels_last(flow), *flow_size),
        )

    def vmap_backward(info: Any, in_dims: tuple, *args: Any):
        out = ops.warp_backward(*folded_all(info, in_dims[:5], args[:5]), *args[5:])
        return unfolded(info.batch_size, out), (0, 0)

    _library.register_op(
        f"{namespace}::warp",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::warp_backward", fake=fake_backward, vmap=vmap_backward
    )
