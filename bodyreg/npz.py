"""Arrays in .npz and .npy files: equal arrays give equal bytes, untrusted files are read safely."""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from bodyreg.errors import UserError
from bodyreg.files import UNREADABLE, atomic_path, require_file, unreadable

# How files begin.
NPY, ZIP = b"\x93NUMPY", b"PK"

# Deflate cannot shrink data by more than this factor, so a member that claims more is damaged.
MAX_DEFLATE_RATIO = 1032


@dataclass(frozen=True)
class Rows:
    """An array for `save_npz` of which only blocks are in memory.

    Attributes:
        shape: Of the whole array.
        dtype: Of its elements.
        blocks: Its rows in order, in blocks of any size.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Iterable[np.ndarray]


@dataclass(frozen=True)
class Objects:
    """Python objects for `save_npz`, kept as `numpy.savez` keeps them: pickled.

    Only formats of other projects need them.

    Attributes:
        value: Plain dictionaries, lists and arrays.
    """

    value: Any


def save_npz(
    path: str | os.PathLike,
    /,
    *,
    compressed: bool = False,
    within: Path | None = None,
    **arrays: np.ndarray | Rows | Objects | str | float,
) -> None:
    """Write arrays to an .npz file atomically. Equal arrays give equal bytes.

    Args:
        path: The file to write.
        compressed: Deflate the members.
        within: The folder of the temporary file, as in `atomic_path`.
        **arrays: Name -> array, its `Rows`, `Objects`, or anything `np.asarray` turns into an array
            without objects.

    Raises:
        UserError: the file cannot be written.
        TypeError: an array holds Python objects.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with atomic_path(path, within=within) as temporary:
        with zipfile.ZipFile(temporary, "w", method, compresslevel=9) as archive:
            for name, value in arrays.items():
                # A ZipInfo made by hand carries a fixed date, so the bytes do not change.
                member = zipfile.ZipInfo(f"{name}.npy")
                member.compress_type = method
                member.external_attr = 0o644 << 16
                with archive.open(member, "w", force_zip64=True) as stream:
                    _write_array(stream, name, value)


def _write_array(
    stream: BinaryIO, name: str, value: np.ndarray | Rows | Objects | str | float
) -> None:
    if isinstance(value, Objects):
        npy.write_array(stream, np.array(value.value, dtype=object), allow_pickle=True)
        return
    if not isinstance(value, Rows):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"array '{name}' holds Python objects; expected numbers")
        npy.write_array(stream, array, allow_pickle=False)
        return
    facts = {"descr": npy.dtype_to_descr(value.dtype), "fortran_order": False, "shape": value.shape}
    npy.write_array_header_1_0(stream, facts)
    rows = 0
    for block in value.blocks:
        if block.dtype != value.dtype or block.shape[1:] != value.shape[1:]:
            raise TypeError(f"array '{name}' is {value.dtype} {value.shape}, a block is not")
        stream.write(np.ascontiguousarray(block).data.cast("B") if block.size else b"")
        rows += len(block)
    if rows != value.shape[0]:
        raise TypeError(f"array '{name}' has {value.shape[0]} rows, its blocks {rows}")


def load_npz(
    path: str | os.PathLike, *, kind: str, names: Container[str] | None = None
) -> dict[str, np.ndarray]:
    """Read the arrays of an untrusted .npz file, as carefully as `NpzReader`.

    Args:
        path: The file.
        kind: What the file should be, for messages: "observations", "fits", "body" ...
        names: The arrays to read if the file has them; all arrays if left out.

    Returns:
        Name -> array.

    Raises:
        UserError: the file is missing, unreadable, truncated, or holds pickled objects.
    """
    with NpzReader(path, kind=kind) as reader:
        return {name: reader.read(name) for name in reader.names if names is None or name in names}


