"""Projection, weak or perspective, and Gram–Schmidt for its rotation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, unfolded


def projection(
    points: Tensor,
    rotation: Tensor,
    scale: Tensor,
    translation: Tensor,
    perspective: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Projects points into the frame.

        X = s (R v)_xy + t,    z = s (R v)_z            as weak perspective shows them
        xy = X + m (X - c),    m = φ z / d,    d = max(1 - φ z, 0.1),    depth = z

    The model's origin is at the distance f = 1 / φ from the camera, whatever its scale, and d is a
    point's own distance as a share of f, so xy = c + (X - c) / d. Where a point is nearer than a
    tenth of f, or behind the camera, d stays 0.1: m goes on in proportion to z, and no result is
    infinite. With φ = 0 the projection is X, the weak perspective.

    Source: weak perspective, "Learning Body Shape and Pose from Dense Correspondences", Eq. 2. The
    other form is the pinhole camera in the coordinates of a frame, as in "CLIFF: Carrying Location
    Information in Full Frames into Human Pose and Shape Estimation".

    Args:
        points: (B, P, 3), metres.
        rotation: (B, 3, 3) camera rotation R, taken as it is.
        scale: (B,) s, frame units per metre.
        translation: (B, 2) t, frame units.
        perspective: (B, 3) φ, c_x, c_y: the inverse focal length, per frame unit, and the principal
            point, frame units, which must be finite also where φ = 0. All weak if left out.

    Returns:
        xy: (B, P, 2) frame units, y up.
        depth: (B, P) frame units, toward the viewer.

    Gradients reach all five arguments.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape.
    """
    if perspective is None:
        perspective = points.new_zeros(*points.shape[:1], 3)
    return _library.active.projection(points, rotation, scale, translation, perspective)


def gram_schmidt(matrix: Tensor, six: bool = False) -> Tensor:
    """Orthonormalises the columns of 3×3 matrices.

        e1 = a1 / |a1|
        e2 = (a2 - (e1·a2) e1) / |…|
        e3 = (a3 - (e1·a3) e1 - (e2·a3) e2) / |…|         or, with six, e1 × e2

    The nine-number form keeps the sign of the determinant, so it may return a reflection. A norm
    below 1e-8 counts as 1e-8, a constant: such a column comes out short, never NaN.

    Source: "Learning Body Shape and Pose from Dense Correspondences"; the six-number form is that
    of "On the Continuity of Rotation Representations in Neural Networks".

    Args:
        matrix: (B, 3, 3).
        six: ignore the third column (its gradient is zero) and return a proper rotation.

    Returns:
        (B, 3, 3).

    Gradients reach the matrix.

    Raises:
        RuntimeError: the matrix has the wrong dtype, layout or shape.
    """
    return _library.active.gram_schmidt(matrix, six)


@_library.registration
def _register_projection(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(points: Tensor, *camera: Tensor):
        people, count = points.shape[:2]
        return points.new_empty(people, count, 2), points.new_empty(people, count)

    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.save_for_backward(*inputs)

    def backward(ctx: Any, grad_xy: Tensor, grad_depth: Tensor):
        return ops.projection_backward(
            grad_xy.contiguous(), grad_depth.contiguous(), *ctx.saved_tensors
        )

    def vmap(info: Any, in_dims: tuple, *args: Tensor):
        size = info.batch_size
        flat = [folded(size, dim, arg) for dim, arg in zip(in_dims, args, strict=True)]
        return unfolded(size, ops.projection(*flat)), (0, 0)

    def fake_backward(grad_xy: Tensor, grad_depth: Tensor, *inputs: Tensor):
        return tuple(torch.empty_like(x) for x in inputs)

    def vmap_backward(info: Any, in_dims: tuple, *args: Tensor):
        size = info.batch_size
        flat = [folded(size, dim, arg) for dim, arg in zip(in_dims, args, strict=True)]
        return unfolded(size, ops.projection_backward(*flat)), (0, 0, 0, 0, 0)

    _library.register_op(
        f"{namespace}::projection",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::projection_backward", fake=fake_backward, vmap=vmap_backward
    )


@_library.registration
def _register_gram_schmidt(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(matrix: Tensor, six: bool) -> Tensor:
        return torch.empty_like(matrix)

    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        matrix, ctx.six = inputs
        ctx.save_for_backward(matrix)

    def backward(ctx: Any, grad_rotation: Tensor):
        (matrix,) = ctx.saved_tensors
        return ops.gram_schmidt_backward(grad_rotation.contiguous(), matrix, ctx.six), None

    def vmap(info: Any, in_dims: tuple, matrix: Tensor, six: bool):
        out = ops.gram_schmidt(folded(info.batch_size, in_dims[0], matrix), six)
        return unfolded(info.batch_size, [out])[0], 0

    def fake_backward(grad_rotation: Tensor, matrix: Tensor, six: bool) -> Tensor:
        return torch.empty_like(matrix)

    def vmap_backward(info: Any, in_dims: tuple, grad_rotation: Tensor, matrix: Tensor, six: bool):
        size = info.batch_size
        out = ops.gram_schmidt_backward(
            folded(size, in_dims[0], grad_rotation), folded(size, in_dims[1], matrix), six
        )
        return unfolded(size, [out])[0], 0

    _library.register_op(
        f"{namespace}::gram_schmidt",
        fake=fake,
        setup_context=setup_context,
        backward=backward,
        vmap=vmap,
    )
    _library.register_backward_op(
        f"{namespace}::gram_schmidt_backward", fake=fake_backward, vmap=vmap_backward
    )
