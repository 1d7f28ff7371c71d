"""Small bodies in SMPL's file formats."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import numpy as np
from scipy import sparse

from bodyreg.body import PARENTS


def smpl_arrays(seed: int = 0, vertices: int = 61, faces: int = 97) -> dict[str, np.ndarray]:
    """The arrays of SMPL's files, in their types, for a random body."""
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, 24)) * (rng.random((vertices, 24)) < 0.12)
    weights[np.arange(vertices), rng.integers(0, 24, vertices)] += 0.1
    regressor = rng.random((24, vertices)) * (rng.random((24, vertices)) < 0.2)
    regressor[:, 0] += 0.01
    regressor /= regressor.sum(1, keepdims=True)
    template = rng.normal(0, 0.5, (vertices, 3))
    parents = np.array(PARENTS, np.int64) % 2**32
    return {
        "v_template": template,
        "f": rng.integers(0, vertices, (faces, 3)).astype(np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": regressor,
        "J": regressor @ template,
        "kintree_table": np.stack([parents, np.arange(24)]).astype(np.uint32),
    }


class _Python2Pickler(pickle._Pickler):
    """Writes bytes and text as Python 2 wrote its one kind of string."""

    def save_string(self, text: bytes | str) -> None:
        data = text if isinstance(text, bytes) else text.encode("latin1")
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(text)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}


CHUMPY_CLASSES = (
    ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("chumpy.reordering", "transpose"),
)  # fmt: skip


class _ChumpyModules:
    """A stand-in for the module chumpy while a pickle is written."""

    def __enter__(self) -> types.SimpleNamespace:
        classes = {}
        sys.modules["chumpy"] = types.ModuleType("chumpy")
        for module, name in CHUMPY_CLASSES:
            sys.modules.setdefault(module, types.ModuleType(module))
            classes[name] = type(name, (), {"__module__": module})
            setattr(sys.modules[module], name, classes[name])
        return types.SimpleNamespace(**classes)

    def __exit__(self, *_: object) -> None:
        for module in ("chumpy", "chumpy.ch", "chumpy.reordering"):
            del sys.modules[module]


def write_smpl_pickle(
    path: Path,
    arrays: dict,
    protocol: int = 2,
    chumpy: bool = True,
    joints_as_expression: bool = False,
) -> None:
    """Write a model like basicModel_neutral_lbs_10_207_0_v1.0.0.pkl: Python 2, chumpy, SciPy."""
    content = dict(arrays, bs_type="lrotmin", bs_style="lbs")
    content["J_regressor"] = sparse.csc_matrix(arrays["J_regressor"])
    with _ChumpyModules() as ch, path.open("wb") as stream:
        if chumpy:
            template, joints = ch.Ch(), ch.Select()
            template.x, template._dirty_vars = arrays["v_template"], set()
            # chumpy keeps a selection as its source, flat indices and the shape to give them.
            joints.a, joints.idxs = template, np.arange(72)
            joints.preferred_shape = (24, 3)
            content |= {"v_template": template, "shapedirs": joints}
            if joints_as_expression:
                content["J"] = ch.transpose()
                content["J"].a, content["J"].axes = ch.Ch(), (1, 0)
        _Python2Pickler(stream, protocol).dump(content)
    data = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(data.replace(b"scipy.sparse._csc", b"scipy.sparse.csc"))
