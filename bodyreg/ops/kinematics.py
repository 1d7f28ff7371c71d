"""Forward kinematics of a body whose segments have scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, folded_shareable, people_of, unfolded


def kinematics(
    rotations: Tensor, segment_scale: Tensor, joints: Tensor, parents: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Poses the skeleton: the affine transform of every segment, and the joints' positions.

    A segment's scale enlarges its own vertices about its joint and moves its children; it does not
    scale them. With q the parent of k:

        G_0 = R_0           p_0 = J_0
        G_k = G_q R_k       p_k = p_q + G_q S_q (J_k - J_q)
        A_k = S_k G_k       b_k = p_k - A_k J_k

    Source: "Learning Body Shape and Pose from Dense Correspondences", the body model with segment
    scales.

    Args:
        rotations: (B, J, 3, 3) local rotations R. Any matrix is taken as it is.
        segment_scale: (B, J) scales S.
        joints: (J, 3) or (B, J, 3) rest joints, metres.
        parents: of each joint: -1 for the root, which comes first, and an earlier joint for every
            other one. At most 128 joints.

    Returns:
        transforms: (B, J, 3, 4), [A_k | b_k], from rest to posed coordinates in metres.
        positions: (B, J, 3) posed joints p_k, metres.

    Gradients reach rotations, segment_scale and joints.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, or the parents are
            not those of a tree in order.
    """
    return _library.active.kinematics(rotations, segment_scale, joints, list(parents))


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(rotations: Tensor, segment_scale: Tensor, joints: Tensor, parents: list[int]):
        people, count = rotations.shape[:2]
        return rotations.new_empty(people, count, 3, 4), rotations.new_empty(people, count, 3)

    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        rotations, segment_scale, joints, ctx.parents = inputs
        ctx.save_for_backward(rotations, segment_scale, joints)

    def backward(ctx: Any, grad_transforms: Tensor, grad_positions: Tensor):
        rotations, segment_scale, joints = ctx.saved_tensors
        grads = ops.kinematics_backward(
            grad_transforms.contiguous(),
            grad_positions.contiguous(),
            rotations,
            segment_scale,
            joints,
            ctx.parents,
        )
        grad_rotations, grad_scale, grad_joints = grads
        if joints.dim() == 2 and ctx.needs_input_grad[2]:
            grad_joints = grad_joints.sum(0)
        return grad_rotations, grad_scale, grad_joints if ctx.needs_input_grad[2] else None, None

    def vmap(info: Any, in_dims: tuple, rotations, segment_scale, joints, parents):
        size = info.batch_size
        out = ops.kinematics(
            folded(size, in_dims[0], rotations),
            folded(size, in_dims[1], segment_scale),
            folded_shareable(size, in_dims[2], joints, 2, people_of(in_dims[0], rotations)),
            parents,
        )
        return unfolded(size, out), (0, 0)

    def fake_backward(grad_transforms, grad_positions, rotations, segment_scale, joints, parents):
        return (
            torch.empty_like(rotations),
            torch.empty_like(segment_scale),
            rotations.new_empty(*rotations.shape[:2], 3),
        )

    def vmap_backward(info: Any, in_dims: tuple, *args):
        size = info.batch_size
        people = people_of(in_dims[2], args[2])
        out = ops.kinematics_backward(
            *(folded(size, dim, arg) for dim, arg in zip(in_dims[:4], args[:4], strict=True)),
            folded_shareable(size, in_dims[4], args[4], 2, people),
            args[5],
        )
        return unfolded(size, out), (0, 0, 0)

    _library.register_op(
        f"{namespace}::kinematics",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::kinematics_backward", fake=fake_backward, vmap=vmap_backward
    )
