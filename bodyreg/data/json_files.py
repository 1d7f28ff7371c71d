"""Untrusted JSON files, and the numbers in them."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import reading, require_file
from bodyreg.npz import ZIP

BEFORE_JSON = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""What may stand before the first bracket: a byte order mark, zeros of UTF-16 and UTF-32, space."""


def load_json(path: str | os.PathLike) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        UserError: it is missing or not JSON, or one of its objects has a key twice.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            key = next(key for key in found if counts[key] > 1)
            raise UserError(f"{path}: an object has the key {key!r} twice; remove one of them")
        return found

    require_file(path, "JSON")  # a pipe would wait for its writer, and a device may never end
    with reading(path), open(path, "rb") as stream:
        data = stream.read()
    if data.startswith(ZIP):
        raise UserError(f"{path}: is an .npz or another zip file; name a JSON file")
    try:
        return json.loads(data, object_pairs_hook=checked)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not readable JSON ({error}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable JSON ({error}); it may be truncated") from error


def numbers(
    item: dict[str, Any], key: str, where: str, length: int | None = None, *, absent: bool = False
) -> np.ndarray:
    """A list of finite numbers as float64; true and false are 1 and 0.

    Args:
        item: An object of a file.
        key: Which of its entries.
        where: The place of the object in the file, for messages.
        length: How many numbers there must be.
        absent: Numbers may be absent: null becomes NaN, and NaN and infinity may stand there.

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
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biuf"):
        raise UserError(f"{where}: {key} is missing or not a list of numbers")
    if length is not None and len(array) != length:
        raise UserError(f"{where}: {key} has {len(array)} numbers, expected {length}")
    if not absent and not np.isfinite(array).all():
        raise UserError(f"{where}: {key} is not finite")
    return array.astype(np.float64)


def keypoint_rows(
    item: dict[str, Any], key: str, where: str, joints: int | None = None
) -> np.ndarray:
    """A list x, y, v, x, y, v ... as (J, 3) float64; v is a visibility or a confidence.

    A keypoint whose v is 0, negative, null or NaN is absent, whatever its coordinates are: its row
    is 0.

    Args:
        item, key, where: As of `numbers`.
        joints: J, if it must be a certain one.

    Raises:
        UserError: the entry is missing or something else, or a present keypoint is not finite.
    """
    values = numbers(item, key, where, None if joints is None else 3 * joints, absent=True)
    if len(values) % 3:
        raise UserError(f"{where}: {key} has {len(values)} numbers, expected three for each joint")
    rows = values.reshape(-1, 3)
    rows[~(rows[:, 2] > 0)] = 0
    if not np.isfinite(rows).all():
        raise UserError(f"{where}: {key} is not finite")
    return rows


def flag(value: Any, name: str, where: str) -> bool:
    """Yes or no: true, false, 1, 0, the same as texts, or null for no.

    Raises:
        UserError: it is something else.
    """
    known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    found = known.get(str(value).lower(), False if value is None else None)
    if found is None:
        raise UserError(f"{where}: {name} is neither 0 nor 1")
    return found


def integer(value: Any, name: str, where: str) -> int:
    """A whole number; some tools write ids as 7.0.

    Raises:
        UserError: it is missing or something else.
    """
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    if not whole or abs(value) >= 2**63:
        raise UserError(f"{where}: {name} is missing or not an integer")
    return int(value)
