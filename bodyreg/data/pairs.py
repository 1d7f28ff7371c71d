"""Lists of pairs of pictures: the source that is read, and the target that shows the same person.

A JSON file of splits, {"train": [[source, target], ...], "test": ...}, as those of DeepFashion and
Market-1501.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError

Pairs = list[tuple[str, str]]
"""Names of sources and targets."""


def read_pairs(path: str | os.PathLike) -> dict[str, Pairs]:
    """Read the pairs of a file: name of the split -> pairs.

    Raises:
        UserError: the file is missing or damaged, or holds something else; the message says where.
    """
    path = Path(path)
    splits = load_json(path)
    if not isinstance(splits, dict):
        raise UserError(f"{path}: expected an object of splits, each a list of pairs")
    return {str(split): _pairs(pairs, f"{path}: {split}") for split, pairs in splits.items()}


def _pairs(pairs: Any, where: str) -> Pairs:
    if not isinstance(pairs, list):
        raise UserError(f"{where} is not a list of pairs")
    for row, pair in enumerate(pairs):
        if not (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
        ):
            raise UserError(f"{where}[{row}] is not a pair of names [source, target]")
    return [(source, target) for source, target in pairs]
