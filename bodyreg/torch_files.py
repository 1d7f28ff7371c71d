"""Reading what torch has saved, and pickles that hold its tensors, without running them.

There are three kinds of such files: archives of torch 1.6 and later, with a pickle and a member for
every storage; streams of earlier versions, in which storages follow the pickle; and plain pickles,
in which every storage is a stream of its own. All are read by `pickles.ArrayUnpickler`, so no name
in them is more than a record. Every size is checked against the bytes that are there.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bodyreg.npz import ZIP, check_member
from bodyreg.pickles import ArrayUnpickler, ObjectRecord, Record, ValueRecord, as_plain, explained

STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip
"""Class of a storage -> the type of its numbers."""

OBJECTS = ("densepose.structures", "detectron2.structures")
"""Modules of which any class is a record of its attributes."""

MAGIC = 0x1950A86A20F9469CFC6C
"""The first object in a stream of earlier versions."""


def load_torch(path: Path, *, kind: str) -> Any:
    """Read a file of `torch.save`, or a pickle that holds tensors.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Returns:
        Its content, as of `pickles.load_objects`: tensors become arrays, and objects of DensePose
        and detectron2 become dictionaries of their attributes.

    Raises:
        UserError: the file is missing, broken, or names anything but these.
    """
    with explained(path, kind), path.open("rb") as stream:
        if stream.read(len(ZIP)) == ZIP:
            with zipfile.ZipFile(stream) as archive:
                return as_plain(_of_archive(archive))
        stream.seek(0)
        # From memory, so that no read takes more bytes than there are.
        return as_plain(_of_stream(io.BytesIO(stream.read())))


class Storage:
    """The numbers of tensors, one after the other.

    Attributes:
        dtype: Their type.
        count: How many there are.
        data: Their bytes; None until they are read.
    """

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.data: bytes | None = None

    def fill(self, data: bytes) -> None:
        """Set the bytes.

        Raises:
            ValueError: there are fewer than the numbers need.
        """
        if len(data) < self.count * self.dtype.itemsize:
            raise ValueError(f"a storage of {self.count:,} numbers with {len(data):,} bytes")
        self.data = data


class TensorRecord(ValueRecord):
    """torch.Tensor: arguments (storage, offset, size, stride, ...), lengths in numbers."""

    def value(self, plain: Callable[[Any], Any]) -> np.ndarray:
        """The array."""
        storage, offset, size, stride = self.arguments[:4]
        if not isinstance(storage, Storage) or storage.data is None:
            raise TypeError("a tensor without numbers")
        size, stride = (tuple(plain(lengths)) for lengths in (size, stride))
        lengths = (offset, *size, *stride)
        if len(size) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in lengths):
            raise ValueError("a tensor whose size is no size")
        count = math.prod(size)  # more numbers than the storage has would be repeated ones
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count > storage.count or (count and last >= storage.count):
            raise ValueError(f"a tensor of shape {size} in a storage of {storage.count:,} numbers")
        if not count:
            return np.zeros(size, storage.dtype)
        numbers = np.frombuffer(storage.data, storage.dtype, storage.count)[offset:]
        strides = [step * storage.dtype.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(numbers, size, strides).copy()


class _StorageKind(Record):
    """A class of storages, which only tells the type of the numbers."""

    dtype = np.dtype("f4")


class TorchUnpickler(ArrayUnpickler):
    """An unpickler that knows torch's tensors too.

    Args:
        stream: The pickle.
        storage: Makes a storage of its key, type and number of elements.
    """

    def __init__(
        self, stream: BinaryIO, storage: Callable[[str, np.dtype, int], Storage] | None = None
    ) -> None:
        super().__init__(stream, encoding="bytes")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Find a name in the short list of what tensors are made of."""
        known: dict[str, Any] = {}
        if module == "torch" and name in STORAGES:
            return type(name, (_StorageKind,), {"dtype": np.dtype(STORAGES[name])})
        if module == "torch._utils":
            known = {"_rebuild_tensor_v2": TensorRecord, "_rebuild_tensor": TensorRecord}
        elif module == "torch.storage":
            known = {"_load_from_bytes": _storage_of_bytes}
        elif module == "torch":
            known = {"Size": _size, "device": Record}
        elif any(module == root or module.startswith(f"{root}.") for root in OBJECTS):
            return ObjectRecord
        return known[name] if name in known else super().find_class(module, name)

    def persistent_load(self, name: Any) -> Storage:
        """The storage of a tensor: ("storage", class, key, device, number of elements ...)."""
        if self._storage is None or not isinstance(name, tuple) or len(name) not in (5, 6):
            raise ValueError("a tensor whose numbers are elsewhere")
        _, kind, key, _, count, *view = name
        if not (isinstance(kind, type) and issubclass(kind, _StorageKind)) or any(view):
            raise ValueError("a tensor in a storage of an unknown kind")
        if not isinstance(count, int) or count < 0:
            raise ValueError("a storage of no number of elements")
        return self._storage(_key(key), kind.dtype, count)


def _of_archive(archive: zipfile.ZipFile) -> Any:
    members = {member.filename: member for member in archive.infolist()}
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("an archive without the pickle of torch's")
    folder = pickles[0].removesuffix("data.pkl")
    for member in members.values():
        check_member(member)
    if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("numbers whose first byte is the highest")
    found: dict[str, Storage] = {}

    def storage(key: str, dtype: np.dtype, count: int) -> Storage:
        if key not in found:
            found[key] = Storage(dtype, count)
            found[key].fill(archive.read(f"{folder}data/{key}"))
        return _same(found[key], dtype, count)

    return TorchUnpickler(io.BytesIO(archive.read(pickles[0])), storage).load()


def _of_stream(stream: io.BytesIO) -> Any:
    """The content of a stream of earlier versions, or of a plain pickle."""
    first = TorchUnpickler(stream).load()
    if not isinstance(first, int) or first != MAGIC:
        return first
    for _ in range(2):  # the version, and facts about the machine
        TorchUnpickler(stream).load()
    found: dict[str, Storage] = {}

    def storage(key: str, dtype: np.dtype, count: int) -> Storage:
        return _same(found.setdefault(key, Storage(dtype, count)), dtype, count)

    content = TorchUnpickler(stream, storage).load()
    for key in TorchUnpickler(stream).load():
        (count,) = struct.unpack("<q", stream.read(8))
        mine = found[_key(key)]
        if count != mine.count:
            raise ValueError(f"a storage of {count:,} numbers instead of {mine.count:,}")
        mine.fill(stream.read(count * mine.dtype.itemsize))
    return content


def _storage_of_bytes(data: Any) -> Storage:
    found = _of_stream(io.BytesIO(data))
    if not isinstance(found, Storage):
        raise TypeError("an object where a storage should be")
    return found


def _same(storage: Storage, dtype: np.dtype, count: int) -> Storage:
    if (storage.dtype, storage.count) != (dtype, count):
        raise ValueError("a storage that has two types or sizes")
    return storage


def _size(lengths: Any = ()) -> tuple[Any, ...]:
    return tuple(lengths)


def _key(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
