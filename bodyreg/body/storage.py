"""Reading body files: SMPL's .npz and .pkl, the project's own .npz, and joint regressors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.body.charts import Charts
from bodyreg.body.joints import JOINT_NAMES, PARENTS
from bodyreg.body.landmarks import SMPL_VERTEX_COUNT, Landmark, Place, smpl_landmarks
from bodyreg.body.proportions import check_proportions
from bodyreg.body.smpl import SmplVertices
from bodyreg.errors import UserError
from bodyreg.files import first_bytes
from bodyreg.npz import NPY, ZIP, as_texts, load_npy, load_npz
from bodyreg.pickles import MAX_DENSE_ELEMENTS, load_pickle

FORMAT = "bodyreg-body-1"
SMPL_KEYS = ("v_template", "f", "weights", "kintree_table", "vert_sym_idxs")
OWN_KEYS = (
    "format", "name", "mirror_vertices", "chart_name", "chart_uv", "chart_vertex", "chart_faces",
    "chart_part", "landmark_names", "landmark_count", "landmark_vertices", "landmark_weights",
    "place_landmark", "place_point", "place_offset", "place_moves_with", "place_share",
    "shape_names", "shape_directions", "shape_joint_directions", "proportions", "smpl_vertex",
    "smpl_barycentric",
)  # fmt: skip
# The root's parent in kintree_table: -1 as an unsigned 32-bit number.
UNSIGNED_ROOT = 2**32 - 1
# Sums of weights differ from 1 by less than this because of rounding; such weights are kept.
ROUNDING = 1e-6
# Numbers whose sum differs from 1 by more than this are not weights.
MAX_WEIGHT_ERROR = 0.01
# Metres. No person is smaller or larger, and in centimetres every body is.
SMALLEST, LARGEST = 0.2, 10.0


def read_body(path: Path, regressor: Path | None) -> dict[str, Any]:
    """The fields of a `Body` in a file; see `Body.load`."""
    arrays = _read_arrays(path)
    _check_format(arrays, path)
    vertices = _numbers(arrays, "v_template", path, (None, 3))
    _require_metres(vertices, path)
    faces = _indices(arrays, "f", path, len(vertices), (None, 3))
    weight_joint_ids, weights = _weights(arrays, path, len(vertices))
    _check_tree(arrays, path)
    joints = _numbers(arrays, "J", path, (len(PARENTS), 3))
    landmarks = _landmarks(arrays, path, vertices)
    if regressor is not None:
        landmarks |= load_regressor(regressor, len(vertices))
    return {
        "name": _text(arrays, "name", path) if "name" in arrays else path.stem,
        "vertices": vertices,
        "faces": faces,
        "joints": joints,
        "weight_joint_ids": weight_joint_ids,
        "weights": weights,
        "charts": _charts(arrays, path, len(vertices)),
        "smpl": _smpl(arrays, path, len(vertices)),
        "mirror_vertices": _mirror(arrays, path, len(vertices)),
        "landmarks": landmarks,
        **_shapes(arrays, path, len(vertices)),
        "proportions": _proportions(arrays, path),
    }


def load_regressor(path: Path, vertex_count: int) -> dict[str, Landmark]:
    """The joints of a regressor, which are mixes of vertices, as landmarks.

    Args:
        path: (J', V) as .npy, or as .npz with one matrix, dense or SciPy-sparse. An .npz may also
            hold `names` (J',).
        vertex_count: V.

    Raises:
        UserError: the file cannot be read, its matrix has another V, or a row does not sum to 1.
    """
    names, matrix = None, None
    if first_bytes(path, "regressor").startswith(NPY):
        matrix = load_npy(path, kind="regressor")
    else:
        arrays = load_npz(path, kind="regressor")
        if "names" in arrays:
            names = _texts(arrays, "names", path).reshape(-1).tolist()
            del arrays["names"]
        matrix = _sparse(arrays, path) if "data" in arrays else next(iter(arrays.values()), None)
    if matrix is None or matrix.ndim != 2 or matrix.shape[1] != vertex_count:
        shape = None if matrix is None else matrix.shape
        raise UserError(
            f"{path}: expected a regressor of shape (joints, {vertex_count}), got {shape}; "
            "it belongs to another body"
        )
    matrix = _unit_rows(matrix.astype(np.float64), path, "row")
    if names is None:
        names = [f"regressor_{row}" for row in range(len(matrix))]
    if len(names) != len(matrix):
        raise UserError(f"{path}: {len(names)} names for {len(matrix)} rows; give one each")
    landmarks = {}
    for name, row in zip(names, matrix, strict=True):
        used = np.flatnonzero(row)
        landmarks[name] = Landmark(used, row[used].astype(np.float32))
    return landmarks


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of SMPL and of this project in any container; J may come from its regressor."""
    pickled = not first_bytes(path, "body").startswith(ZIP)
    load = load_pickle if pickled else load_npz
    arrays = load(path, kind="body", names=(*SMPL_KEYS, *OWN_KEYS))
    # Pickles may hold J as an unevaluated chumpy expression, .npz files the regressor as a pickle.
    for source in ("J_regressor", "J") if pickled else ("J", "J_regressor"):
        found = load(path, kind="body", names=(source,)).get(source)
        if found is not None and source == "J":
            arrays["J"] = found
        elif found is not None and "v_template" in arrays:
            arrays["J"] = _regress(found, arrays["v_template"], path)
        if "J" in arrays:
            break
    return arrays


def _regress(regressor: np.ndarray, vertices: np.ndarray, path: Path) -> np.ndarray:
    if regressor.ndim != 2 or vertices.ndim != 2 or regressor.shape[1] != len(vertices):
        raise UserError(
            f"{path}: 'J_regressor' of shape {regressor.shape} does not fit 'v_template' of shape "
            f"{vertices.shape}; the file is damaged"
        )
    return regressor @ vertices


def _check_format(arrays: dict[str, np.ndarray], path: Path) -> None:
    found = _text(arrays, "format", path) if "format" in arrays else FORMAT
    if found != FORMAT:
        raise UserError(f"{path}: format '{found}' is unknown; this version reads '{FORMAT}'")
    missing = [k for k in ("v_template", "f", "weights", "J", "kintree_table") if k not in arrays]
    if missing:
        raise UserError(f"{path}: has no '{missing[0]}'; a body file needs SMPL's keys")
    if arrays["weights"].ndim == 2 and arrays["weights"].shape[1] > len(PARENTS):
        raise UserError(
            f"{path}: has {arrays['weights'].shape[1]} joints, so it is SMPL-X, SMPL+H or the "
            "like; give the file of plain SMPL, with 24 joints"
        )


def _texts(arrays: dict[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    try:
        return as_texts(arrays[key])
    except TypeError as error:
        raise UserError(f"{path}: '{key}' has {error}; the file is damaged") from error


def _text(arrays: dict[str, np.ndarray], key: str, path: Path) -> str:
    texts = _texts(arrays, key, path)
    if texts.size != 1:
        raise UserError(f"{path}: '{key}' holds {texts.size} texts, expected one")
    return texts.item()


def _numbers(
    arrays: dict[str, np.ndarray], key: str, path: Path, shape: tuple[int | None, ...]
) -> np.ndarray:
    array = arrays[key]
    fits = array.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size == 0 or array.dtype.kind not in "fiu":
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise UserError(
            f"{path}: '{key}' should be numbers of shape ({wanted}), got {array.dtype} of shape "
            f"{array.shape}; the file is damaged or of another kind"
        )
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinity
        numbers = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(numbers).all():
        raise UserError(f"{path}: '{key}' holds NaN or infinity; the file is damaged")
    return numbers


def _require_metres(vertices: np.ndarray, path: Path) -> None:
    size = float(np.ptp(vertices.astype(np.float64), axis=0).max())
    if not SMALLEST <= size <= LARGEST:
        raise UserError(
            f"{path}: the body is {size:.3g} metres large, a person {SMALLEST:g} to {LARGEST:g}; "
            "give 'v_template' in metres"
        )


def _indices(
    arrays: dict[str, np.ndarray],
    key: str,
    path: Path,
    limit: int,
    shape: tuple[int | None, ...],
) -> np.ndarray:
    _numbers(arrays, key, path, shape)
    array = arrays[key].astype(np.int64)
    bad = (array < 0) | (array >= limit)
    if bad.any():
        raise UserError(
            f"{path}: '{key}' holds the index {array[bad][0]}, outside of 0..{limit - 1}; "
            "the file is damaged"
        )
    return array


def _unit_rows(rows: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Rows that sum to 1. Rows within 1 % are scaled, except for rounding; others are refused."""
    error = np.abs(rows.sum(1) - 1)
    bad = np.flatnonzero(~(error <= MAX_WEIGHT_ERROR))
    if len(bad):
        raise UserError(
            f"{path}: the weights of {what} {bad[0]} sum to {rows[bad[0]].sum():.4g} instead of 1; "
            "the file is damaged or of another kind"
        )
    return np.where(error[:, None] > ROUNDING, rows / rows.sum(1, keepdims=True), rows)


def _weights(
    arrays: dict[str, np.ndarray], path: Path, vertex_count: int
) -> tuple[np.ndarray, np.ndarray]:
    dense = _numbers(arrays, "weights", path, (vertex_count, len(PARENTS))).astype(np.float64)
    if dense.min() < 0:
        raise UserError(f"{path}: 'weights' holds negative numbers; the file is damaged")
    dense = _unit_rows(dense, path, "vertex").astype(np.float32)
    slots = int((dense > 0).sum(1).max())
    ids = np.argsort(-dense, axis=1, kind="stable")[:, :slots]
    weights = np.take_along_axis(dense, ids, 1)
    return np.where(weights > 0, ids, 0).astype(np.int32), weights


def _check_tree(arrays: dict[str, np.ndarray], path: Path) -> None:
    table = arrays["kintree_table"]
    _numbers(arrays, "kintree_table", path, (2, len(PARENTS)))
    parents = table[0].astype(np.int64)
    parents = np.where(parents == UNSIGNED_ROOT, -1, parents)
    wrong = np.flatnonzero(parents != PARENTS)
    if len(wrong):
        joint = wrong[0]
        raise UserError(
            f"{path}: joint {joint} ({JOINT_NAMES[joint]}) has the parent {parents[joint]}, SMPL's "
            f"has {PARENTS[joint]}; only SMPL's skeleton is supported"
        )


def _mirror(arrays: dict[str, np.ndarray], path: Path, vertex_count: int) -> np.ndarray | None:
    for key in ("mirror_vertices", "vert_sym_idxs"):
        if key in arrays:
            return _indices(arrays, key, path, vertex_count, (vertex_count,))
    return None


def _charts(arrays: dict[str, np.ndarray], path: Path, vertex_count: int) -> Charts | None:
    if "chart_name" not in arrays:
        return None
    uv = _numbers(arrays, "chart_uv", path, (None, 2))
    return Charts(
        name=_text(arrays, "chart_name", path),
        uv=uv,
        vertex=_indices(arrays, "chart_vertex", path, vertex_count, (len(uv),)),
        faces=_indices(arrays, "chart_faces", path, len(uv), (None, 3)),
        part=_indices(arrays, "chart_part", path, 25, (len(arrays["chart_faces"]),)),
    )


def _smpl(arrays: dict[str, np.ndarray], path: Path, vertex_count: int) -> SmplVertices | None:
    if "smpl_vertex" not in arrays:
        return None
    shape = (SMPL_VERTEX_COUNT, 3)
    vertex = _indices(arrays, "smpl_vertex", path, vertex_count, shape)
    if "smpl_barycentric" not in arrays:
        raise UserError(f"{path}: has 'smpl_vertex' without 'smpl_barycentric'; it is damaged")
    barycentric = _numbers(arrays, "smpl_barycentric", path, shape)
    if barycentric.min() < 0:
        raise UserError(f"{path}: 'smpl_barycentric' holds negative numbers; the file is damaged")
    return SmplVertices(vertex, _unit_rows(barycentric, path, "SMPL's vertex").astype(np.float32))


def _landmarks(
    arrays: dict[str, np.ndarray], path: Path, vertices: np.ndarray
) -> dict[str, Landmark]:
    if "landmark_names" not in arrays:
        return smpl_landmarks(vertices)
    names = _texts(arrays, "landmark_names", path).reshape(-1).tolist()
    ends = np.cumsum(_indices(arrays, "landmark_count", path, 2**31, (len(names),)))
    ids = _indices(arrays, "landmark_vertices", path, len(vertices), (int(ends[-1]),))
    weights = _numbers(arrays, "landmark_weights", path, (int(ends[-1]),))
    places = _places(arrays, path) if "place_landmark" in arrays else {}
    return {
        name: Landmark(ids[start:end], weights[start:end], tuple(places.get(name, ())))
        for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)
    }


def _places(arrays: dict[str, np.ndarray], path: Path) -> dict[str, list[Place]]:
    """Name of a landmark -> its places."""
    names, points, moves_with = (
        _texts(arrays, f"place_{key}", path).reshape(-1).tolist()
        for key in ("landmark", "point", "moves_with")
    )
    offsets = _numbers(arrays, "place_offset", path, (len(names), 3)).tolist()
    shares = _numbers(arrays, "place_share", path, (len(names),)).tolist()
    places: dict[str, list[Place]] = {}
    for name, *place in zip(names, points, map(tuple, offsets), moves_with, shares, strict=True):
        places.setdefault(name, []).append(Place(*place))
    return places


def _shapes(arrays: dict[str, np.ndarray], path: Path, vertex_count: int) -> dict[str, Any]:
    if "shape_names" not in arrays:
        return {}
    names = tuple(_texts(arrays, "shape_names", path).reshape(-1).tolist())
    return {
        "shape_names": names,
        "shape_directions": _numbers(
            arrays, "shape_directions", path, (len(names), vertex_count, 3)
        ),
        "shape_joint_directions": _numbers(
            arrays, "shape_joint_directions", path, (len(names), len(PARENTS), 3)
        ),
    }


def _proportions(arrays: dict[str, np.ndarray], path: Path) -> np.ndarray | None:
    if "proportions" not in arrays:
        return None
    scale = _numbers(arrays, "proportions", path, (len(PARENTS),))
    try:
        check_proportions(scale)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return scale


def _sparse(arrays: dict[str, np.ndarray], path: Path) -> np.ndarray:
    """A matrix that scipy.sparse.save_npz wrote."""
    from scipy import sparse

    try:
        layout = str(as_texts(arrays["format"]))
        shape = tuple(int(n) for n in arrays["shape"])
        if len(shape) != 2 or min(shape) < 0 or math.prod(shape) > MAX_DENSE_ELEMENTS:
            raise ValueError(f"a matrix of shape {shape}")
        if layout == "coo":
            position = (arrays["row"], arrays["col"])
            matrix = sparse.coo_matrix((arrays["data"], position), shape)
        else:
            kind = {"csc": sparse.csc_matrix, "csr": sparse.csr_matrix}[layout]
            matrix = kind((arrays["data"], arrays["indices"], arrays["indptr"]), shape)
            matrix.check_format(full_check=True)  # SciPy trusts indices unless asked
        return matrix.toarray()
    except (KeyError, ValueError, TypeError, MemoryError) as error:
        raise UserError(
            f"{path}: not a readable sparse regressor ({error}); "
            "write it with scipy.sparse.save_npz, or dense"
        ) from error
