"""DensePose's charts of SMPL, from its file UV_Processed.mat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bodyreg.body.charts import DENSEPOSE_CHARTS, PART_COUNT, Charts
from bodyreg.errors import UserError
from bodyreg.matlab import load_mat

KEYS = ("All_vertices", "All_Faces", "All_FaceIndices", "All_U_norm", "All_V_norm")


def load_uv(path: Path, vertex_count: int) -> Charts:
    """Read UV_Processed.mat, a MATLAB 5 file whose indices begin at 1.

    Args:
        path: The file.
        vertex_count: How many vertices the body has; SMPL has 6890.

    Raises:
        UserError: the file is missing, damaged, or belongs to another body.
    """
    content = load_mat(path, kind="chart", names=KEYS)
    try:
        vertex, faces, part, u, v = (np.asarray(content[key]) for key in KEYS)
        vertex = _whole(vertex).reshape(-1) - 1
        faces = _whole(faces).reshape(-1, 3) - 1
        part = _whole(part).reshape(-1)
        uv = np.stack([u.reshape(-1), v.reshape(-1)], 1).astype(np.float64)
    except KeyError as error:
        raise UserError(f"{path}: has no {error}; give DensePose's UV_Processed.mat") from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its arrays have other types or shapes than charts; the file is damaged"
        ) from error
    for name, array, low, high in (
        ("All_vertices", vertex + 1, 1, vertex_count),
        ("All_Faces", faces + 1, 1, len(uv)),
        ("All_FaceIndices", part, 1, PART_COUNT),
        ("All_U_norm and All_V_norm", uv, 0, 1),
    ):
        if not array.size or not ((array >= low) & (array <= high)).all():
            raise UserError(
                f"{path}: {name} should lie in {low}..{high}; it belongs to another body"
            )
    uv = uv.astype(np.float32)  # numbers that are too large for it are refused by now
    if len(vertex) != len(uv) or len(faces) != len(part):
        raise UserError(f"{path}: its arrays have contradictory lengths; the file is damaged")
    sides = [uv[faces[:, corner]] - uv[faces[:, 0]] for corner in (1, 2)]
    area = np.abs(sides[0][:, 0] * sides[1][:, 1] - sides[0][:, 1] * sides[1][:, 0])
    flat = np.flatnonzero(np.bincount(part, area)[part] == 0)
    if len(flat):
        raise UserError(f"{path}: the chart of part {part[flat[0]]} has no area; it is damaged")
    if vertex.max() + 1 != vertex_count:
        raise UserError(
            f"{path}: its charts are of a body with {vertex.max() + 1} vertices, not "
            f"{vertex_count}; `bodyreg make-map` finds where they lie on this body"
        )
    missing = np.setdiff1d(np.arange(vertex_count), vertex)
    if len(missing):
        raise UserError(f"{path}: has no vertex {missing[0] + 1}; the file is damaged")
    return Charts(DENSEPOSE_CHARTS, uv, vertex, faces, part)


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers of any type as int64.

    Raises:
        ValueError: some are not whole, or too large.
    """
    if numbers.dtype.kind not in "iu":
        numbers = numbers.astype(np.float64)
        if not ((numbers == np.rint(numbers)) & (np.abs(numbers) < 2**31)).all():
            raise ValueError("not whole numbers")
    return numbers.astype(np.int64)
