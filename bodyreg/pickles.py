"""Reading pickles without running them.

SMPL's files and many data sets are pickles, some of Python 2, and may hold chumpy arrays and SciPy
matrices. A pickle is a program. Here every name that it may use stands for a passive record, which
keeps its arguments. Arrays are made from the records afterwards, and every size is checked. Any
other name is refused.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import require_file, unreadable
from bodyreg.npz import StoredArray, as_texts, check_characters, check_member, read_header

SPARSE_CLASSES = {
    f"{layout}_{kind}" for layout in ("csc", "csr", "coo") for kind in ("matrix", "array")
}
# A sparse matrix is a few bytes that may claim any size; a joint regressor is far below this.
MAX_DENSE_ELEMENTS = 10**8


class ForbiddenError(Exception):
    """The pickle names something that is not part of an array."""


class Record:
    """Keeps the arguments and the state of an object that the pickle would have made."""

    arguments: tuple[Any, ...] = ()
    state: Any = None  # both of an object that is made without `__init__`

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

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


class ValueRecord(Record):
    """A record that knows what it stands for."""

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """What it stands for.

        Args:
            plain: Makes this of the record's own content.

        Raises:
            ValueError, TypeError, KeyError: the record contradicts itself.
        """
        raise NotImplementedError


class ObjectRecord(ValueRecord):
    """An object of which only the attributes matter: it becomes a dictionary of them."""

    def value(self, plain: Callable[[Any], Any]) -> dict[str, Any]:
        """Attribute -> value."""
        if self.state is not None and not isinstance(self.state, dict):
            raise TypeError("an object whose attributes are no dictionary")
        return plain(self.state or {})


def load_pickle(path: Path, *, kind: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read arrays from a pickled dictionary.

    Args:
        path: The file.
        kind: What it should be, for messages.
        names: The entries to read if the file has them.

    Returns:
        Name -> array. Chumpy arrays and SciPy matrices become dense arrays.

    Raises:
        UserError: the file is missing, broken, not a dictionary, or names anything but arrays.
    """
    with explained(path, kind), path.open("rb") as stream:
        content = _unpickled(stream)
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} instead of a dictionary")
        content = _by_plain_key(content)
        return {name: as_array(content[name]) for name in names if name in content}


def load_objects(path: Path, *, kind: str) -> Any:
    """Read a pickle of dictionaries, lists, texts, numbers and arrays, nested in any way.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Returns:
        Its content. Tuples become lists, and arrays of objects become nested lists.

    Raises:
        UserError: the file is missing, broken, or names anything but arrays.
    """
    with explained(path, kind), path.open("rb") as stream:
        return as_plain(_unpickled(stream))


def load_npz_objects(path: Path, *, kind: str) -> dict[str, Any]:
    """Read an .npz file whose arrays may be pickled objects, as NumPy writes dictionaries.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Returns:
        Name -> array, or what `load_objects` makes of an object.

    Raises:
        UserError: the file is missing, broken, or names anything but arrays.
    """
    with explained(path, kind), zipfile.ZipFile(path) as archive:
        content = {}
        for member in archive.infolist():
            check_member(member)
            with archive.open(member) as stream:
                name = member.filename.removesuffix(".npy")
                content[name] = _member(stream, name, member.file_size)
        return content


@contextlib.contextmanager
def explained(path: Path, kind: str) -> Iterator[None]:
    """A section that reads an untrusted pickle.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Raises:
        UserError: there is no such file, or an error of any type occurs in the section.
    """
    require_file(path, kind)
    try:
        yield
    except ForbiddenError as error:
        raise UserError(
            f"{path}: the pickle names {error}, which could run code, so it was not loaded; "
            "convert the file to .npz where you trust it"
        ) from error
    except Exception as error:  # broken bytes drive the unpickler into errors of any type
        raise unreadable(path, kind, error) from error


def _unpickled(stream: BinaryIO) -> Any:
    # A read from memory takes no more bytes than there are, although a pickle may claim more. The
    # strings of Python 2 may be text or bytes: they stay bytes until it is known which.
    return ArrayUnpickler(io.BytesIO(stream.read()), encoding="bytes").load()


def _member(stream: BinaryIO, name: str, size: int) -> Any:
    if read_header(stream, name)[2].hasobject:
        return as_plain(_unpickled(stream))
    stream.seek(0)
    return StoredArray(stream, name, size).read()


class ArrayUnpickler(pickle._Unpickler):
    """An unpickler for which every name is a record.

    It is Python's own in Python, not the one in C: there a few bytes can ask for a memory of 2^32
    objects.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """Find a name in the short list of what arrays are made of."""
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
        elif module == "collections":
            known = {"OrderedDict": dict}
        elif module in ("copy_reg", "copyreg"):
            known = {"_reconstructor": _new_record}
        elif module == "_codecs":
            known = {"encode": _encode_latin1}
        else:
            known = {}
        if name not in known:
            raise ForbiddenError(f"{module}.{name}")
        return known[name]

    def load_bytearray8(self) -> None:
        """Read what is there; Python's own fills as many zeros as the pickle claims bytes."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _new_record(kind: Any, *_: Any) -> Record:
    if not (isinstance(kind, type) and issubclass(kind, Record)):
        raise ForbiddenError("copyreg._reconstructor of a plain value")
    return kind()


