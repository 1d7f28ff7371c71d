"""Files of the layout of DensePose's UV_Processed.mat, with charts of this project's making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import io
from scipy.spatial import Delaunay

from bodyreg.body import Body

LONGEST = 0.08
"""Metres: longer triangles lie across gaps between fingers."""


def uv_content(body: Body, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Charts on SMPL's 6,890 vertices in which (part, u, v) mean nearly what the body's own mean.

    SMPL's vertices lie on the body (`Body.smpl`), so they have places in the body's own charts.
    There they are triangulated. The order of charts, triangles and corners is random.
    """
    charts, smpl = body.charts, body.smpl
    part_of = {
        tuple(sorted(f)): p
        for f, p in zip(charts.vertex[charts.faces].tolist(), charts.part.tolist(), strict=True)
    }
    part = np.array([part_of[tuple(sorted(v))] for v in smpl.vertex.tolist()])
    uv = charts.coordinates(part, smpl.vertex, smpl.barycentric)
    place = (body.vertices[smpl.vertex] * smpl.barycentric[..., None]).sum(1)
    vertex, faces, numbers = [], [], []
    for number in random.permutation(24) + 1:
        mine = random.permutation(np.flatnonzero(part == number))
        triangles = Delaunay(uv[mine]).simplices
        corners = place[mine][triangles]
        sides = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1)
        middle = uv[mine][triangles].mean(1)
        there = charts.coordinates(
            np.full(len(middle), number), *charts.locate(np.full(len(middle), number), middle)
        )
        good = (sides < LONGEST) & (np.abs(there - middle).max(1) < 1e-4)
        faces.append(random.permutation(triangles[good]) + sum(map(len, vertex)))
        vertex.append(mine)
        numbers.append(np.full(good.sum(), number))
    vertex, faces, numbers = map(np.concatenate, (vertex, faces, numbers))
    along = np.cross(*(place[vertex[faces[:, i]]] - place[vertex[faces[:, 0]]] for i in (1, 2)))
    normal = body.vertex_normals[smpl.vertex[vertex[faces[:, 0]]][:, 0]]
    inward = (along * normal).sum(1) < 0
    faces[inward] = faces[inward][:, [0, 2, 1]]
    return {
        "All_vertices": vertex[None] + 1,
        "All_Faces": faces + 1,
        "All_FaceIndices": numbers[:, None],
        "All_U_norm": uv[vertex, :1],
        "All_V_norm": uv[vertex, 1:],
    }


def write_uv(path: Path, body: Body, seed: int = 0, **changes: np.ndarray | None) -> Path:
    """Write such a file; arrays in `changes` replace its own, None leaves one out."""
    content = uv_content(body, np.random.default_rng(seed)) | changes
    io.savemat(path, {name: array for name, array in content.items() if array is not None})
    return path
