"""Reading SMPL's pickles without running them.

SMPL's files are pickles of Python 2 that may hold chumpy arrays and SciPy matrices. A pickle is a
program. Here every name it may use stands for a passive record that keeps what it is given; arrays
are made from the records afterwards, with every size checked. Any other name ends the reading.
"""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.errors import UserError

SPARSE_CLASSES = {
    f"{layout}_{kind}" for layout in ("csc", "csr", "coo") for kind in ("matrix", "array")
}
# A sparse matrix is a few bytes that may claim any size; a joint regressor is far below this.
MAX_DENSE_ELEMENTS = 10**8


class ForbiddenError(Exception):
    """The pickle names something that is not part of an array."""


class Record:
    """Keeps the arguments and the state of an object that the pickle would have made."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class ArrayRecord(Record):
    """numpy.ndarray: state (version, shape, dtype, fortran, data)."""


class TypeRecord(Record):
    """numpy.dtype: arguments (code, ...), state (version, byte order, ...)."""


class ScalarRecord(Record):
    """numpy scalar: arguments (dtype, data)."""


class BufferRecord(Record):
    """numpy array of pickle protocol 5: arguments (data, dtype, shape, order)."""


class ChumpyRecord(Record):
    """Any chumpy object: state is its attributes."""


class SparseRecord(Record):
    """A SciPy sparse matrix: state is its attributes."""


def load_pickle(path: Path, *, kind: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read arrays from a pickled dictionary.

    Args:
        path: The file.
        kind: What it should be, for messages.
        names: The entries to read where they are there.

    Returns:
        Name -> array; chumpy arrays and SciPy matrices are dense arrays by now.

    Raises:
        UserError: the file is missing, broken, not a dictionary, or names anything but arrays.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such {kind} file; check the path")
    try:
        with path.open("rb") as stream:
            content = ArrayUnpickler(stream, encoding="latin1").load()
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} instead of a dictionary")
        return {name: as_array(content[name]) for name in names if name in content}
    except ForbiddenError as error:
        raise UserError(
            f"{path}: the pickle names {error}, which could run code, so it was not loaded; "
            "convert the file to .npz where you trust it"
        ) from error
    except Exception as error:  # broken bytes drive the unpickler into errors of any type
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: not a readable {kind} file ({reason}); it may be truncated or of another kind"
        ) from error


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler for which every name is a record."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the short list of what arrays are made of."""
        root = module.split(".")[0]
        if root == "chumpy":
            return ChumpyRecord
        if module.startswith("scipy.sparse") and name in SPARSE_CLASSES:
            return type(name, (SparseRecord,), {})
        if root == "numpy":
            known = {
                "_reconstruct": ArrayRecord,
                "ndarray": Record,
                "dtype": TypeRecord,
                "scalar": ScalarRecord,
                "_frombuffer": BufferRecord,
            }
        elif module in ("__builtin__", "builtins"):
            known = {"object": Record, "set": Record, "bytes": _empty_bytes}
        elif module in ("copy_reg", "copyreg"):
            known = {"_reconstructor": _new_record}
        elif module == "_codecs":
            known = {"encode": _encode_latin1}
        else:
            known = {}
        if name not in known:
            raise ForbiddenError(f"{module}.{name}")
        return known[name]


def _new_record(kind: Any, *_: Any) -> Record:
    if not (isinstance(kind, type) and issubclass(kind, Record)):
        raise ForbiddenError("copyreg._reconstructor of a plain value")
    return kind()


def _empty_bytes() -> bytes:
    return b""  # how Python 3 writes them in the protocols of Python 2


def _encode_latin1(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


def as_array(value: Any) -> np.ndarray:
    """The dense array that a value from a pickle stands for.

    Raises:
        ValueError, TypeError, KeyError: it stands for none, or contradicts itself.
    """
    if isinstance(value, ArrayRecord):
        _, shape, kind, fortran, data = value.state
        return _from_bytes(data, kind, shape, "F" if fortran else "C")
    if isinstance(value, BufferRecord):
        data, kind, shape, order = value.arguments
        return _from_bytes(data, kind, shape, order)
    if isinstance(value, ScalarRecord):
        return _from_bytes(value.arguments[1], value.arguments[0], (), "C")
    if isinstance(value, ChumpyRecord):
        return _from_chumpy(value.state)
    if isinstance(value, SparseRecord):
        return _from_sparse(value)
    if isinstance(value, Record):
        raise TypeError("an object where an array should be")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("objects where numbers should be")
    return array


def _from_bytes(data: Any, kind: TypeRecord, shape: tuple[int, ...], order: str) -> np.ndarray:
    code = str(kind.arguments[0])
    if not re.fullmatch("[biuf][1248]", code):
        raise TypeError(f"elements of type '{code}' where numbers should be")
    byte_order = kind.state[1] if kind.state else "="
    dtype = np.dtype(code).newbyteorder("=" if byte_order == "|" else byte_order)
    data = data.encode("latin1") if isinstance(data, str) else bytes(data)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} with {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape, order=order)
    return array.astype(dtype.newbyteorder("="))


def _from_chumpy(state: dict[str, Any]) -> np.ndarray:
    if "x" in state:  # chumpy.ch.Ch
        return as_array(state["x"])
    chosen = as_array(state["a"]).ravel()[as_array(state["idxs"])]  # chumpy.reordering.Select
    shape = state.get("preferred_shape")
    return chosen if shape is None else chosen.reshape(as_array(shape))


def _from_sparse(value: SparseRecord) -> np.ndarray:
    from scipy import sparse

    state = value.state
    shape = tuple(int(n) for n in state.get("_shape", state.get("shape")))
    if len(shape) != 2 or min(shape) < 0 or math.prod(shape) > MAX_DENSE_ELEMENTS:
        raise ValueError(f"a sparse matrix of shape {shape}")
    data = as_array(state["data"])
    if type(value).__name__.startswith("coo"):
        rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
        matrix = sparse.coo_matrix((data, (as_array(rows), as_array(columns))), shape)
    else:
        compressed = (data, as_array(state["indices"]), as_array(state["indptr"]))
        layout = sparse.csr_matrix if "csr" in type(value).__name__ else sparse.csc_matrix
        matrix = layout(compressed, shape)
        matrix.check_format(full_check=True)  # SciPy trusts indices unless asked
    return matrix.toarray()
