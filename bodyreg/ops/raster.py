"""Which face of a mesh a camera sees at every pixel."""

from __future__ import annotations

from torch import Tensor

from bodyreg import reference
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
            and y are already divided by it: depth and barycentrics are those of the points in space.
            A face that reaches to z >= 0 is left out.
        cull: leave out back faces. A front face is counter-clockwise seen from outside with y up.

    Returns:
        face (B, H, W) int32, -1 where nothing is; barycentric (B, H, W, 3) in the order of the
        face's vertices, 0 where nothing is; depth (B, H, W), -inf where nothing is. A pixel does not
        depend, bit for bit, on the rest of the batch.

    Not differentiable. Positions beyond 2^53 pixels are moved there.

    Raises:
        RuntimeError: an argument has the wrong dtype, device, layout or shape, or (on the CPU) a
            vertex is not finite or a face has a vertex that is not there. On a CUDA device such a
            face is not seen.
    """
    return reference.raster(vertices, faces, height, width, perspective=perspective, cull=cull)