def _empty_bytes() -> bytes:
    return b""  # how Python 3 writes them in the protocols of Python 2


def _encode_latin1(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


def as_array(value: Any) -> np.ndarray:
    """The dense array for a value from a pickle.

    Raises:
        ValueError, TypeError, KeyError: the value is not an array, or contradicts itself.
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
        return _from_chumpy(_by_plain_key(value.state))
    if isinstance(value, SparseRecord):
        return _from_sparse(type(value).__name__, _by_plain_key(value.state))
    if isinstance(value, Record):
        raise TypeError("an object where an array should be")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("objects where numbers should be")
    return array


def as_plain(value: Any) -> Any:
    """The content of a pickle as dictionaries, lists, texts, numbers and arrays.

    Shared objects stay shared, so a small file cannot grow to a huge tree.

    Raises:
        ValueError, TypeError, KeyError: an array in it contradicts itself.
    """
    return _as_plain(value, {})


def _as_plain(value: Any, made: dict[int, Any]) -> Any:
    if type(value) in (float, int, str):  # most values of large files
        return value
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, dict):
        result = {key: _as_plain(item, made) for key, item in _by_plain_key(value).items()}
    elif isinstance(value, list | tuple):
        result = [_as_plain(item, made) for item in value]
    elif isinstance(value, ArrayRecord) and _text(value.state[2].arguments[0]) in ("O", "O8"):
        _, shape, _, fortran, items = value.state
        items = [_as_plain(item, made) for item in items]
        if math.prod(shape) != len(items) or min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {shape} with {len(items)} objects")
        result = _nested(items, tuple(shape), "F" if fortran else "C")
    elif isinstance(value, ScalarRecord):
        result = _plain_scalar(value)
    elif isinstance(value, ValueRecord):
        result = value.value(lambda content: _as_plain(content, made))
    elif isinstance(value, Record):
        result = as_array(value)
    else:
        result = value
    made[id(value)] = result
    return result


def _by_plain_key(content: dict) -> dict:
    """The same dictionary with texts and numbers for keys that NumPy or Python 2 wrote."""
    plain = {_plain_key(key): value for key, value in content.items()}
    if len(plain) != len(content):
        raise ValueError("a dictionary that has a key twice")
    return plain


def _plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_plain_key, key))
    return _plain_scalar(key) if isinstance(key, ScalarRecord) else _text(key)


def _plain_scalar(record: ScalarRecord) -> Any:
    return _text(as_array(record).item())


def _text(value: Any) -> Any:
    """The text that bytes stand for; anything else as it is."""
    return str(as_texts(np.array(value))) if isinstance(value, bytes) else value


def _nested(items: list, shape: tuple[int, ...], order: str) -> Any:
    if not shape:
        return items[0]
    array = np.empty(len(items), object)
    for place, item in enumerate(items):  # one by one, or NumPy would unpack arrays among them
        array[place] = item
    return array.reshape(shape, order=order).tolist()


def _from_bytes(data: Any, kind: TypeRecord, shape: tuple[int, ...], order: str) -> np.ndarray:
    code = str(_text(kind.arguments[0]))
    if not re.fullmatch("[biuf][1248]|[SU][0-9]{1,9}", code):
        raise TypeError(f"elements of type '{code}' where numbers or texts should be")
    byte_order = _text(kind.state[1]) if kind.state else "="
    dtype = np.dtype(code).newbyteorder("=" if byte_order == "|" else byte_order)
    data = memoryview(data).cast("B")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} with {len(data)} bytes")
    if dtype.itemsize == 0:  # a scalar without a character, which NumPy's arrays have not
        return np.zeros((), dtype) if shape == () else np.zeros(0, dtype).reshape(shape)
    array = np.frombuffer(data, dtype).reshape(shape, order=_text(order))
    check_characters(array)
    return array.astype(dtype.newbyteorder("="))


def _from_chumpy(state: dict[str, Any]) -> np.ndarray:
    if "x" in state:  # chumpy.ch.Ch
        return as_array(state["x"])
    chosen = as_array(state["a"]).ravel()[as_array(state["idxs"])]  # chumpy.reordering.Select
    shape = state.get("preferred_shape")
    return chosen if shape is None else chosen.reshape(as_array(shape))


def _from_sparse(name: str, state: dict[str, Any]) -> np.ndarray:
    from scipy import sparse

    shape = tuple(int(n) for n in state.get("_shape", state.get("shape")))
    if len(shape) != 2 or min(shape) < 0 or math.prod(shape) > MAX_DENSE_ELEMENTS:
        raise ValueError(f"a sparse matrix of shape {shape}")
    data = as_array(state["data"])
    if name.startswith("coo"):
        rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
        matrix = sparse.coo_matrix((data, (as_array(rows), as_array(columns))), shape)
    else:
        compressed = (data, as_array(state["indices"]), as_array(state["indptr"]))
        layout = sparse.csr_matrix if "csr" in name else sparse.csc_matrix
        matrix = layout(compressed, shape)
        matrix.check_format(full_check=True)  # SciPy trusts indices unless asked
    return matrix.toarray()
