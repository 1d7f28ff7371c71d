"""Untrusted JSON files, and the numbers in them."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import reading


def load_json(path: str | os.PathLike) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        UserError: it is missing or not JSON.
    """
    with reading(path), open(path, "rb") as stream:
        data = stream.read()
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not readable JSON ({error}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable JSON ({error}); it may be truncated") from error


def numbers(
    item: dict[str, Any], key: str, where: str, length: int | None = None, *, absent: bool = False
) -> np.ndarray:
    """A list of finite numbers as float64.

    Args:
        item: An object of a file.
        key: Which of its entries.
        where: Where the object stands, for messages.
        length: How many numbers there must be.
        absent: Take null for NaN.

    Raises:
        UserError: the entry is missing or something else.
    """
    values = item.get(key)
    if absent and isinstance(values, list):
        values = [np.nan if value is None else value for value in values]
    try:
        array = np.array(values if isinstance(values, list) else None)
    except ValueError:  # lists of different lengths inside
        array = np.array(None)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise UserError(f"{where}: {key} is missing or not a list of numbers")
    if length is not None and len(array) != length:
        raise UserError(f"{where}: {key} has {len(array)} numbers, expected {length}")
    if np.isinf(array).any() or (not absent and np.isnan(array).any()):
        raise UserError(f"{where}: {key} is not finite")
    return array.astype(np.float64)


def integer(value: Any, name: str, where: str) -> int:
    """A whole number; some tools write ids as 7.0.

    Raises:
        UserError: it is missing or something else.
    """
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    if not whole or abs(value) >= 2**63:
        raise UserError(f"{where}: {name} is missing or not an integer")
    return int(value)
