"""A body's surface as a texture, and as a mesh that wears it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.body.charts import PART_COUNT, Charts
from bodyreg.data.fits import Fits
from bodyreg.errors import UserError
from bodyreg.transfer.filling import filled
from bodyreg.transfer.painting import Appearance, Provenance
from bodyreg.transfer.volume import Posed

# Charts lie in rows of so many, with this free space round each, share of its side.
COLUMNS, GAP = 5, 0.02
ROWS = -(-PART_COUNT // COLUMNS)


@dataclass(frozen=True, eq=False)
class Textured:
    """A textured mesh; E corners, as seams need more than one for a vertex.

    Attributes:
        vertices: (E, 3) float32 metres: x right, y up, z toward the viewer, the pelvis at 0.
        normals: (E, 3) float32.
        faces: (F, 3).
        uv: (E, 2) float32 in [0, 1], v up, as GLB's readers expect of `trimesh`.
        texture: (H, W, 3) uint8.
        provenance: (H, W) uint8, `Provenance`.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    provenance: np.ndarray


def textured(appearance: Appearance, fit: Fits, side: int = 1024) -> Textured:
    """A body in the pose of a fit, with the appearance as its texture.

    Args:
        appearance: How the person looks; its body has charts.
        fit: One fit.
        side: Pixels of the texture's longer side.

    Raises:
        UserError: the body has no charts.
    """
    body = appearance.body
    charts = charts_of(body)
    uv = _in_atlas(charts.uv, charts.extended_part)
    height, width = (
        round(side * ROWS / max(ROWS, COLUMNS)),
        round(side * COLUMNS / max(ROWS, COLUMNS)),
    )
    flat = np.column_stack([uv * [width, height], np.zeros(len(uv))]).astype(np.float32)
    drawn = ops.raster(
        torch.from_numpy(flat)[None], torch.from_numpy(charts.faces.astype(np.int32)), height, width
    )
    number, order = _faces_of_body(body, charts)
    shown = drawn.face[0].numpy().reshape(-1)
    texels = np.flatnonzero((shown >= 0) & (number[shown] >= 0))
    some = shown[texels]
    share = np.empty((len(texels), 3), np.float32)
    own = drawn.barycentric[0].view(-1, 3).numpy()[texels]
    np.put_along_axis(share, order[some], own, 1)
    texture = np.zeros((height * width, 3), np.uint8)
    provenance = np.full(height * width, Provenance.BACKGROUND, np.uint8)
    colours, provenance[texels] = appearance.at(number[some], share, np.ones(len(some), np.float32))
    texture[texels] = np.rint(colours).clip(0, 255)
    picture, kind = texture.reshape(height, width, 3), provenance.reshape(height, width)
    posed = Posed.of(appearance.surface, fit, appearance.volume)
    places = fit.vertices(body)[0] / abs(fit.scale[0])
    places = places - fit.joints(body)[0, 0] / abs(fit.scale[0])
    places += appearance.volume[:, None] * posed.normals
    faces = charts.faces[:, [0, 2, 1]] if posed.inside_out else charts.faces
    return Textured(
        places[charts.vertex],
        posed.normals[charts.vertex],
        faces,
        (uv * [1, -1] + [0, 1]).astype(np.float32),
        filled(picture, kind != Provenance.BACKGROUND),
        kind,
    )


def charts_of(body: Body) -> Charts:
    """The charts of a body, which a texture needs.

    Raises:
        UserError: it has none.
    """
    if body.charts is None:
        raise UserError(f"body '{body.name}' has no charts for a texture; give SMPL's with --uv")
    return body.charts


def to_glb(mesh: Textured) -> bytes:
    """The bytes of a GLB file."""
    import trimesh
    from trimesh.visual.material import PBRMaterial

    material = PBRMaterial(
        baseColorTexture=_Image(mesh.texture), metallicFactor=0.0, roughnessFactor=1.0
    )
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=material)
    made = trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_normals=mesh.normals, visual=visual, process=False
    )
    data = made.export(file_type="glb")
    assert isinstance(data, bytes)
    return data


class _Image:
    """What trimesh asks of a picture that it writes; it knows Pillow's, which is not needed."""

    format = "PNG"

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture

    def save(self, file: IO[bytes], format: str) -> None:
        from bodyreg.pictures import encode_picture

        file.write(encode_picture(self.picture, f".{format}"))


def _in_atlas(uv: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(E, 2) places in a picture of all charts, x and y from 0 to 1, y down."""
    row, column = np.divmod(part - 1, COLUMNS)
    inner = GAP + (1 - 2 * GAP) * uv.astype(np.float64)
    return (inner + np.stack([column, row], 1)) / [COLUMNS, ROWS]


def _faces_of_body(body: Body, charts: Charts) -> tuple[np.ndarray, np.ndarray]:
    """The body's faces that are the charts' triangles.

    Returns:
        (F,) the body's face of each triangle, -1 if there is none, and (F, 3) where each corner of
        the triangle is in it.
    """
    corners = charts.vertex[charts.faces].astype(np.int64)
    base = len(body.vertices)

    def keys(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(faces, 1, kind="stable")
        a, b, c = np.take_along_axis(faces, order, 1).T
        return (a * base + b) * base + c, order

    own, place = keys(body.faces.astype(np.int64))
    wanted, order = keys(corners)
    rising = np.argsort(own, kind="stable")
    found = rising[np.searchsorted(own, wanted, sorter=rising).clip(max=len(own) - 1)]
    there = np.empty_like(order)
    np.put_along_axis(there, order, place[found], 1)
    return np.where(own[found] == wanted, found, -1), there
