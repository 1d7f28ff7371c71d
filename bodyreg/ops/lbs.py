"""Linear blend skinning of rig points."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, folded_shareable, people_of, unfolded


def lbs(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
    """Skins rig points: x_i = Σ_k T[j_ik] h_ik.

    An anchor h_ik = Σ weight · [v; 1] carries rest position and weight in one 4-vector, so a
    vertex, a point inside a triangle and a joint are all the same. An anchor of four zeros is
    padding and is skipped.

    Args:
        transforms: (B, J, 3, 4) segment transforms, as from `kinematics`. At most 128 joints.
        joint_ids: (P, K), or (B, P, K) where people have rig points of their own; int32.
        anchors: (P, K, 4), or (B, P, K, 4); metres, and weights.

    Returns:
        (B, P, 3) points, metres.

    Gradients reach transforms and anchors.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, or (on the CPU) a
            joint id is out of range. On a CUDA device such a point comes out as NaN.
    """
    return _library.active.lbs(transforms, joint_ids, anchors)


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(transforms: Tensor, joint_ids: Tensor, anchors: Tensor) -> Tensor:
        return transforms.new_empty(transforms.shape[0], joint_ids.shape[-2], 3)

    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        transforms, joint_ids, anchors = inputs
        ctx.joints, ctx.anchors_shared = transforms.shape[1], anchors.dim() == 3
        # Each gradient needs the other argument only.
        ctx.save_for_backward(
            transforms if ctx.needs_input_grad[2] else None,
            joint_ids,
            anchors if ctx.needs_input_grad[0] else None,
        )

    def backward(ctx: Any, grad_points: Tensor):
        transforms, joint_ids, anchors = ctx.saved_tensors
        grad_points = grad_points.contiguous()
        grad_transforms = grad_anchors = None
        if ctx.needs_input_grad[0]:
            grad_transforms = ops.lbs_backward_transforms(
                grad_points, joint_ids, anchors, ctx.joints
            )
        if ctx.needs_input_grad[2]:
            grad_anchors = ops.lbs_backward_anchors(
                grad_points, transforms, joint_ids, ctx.anchors_shared
            )
        return grad_transforms, None, grad_anchors

    def vmap(info: Any, in_dims: tuple, transforms, joint_ids, anchors):
        size, people = info.batch_size, people_of(in_dims[0], transforms)
        out = ops.lbs(
            folded(size, in_dims[0], transforms),
            folded_shareable(size, in_dims[1], joint_ids, 2, people),
            folded_shareable(size, in_dims[2], anchors, 3, people),
        )
        return unfolded(size, [out])[0], 0

    def fake_backward_transforms(grad_points, joint_ids, anchors, joints):
        return grad_points.new_empty(grad_points.shape[0], joints, 3, 4)

    def vmap_backward_transforms(
        info: Any, in_dims: tuple, grad_points, joint_ids, anchors, joints
    ):
        size, people = info.batch_size, people_of(in_dims[0], grad_points)
        out = ops.lbs_backward_transforms(
            folded(size, in_dims[0], grad_points),
            folded_shareable(size, in_dims[1], joint_ids, 2, people),
            folded_shareable(size, in_dims[2], anchors, 3, people),
            joints,
        )
        return unfolded(size, [out])[0], 0

    def fake_backward_anchors(grad_points, transforms, joint_ids, shared):
        people = [] if shared else [grad_points.shape[0]]
        return grad_points.new_empty(*people, *joint_ids.shape[-2:], 4)

    def vmap_backward_anchors(
        info: Any, in_dims: tuple, grad_points, transforms, joint_ids, shared
    ):
        size, people = info.batch_size, people_of(in_dims[0], grad_points)
        out = ops.lbs_backward_anchors(
            folded(size, in_dims[0], grad_points),
            folded(size, in_dims[1], transforms),
            folded_shareable(size, in_dims[2], joint_ids, 2, people),
            False,
        )
        (out,) = unfolded(size, [out])
        return out.sum(1) if shared else out, 0

    _library.register_op(
        f"{namespace}::lbs", fake=fake, setup_context=setup_context, backward=backward, vmap=vmap
    )
    _library.register_backward_op(
        f"{namespace}::lbs_backward_transforms",
        fake=fake_backward_transforms,
        vmap=vmap_backward_transforms,
    )
    _library.register_backward_op(
        f"{namespace}::lbs_backward_anchors",
        fake=fake_backward_anchors,
        vmap=vmap_backward_anchors,
    )