class NpzReader:
    """The arrays of an untrusted .npz file, whole or by rows.

    Nothing is unpickled. A header's shape is checked against the bytes in the file before memory is
    taken. Rows of a stored member are read from their place in the file. A deflated member is
    inflated from the rows that were read last, or again from its beginning. The checksum of a
    member is verified with its last row, if all earlier rows were read in order.

    Args:
        path: The file.
        kind: What the file should be, for messages.

    Raises:
        UserError: from every method, if the file is missing, unreadable, truncated, or holds
            pickled objects.
    """

    def __init__(self, path: str | os.PathLike, *, kind: str) -> None:
        self.path, self.kind = Path(path), kind
        require_file(path, kind)
        self._opened = contextlib.ExitStack()
        self._arrays: dict[str, StoredArray] = {}
        with self._explained():
            self._file = self._opened.enter_context(self.path.open("rb"))
            self._archive = self._opened.enter_context(zipfile.ZipFile(self._file))
            self._members = {_array_name(member): member for member in self._archive.infolist()}

    def __enter__(self) -> NpzReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    @property
    def names(self) -> list[str]:
        """The arrays' names, in the file's order."""
        return list(self._members)

    def require(self, layout: str, names: Sequence[str]) -> None:
        """Refuse a file whose `format` is not `layout`, or that lacks one of these arrays."""
        found = str(self.texts("format")) if "format" in self._members else "none"
        if found != layout:
            raise UserError(f"{self.path}: format is '{found}', this version reads '{layout}'")
        for name in names:
            if name not in self._members:
                raise UserError(f"{self.path}: array '{name}' is missing; {layout} needs it")

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from its header."""
        with self._explained():
            return self._array(name).shape

    def dtype(self, name: str) -> np.dtype:
        """The type of an array's elements, from its header."""
        with self._explained():
            return self._array(name).dtype

    def read(self, name: str) -> np.ndarray:
        """An array as a whole."""
        with self._explained():
            return self._array(name).read()

    def texts(self, name: str, rows: tuple[int, int] | None = None) -> np.ndarray:
        """An array of texts, or its rows from one to another, as `as_texts` makes them."""
        with self._explained():
            array = self._array(name)
            return as_texts(array.read() if rows is None else array.rows(*rows))

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` of an array of at least one dimension."""
        with self._explained():
            return self._array(name).rows(start, stop)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            self._opened.close()
            raise unreadable(self.path, self.kind, error) from error

    def _array(self, name: str) -> StoredArray:
        if name not in self._arrays:
            member = self._members[name]
            check_member(member)
            if member.compress_type == zipfile.ZIP_STORED:
                stream = _StoredMember(self._file, member)
            else:
                stream = self._archive.open(member)
            if member.compress_size > self._file.seek(0, os.SEEK_END):
                raise ValueError(f"member '{member.filename}' claims more bytes than the file has")
            self._arrays[name] = StoredArray(stream, name, member.file_size)
        return self._arrays[name]


def load_npy(path: str | os.PathLike, *, kind: str) -> np.ndarray:
    """Read an untrusted .npy file, as carefully as `load_npz`.

    Raises:
        UserError: the file is missing, unreadable, truncated, or holds pickled objects.
    """
    path = Path(path)
    require_file(path, kind)
    try:
        with path.open("rb") as stream:
            return StoredArray(stream, path.name, path.stat().st_size).read()
    except UNREADABLE as error:
        raise unreadable(path, kind, error) from error


def check_member(member: zipfile.ZipInfo) -> None:
    """Refuse a member of an archive that claims more bytes than its compressed ones can hold.

    Raises:
        ValueError: it does, or is compressed by a method that NumPy does not write.
    """
    ratios = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MAX_DEFLATE_RATIO}
    if member.compress_type not in ratios:
        raise ValueError(f"member '{member.filename}' is compressed by an unknown method")
    if member.file_size > ratios[member.compress_type] * (member.compress_size + 1):
        raise ValueError(f"member '{member.filename}' claims more bytes than the file has")


def as_texts(array: np.ndarray) -> np.ndarray:
    """Texts (U) for an array of texts or of bytes (S).

    Bytes are UTF-8. Other bytes become what `os.fsdecode` makes of them on Linux, so a file whose
    name is in another encoding is still found by this name.

    Raises:
        TypeError: the array holds something else.
    """
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "surrogateescape")
    if array.dtype.kind != "U" and array.size:
        raise TypeError(f"dtype {array.dtype}, expected texts")
    return array.astype(np.str_)


def check_characters(array: np.ndarray) -> None:
    """Refuse texts that no text can be: NumPy makes a `str` of any 32 bits.

    Raises:
        ValueError: the array holds texts, one of them with such a character.
    """
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{array.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:
            raise ValueError(f"the number {codes.max():,} where a character should be")


def read_header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it lies column by column, and dtype: the header of an array in NumPy's format.

    Raises:
        ValueError: the header is damaged, or of an unknown version.
    """
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in readers:
        raise ValueError(f"array '{name}' is of an unknown format version {version}")
    try:
        with warnings.catch_warnings():  # of headers of Python 2, which damaged ones resemble
            warnings.simplefilter("ignore")
            return readers[version](stream)
    except UNREADABLE:
        raise
    except Exception as error:  # NumPy runs Python's tokenizer on a header: errors of any type
        raise ValueError(f"array '{name}' has a damaged header") from error


def _array_name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"member '{member.filename}' is not an array")
    return member.filename.removesuffix(".npy")


class StoredArray:
    """An array in NumPy's format, in a seekable stream of `size` bytes.

    Raises:
        ValueError: the bytes are not such an array, or hold pickled objects.
    """

    def __init__(self, stream: BinaryIO, name: str, size: int) -> None:
        self.stream, self.name = stream, name
        self.shape, self.fortran, self.dtype = read_header(stream, name)
        if self.dtype.hasobject:
            raise ValueError(f"array '{name}' holds pickled Python objects, which are never loaded")
        if self.dtype.itemsize == 0:  # empty texts: NumPy's arrays have at least one character
            raise ValueError(f"array '{name}' has elements of no bytes")
        self.begin = stream.tell()
        expected = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or expected != size - self.begin:
            raise ValueError(
                f"array '{name}' of shape {self.shape} does not match its size in bytes"
            )

    def read(self) -> np.ndarray:
        """The whole array."""
        array = self._elements(0, math.prod(self.shape))
        return array.reshape(self.shape[::-1]).T if self.fortran else array.reshape(self.shape)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`."""
        if (start, stop) == (0, self.shape[0]):
            return self.read()
        if self.fortran and len(self.shape) > 1:
            raise ValueError(
                f"array '{self.name}' lies column by column, so it cannot be read in parts; save "
                "np.ascontiguousarray of it"
            )
        row = math.prod(self.shape[1:])
        return self._elements(start * row, stop * row).reshape(stop - start, *self.shape[1:])

    def _elements(self, start: int, stop: int) -> np.ndarray:
        size = self.dtype.itemsize
        data = np.empty((stop - start) * size, np.uint8)
        self.stream.seek(self.begin + start * size)
        if self.stream.readinto(data.data) != len(data):
            raise ValueError(f"array '{self.name}' ends early")
        if stop == math.prod(self.shape):
            self.stream.read(1)  # zipfile checks the CRC where it meets the end
        array = data.view(self.dtype)
        check_characters(array)
        return array


class _StoredMember(io.RawIOBase):
    """The bytes of a member that is not compressed, read from their place in the archive."""

    def __init__(self, file: BinaryIO, member: zipfile.ZipInfo) -> None:
        self.file, self.member = file, member
        file.seek(member.header_offset)
        header = file.read(30)
        if header[:4] != b"PK\3\4" or member.flag_bits & 1:
            raise zipfile.BadZipFile(f"member '{member.filename}' is not where it should be")
        self.begin = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        self.place = 0
        self.checked, self.checksum = 0, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET
        self.place = place
        return place

    def readinto(self, buffer: memoryview) -> int:
        view = memoryview(buffer)[: max(0, self.member.file_size - self.place)]
        self.file.seek(self.begin + self.place)
        count = self.file.readinto(view)
        if self.place == self.checked:
            self.checksum = zlib.crc32(view[:count], self.checksum)
            self.checked += count
            if self.checked == self.member.file_size and self.checksum != self.member.CRC:
                raise zipfile.BadZipFile(f"Bad CRC-32 for member '{self.member.filename}'")
        self.place += count
        return count
