"""Untrusted .mat files of MATLAB, version 5 to 7.

SciPy's reader crashes on some damaged files. This one checks every size against the bytes in the
file before it takes memory, and it reads only what data sets need: numbers, texts, cells, structs.
Layout: "MAT-File Format" of MathWorks, level 5. Version 7.3 is HDF5 and is not read.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import reading, require_file, unreadable

HEADER = 128
HDF = b"\x89HDF\r\n\x1a\n"
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = range(6, 16)
COMPLEX = 0x800
# A variable's name is among its first bytes; no more than these are inflated to see it.
HEAD = 1 << 12


def load_mat(path: Path, *, kind: str, names: Collection[str]) -> dict[str, Any]:
    """Read variables of a .mat file.

    Args:
        path: The file.
        kind: What it should be, for messages.
        names: The variables to read if the file has them.

    Returns:
        Name -> an array of numbers in MATLAB's shape, a text, a list of a cell's contents, or a
        list of a struct array's elements as dictionaries (a single struct: a list of one). Cells
        and structs lose their shape; their elements are in MATLAB's order, column by column.

    Raises:
        UserError: the file is missing, damaged, or of another version.
    """
    require_file(path, kind)
    with reading(path):
        data = path.read_bytes()
    if data.startswith((HDF, b"MATLAB 7.3")):
        raise UserError(
            f"{path}: a .mat file of version 7.3 (HDF5), which is not read; load it in MATLAB and "
            "save it with '-v7'"
        )
    try:
        return _variables(data, names)
    except (ValueError, OSError, RecursionError, struct.error, zlib.error, MemoryError) as error:
        raise unreadable(path, kind, error) from error


def _variables(data: bytes, names: Collection[str]) -> dict[str, Any]:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or data[124:126] != struct.pack(f"{order}H", 0x0100):
        raise ValueError("not a .mat file of version 5 to 7")
    found: dict[str, Any] = {}
    reader = _Reader(data, order, HEADER)
    while reader.left:
        kind, content = reader.element()
        if kind == COMPRESSED:
            inflater = zlib.decompressobj()
            head = inflater.decompress(content, HEAD)
            name = _Reader(_Reader(head, order).element(cut=True)[1], order).description()[2]
            if name not in names:
                continue
            rest = inflater.decompress(inflater.unconsumed_tail) + inflater.flush()
            kind, content = _Reader(head + rest, order).element()
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} where a variable should be")
        matrix = _Reader(content, order)
        description = matrix.description()
        if description[2] in names:
            found[description[2]] = matrix.content(*description[:2])
    return found


class _Reader:
    """The elements in some bytes, one after the other."""

    def __init__(self, data: bytes, order: str, place: int = 0) -> None:
        self.data, self.order, self.place = data, order, place

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.place

    def element(self, *, cut: bool = False) -> tuple[int, bytes]:
        """Type and bytes of the next element; with `cut`, it may be longer than what is there."""
        kind, size = struct.unpack_from(f"{self.order}II", self.data, self.place)
        begin = self.place + 8
        if kind >> 16:  # a small one, packed into the tag
            kind, size, begin = kind & 0xFFFF, kind >> 16, self.place + 4
            if size > 4:
                raise ValueError("a damaged tag")
            self.place += 8
        else:
            padded = size if kind == COMPRESSED else -(-size // 8) * 8
            self.place = min(begin + padded, len(self.data))
        if begin + size > len(self.data) and not cut:
            raise ValueError(f"an element of {size} bytes where there are {self.left}")
        return kind, self.data[begin : begin + size]

    def description(self) -> tuple[int, tuple[int, ...], str]:
        """The class, shape and name of a matrix, with which it begins."""
        flags = self.numbers()
        shape = tuple(int(side) for side in self.numbers())
        name = self.numbers().astype(np.uint8).tobytes().decode("latin1")
        if not len(flags) or len(shape) < 2 or min(shape) < 0:
            raise ValueError("a matrix without a shape")
        if int(flags[0]) & COMPLEX:
            raise ValueError("complex numbers, which nothing here has")
        return int(flags[0]) & 0xFF, shape, name

    def numbers(self) -> np.ndarray:
        """The next element, which must be of numbers."""
        kind, content = self.element()
        if kind not in NUMBERS:
            raise ValueError(f"an element of type {kind} where numbers should be")
        dtype = np.dtype(self.order + NUMBERS[kind])
        if len(content) % dtype.itemsize:
            raise ValueError("numbers that end early")
        return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))

    def content(self, kind: int, shape: tuple[int, ...]) -> Any:
        """What a matrix holds, after its description."""
        count = math.prod(shape)
        if kind == CELL:
            return [self.matrix() for _ in range(self._elements(count))]
        if kind == STRUCT:
            width = int(self.numbers().sum())
            names = self.numbers().astype(np.uint8).tobytes()
            if width <= 0 or len(names) % width:
                raise ValueError("a struct with damaged names of fields")
            fields = [
                names[start : start + width].split(b"\0")[0].decode("latin1")
                for start in range(0, len(names), width)
            ]
            self._elements(count * len(fields))
            if not fields:
                return []
            return [{name: self.matrix() for name in fields} for _ in range(count)]
        if kind == CHAR:
            return self._text(count)
        if kind not in NUMERIC:
            raise ValueError(f"a matrix of class {kind}, which is neither numbers nor text")
        values = self.numbers()
        if len(values) != count:
            raise ValueError(f"{len(values)} numbers in a matrix of shape {shape}")
        return values.reshape(shape, order="F")

    def matrix(self) -> Any:
        """The next element, a matrix inside of a cell or struct."""
        kind, content = self.element()
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} where a matrix should be")
        if not content:
            return np.zeros((0, 0))
        inside = _Reader(content, self.order)
        kind, shape, _ = inside.description()
        return inside.content(kind, shape)

    def _elements(self, count: int) -> int:
        """The number of elements to come, each of which takes a tag at least."""
        if 8 * count > self.left:
            raise ValueError(f"{count} elements in {self.left} bytes")
        return count

    def _text(self, count: int) -> str:
        kind, content = self.element()
        if kind in TEXTS:
            order = "" if kind == 16 else {"<": "-le", ">": "-be"}[self.order]
            return content.decode(TEXTS[kind] + order, errors="replace")
        if kind not in NUMBERS or len(content) != count * np.dtype(NUMBERS[kind]).itemsize:
            raise ValueError("a damaged text")
        codes = np.frombuffer(content, self.order + NUMBERS[kind])
        return "".join(chr(int(code)) if 0 <= code < 0xD800 else "?" for code in codes)
