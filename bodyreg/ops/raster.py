"""Which face of a mesh a camera sees at every pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bodyreg.ops import _library
from bodyreg.ops._library import folded, unfolded
from bodyreg.reference.raster import Raster


def raster(
    vertices: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    *,
    perspective: bool = False,
    cull: bool = False,
) -> Raster:
    """Draws B meshes that share their faces, each into a picture of its own.

    A picture is [0, W] x [0, H], x right and y down, and the centre of the pixel in row r, column
    c is (c + 0.5, r + 0.5). A face covers a pixel if it holds its centre, after positions have been
    rounded to 1/256 of a pixel; from there on coverage is exact, however large the numbers: a
    centre on a shared edge belongs to the face whose top or left edge it is, so a closed surface
    has no cracks and covers no pixel twice. Of the faces that cover a pixel, the nearest is seen;
    of equally near ones, that of the lowest number. A face without area is not seen.

    Args:
        vertices: (B, V, 3): x and y in pixels, and depth: larger is nearer to the viewer.
        faces: (F, 3) int32.
        height: of the pictures, pixels.
        width: of the pictures, pixels.
        perspective: the third number is z in camera axes, negative in front of the camera, and x
            and y are already divided by it: depth and barycentrics are those of the points in
            space. A face that reaches to z >= 0 is left out.
        cull: leave out back faces. A front face is counter-clockwise seen from outside with y up.

    Returns:
        face (B, H, W) int32, -1 where nothing is; barycentric (B, H, W, 3) in the order of the
        face's vertices, 0 where nothing is; depth (B, H, W), -inf where nothing is.

    Not differentiable. Positions beyond 2^53 pixels are moved there; depths must lie within half of
    what their dtype holds.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, or (on the CPU) a
            vertex is not finite or a face has a vertex that is not there. On a CUDA device such a
            face is not seen.
    """
    return Raster(*_library.active.raster(vertices, faces, height, width, perspective, cull))


@_library.registration
def _register(namespace: str) -> None:
    ops = _library.ops_of(namespace)

    def fake(vertices, faces, height, width, perspective, cull):
        size = (vertices.shape[0], height, width)
        return (
            vertices.new_empty(size, dtype=torch.int32),
            vertices.new_empty(*size, 3),
            vertices.new_empty(size),
        )

    def vmap(info: Any, in_dims: tuple, vertices, faces, *rules):
        size, (vertices_dim, faces_dim, *_) = info.batch_size, in_dims
        if faces_dim is None:
            out = ops.raster(folded(size, vertices_dim, vertices), faces, *rules)
            return unfolded(size, out), (0, 0, 0)
        # A call draws meshes of the same faces.
        each = [
            ops.raster(
                vertices if vertices_dim is None else vertices.select(vertices_dim, i).contiguous(),
                faces.select(faces_dim, i).contiguous(),
                *rules,
            )
            for i in range(size)
        ]
        return tuple(torch.stack(column) for column in zip(*each, strict=True)), (0, 0, 0)

    _library.register_solver_op(f"{namespace}::raster", fake=fake, vmap=vmap)
