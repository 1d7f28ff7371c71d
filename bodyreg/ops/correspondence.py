"""Dense correspondence loss: skin, project and compare in one pass."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, unfolded


def correspondence(
    transforms: Tensor,
    rotation: Tensor,
    scale: Tensor,
    translation: Tensor,
    joint_ids: Tensor,
    anchors: Tensor,
    targets: Tensor,
    weights: Tensor,
    width: float = math.inf,
) -> Tensor:
    """How far matched rig points are seen from their targets, per person.

        loss = Σ_i w_i ρ(|x_i - target_i|²),      x_i = s (R Σ_k T[j_ik] h_ik)_xy + t
        ρ(q) = width² q / (width² + q)            (Geman–McClure), or q where width is infinite

    The same as `lbs`, `projection` and the sum, but no vertex is written to memory. A point of
    weight zero contributes nothing, not a bit: pad with those.

    Source: "Learning Body Shape and Pose from Dense Correspondences", Eq. 8; the robust form as in
    "Keep it SMPL".

    Args:
        transforms: (B, J, 3, 4) segment transforms, as from `kinematics`.
        rotation: (B, 3, 3) camera rotation R, taken as it is.
        scale: (B,) s, frame units per metre.
        translation: (B, 2) t, frame units.
        joint_ids: (B, P, K) int32, in range for padding too.
        anchors: (B, P, K, 4) rig points, see `lbs`.
        targets: (B, P, 2) frame units.
        weights: (B, P).
        width: where the robust loss starts to give up on a point, frame units.

    Returns:
        (B,) loss, square frame units.

    Gradients reach transforms, rotation, scale and translation.

    Raises:
        ValueError: another argument requires a gradient.
        RuntimeError: an argument has the wrong dtype, device, layout or shape, the width is not
            positive, or (on the CPU) a joint id is out of range. On a CUDA device such a point
            makes the person's loss NaN.
    """
    constants = {"anchors": anchors, "targets": targets, "weights": weights}
    for name, tensor in constants.items():
        if tensor.requires_grad:
            raise ValueError(
                f"bodyreg.correspondence: {name}: expected a tensor that requires no gradient "
                "(compose lbs and projection where it must have one), got one that does"
            )
    return _library.active.correspondence(
        transforms, rotation, scale, translation, joint_ids, anchors, targets, weights, width
    )


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(transforms: Tensor, *args: Any) -> Tensor:
        return transforms.new_empty(transforms.shape[0])

    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        *tensors, ctx.width = inputs
        ctx.save_for_backward(*tensors)

    def backward(ctx: Any, grad_loss: Tensor):
        grads = ops.correspondence_backward(grad_loss.contiguous(), *ctx.saved_tensors, ctx.width)
        return *grads, None, None, None, None, None

    def vmap(info: Any, in_dims: tuple, *args: Any):
        size = info.batch_size
        flat = [folded(size, dim, arg) for dim, arg in zip(in_dims[:8], args[:8], strict=True)]
        return unfolded(size, [ops.correspondence(*flat, args[8])])[0], 0

    def fake_backward(grad_loss, transforms, rotation, scale, translation, *args):
        return tuple(torch.empty_like(t) for t in (transforms, rotation, scale, translation))

    def vmap_backward(info: Any, in_dims: tuple, *args: Any):
        size = info.batch_size
        flat = [folded(size, dim, arg) for dim, arg in zip(in_dims[:9], args[:9], strict=True)]
        return unfolded(size, ops.correspondence_backward(*flat, args[9])), (0, 0, 0, 0)

    _library.register_op(
        f"{namespace}::correspondence",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::correspondence_backward", fake=fake_backward, vmap=vmap_backward
    )
