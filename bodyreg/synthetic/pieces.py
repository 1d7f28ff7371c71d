"""What each picture adds to a data set, kept in the files of shards until all are joined.

A shard's file is an .npz of rows (arrays that are concatenated for the whole data set) and of texts
(pieces of files, as bytes). Joining reads one array of one shard at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bodyreg.data import truth
from bodyreg.errors import UserError
from bodyreg.npz import NpzReader, Rows, save_npz

Piece = dict[str, np.ndarray | list[bytes]]
"""What one picture adds to a data set: rows, and texts."""


def pack(pieces: Sequence[Piece]) -> dict[str, np.ndarray]:
    """Concatenate the pieces of several pictures into arrays for one file."""
    packed: dict[str, np.ndarray] = {}
    for name in {name: None for piece in pieces for name in piece}:
        values = [piece[name] for piece in pieces if name in piece]
        if isinstance(values[0], list):
            texts = [text for value in values for text in value]
            ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
            packed[f"{name}.ends"] = ends
            packed[name] = np.frombuffer(b"".join(texts), np.uint8)
        else:
            packed[name] = np.concatenate(values)
    return packed


class Pieces:
    """The finished shards of a data set, in order.

    Args:
        paths: Their files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def arrays(self, name: str) -> Iterator[np.ndarray]:
        """One array, from every shard that has it."""
        for path in self._paths:
            with NpzReader(path, kind="shard") as reader:
                if name in reader.names:
                    yield reader.read(name)

    def rows(self, name: str) -> Rows:
        """One array of all shards, concatenated; strings get the width of the widest.

        Raises:
            UserError: no shard has a row of it.
        """
        held = [facts[name] for facts in self._facts if name in facts]
        count = sum(shape[0] for shape, _ in held)
        if not count:
            raise UserError("no person is visible; make more people, or choose another --seed")
        dtype = np.result_type(*(dtype for _, dtype in held))
        blocks = (array.astype(dtype, copy=False) for array in self.arrays(name))
        return Rows((count, *held[0][0][1:]), dtype, blocks)

    @cached_property
    def _facts(self) -> list[dict[str, tuple[tuple[int, ...], np.dtype]]]:
        """Shapes and dtypes of each shard's arrays, read while the shard is open once."""
        facts = []
        for path in self._paths:
            with NpzReader(path, kind="shard") as reader:
                facts.append({n: (reader.shape(n), reader.dtype(n)) for n in reader.names})
        return facts

    def texts(self, name: str) -> Iterator[bytes]:
        """All texts of one name."""
        for path in self._paths:
            with NpzReader(path, kind="shard") as reader:
                if name in reader.names:
                    content, start = reader.read(name).tobytes(), 0
                    for end in reader.read(f"{name}.ends").tolist():
                        yield content[start:end]
                        start = end

    def write_list(self, stream: BinaryIO, name: str) -> None:
        """Write all texts of one name as a JSON list."""
        before = b"["
        for text in self.texts(name):
            stream.write(before + text)
            before = b","
        stream.write(b"[]" if before == b"[" else b"]")

    def save_truth(
        self, path: Path, *, within: Path, body: str, ids: np.ndarray | None = None, **facts: str
    ) -> int:
        """Write the truth of all people, and the picture of each.

        Args:
            path: The file to write.
            within: The folder of the temporary file, as in `files.atomic_path`.
            body: Fingerprint of the body that people were made from.
            ids: (N,) ids to use instead of those of the shards.
            **facts: Further values to store.

        Returns:
            The number of people.
        """
        held = {name for facts in self._facts for name in facts}
        names = [name for name in truth.ARRAYS if name in held or name not in truth.OPTIONAL]
        arrays = {name: self.rows(name) for name in (*names, "picture")}
        people = arrays["id"].shape[0]
        if ids is not None:
            arrays["id"] = ids
        save_npz(path, within=within, format=truth.FORMAT, **arrays, body=body, **facts)
        return people
