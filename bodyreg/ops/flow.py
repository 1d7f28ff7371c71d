"""Where a picture of a body is in another picture of the same body, and what is visible there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, unfolded
from bodyreg.reference.flow import LEAST, MOST, Flow


def flow(
    face: Tensor,
    barycentric: Tensor,
    vertices: Tensor,
    faces: Tensor,
    depth: Tensor,
    *,
    perspective: bool = False,
    least: float = LEAST,
    most: float = MOST,
) -> Flow:
    """Carries what B targets show into their sources, which show the same meshes in other poses.

        place(u) = Σ_i barycentric_i(u) x_i,      flow(u) = place(u) - u

    x_i are the source's vertices of the face that the target shows at u. The source shows this
    place unless it is outside of the source, the face turns its back to the viewer, or the source's
    raster is nearer to the viewer at the pixel that the place is in:

        depth(pixel) - z > least + min((|∂z/∂x| + |∂z/∂y|) / 2, most)

    The raster holds the depths of centres of pixels, and a surface with a slope is nearer there
    than beside it; the right side is what the face's own slope can explain. The mesh must be
    closed, with faces that are counter-clockwise seen from outside with y up.

    Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer", which calls all of a face
    visible if a pixel shows it. Faces are smaller than pixels, so many that could be seen are not.

    Args:
        face: (B, H, W) int32, of `ops.raster` of the targets.
        barycentric: (B, H, W, 3) likewise. In perspective those of the points in space.
        vertices: (B, V, 3) in the sources: x and y in pixels, and depth, as `ops.raster` takes
            them.
        faces: (F, 3) int32.
        depth: (B, h, w), of `ops.raster` of the sources.
        perspective: of the sources, as in `ops.raster`. The targets may have another one.
        least: tolerance of the depth where the surface is level, in units of the depths.
        most: the most that a slope adds to it. The defaults suit depths in pixels.

    Returns:
        flow (B, H, W, 2) and visibility (B, H, W) uint8, see `Flow`. A place outside of the source
        has a flow too. A pixel whose numbers are not finite is background. A face that reaches to
        the plane of the camera, in perspective, is hidden, and its flow is 0.

    Not differentiable.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, or (on the CPU) a
            face or a vertex is not there. On a CUDA device such a pixel is background.
    """
    return Flow(
        *_library.active.flow(face, barycentric, vertices, faces, depth, perspective, least, most)
    )


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(face, barycentric, *rest):
        return (
            barycentric.new_empty(*face.shape, 2),
            torch.empty_like(face, dtype=torch.uint8),
        )

    def vmap(info: Any, in_dims: tuple, face, barycentric, vertices, faces, depth, *rules):
        size, faces_dim, dims = info.batch_size, in_dims[3], (*in_dims[:3], in_dims[4])
        mine = (face, barycentric, vertices, depth)
        if faces_dim is None:
            face, barycentric, vertices, depth = (
                folded(size, dim, x) for dim, x in zip(dims, mine, strict=True)
            )
            out = ops.flow(face, barycentric, vertices, faces, depth, *rules)
            return unfolded(size, out), (0, 0)
        # A call carries meshes of the same faces.
        each = []
        for i in range(size):
            face, barycentric, vertices, depth = (
                x if dim is None else x.select(dim, i).contiguous()
                for dim, x in zip(dims, mine, strict=True)
            )
            own = faces.select(faces_dim, i).contiguous()
            each.append(ops.flow(face, barycentric, vertices, own, depth, *rules))
        return tuple(torch.stack(column) for column in zip(*each, strict=True)), (0, 0)

    _library.register_solver_op(f"{namespace}::flow", fake=fake, vmap=vmap)
