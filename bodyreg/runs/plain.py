"""Dataclasses as plain values for JSON, and read back with every type checked."""

from __future__ import annotations

import math
import types
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bodyreg.errors import UserError

Value = TypeVar("Value")

BEFORE = "before"
"""Key of a field's metadata: how records that are older than the field read it."""

WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def to_plain(value: Any, folder: Path) -> Any:
    """A value for JSON, which has no infinity, no paths and no dataclasses.

    Args:
        value: Numbers, texts, paths, dataclasses, lists and dictionaries of such.
        folder: Paths inside this folder are written relative to it, other paths absolute.
    """
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name), folder) for f in fields(value)}
    if isinstance(value, dict):
        return {name: to_plain(entry, folder) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry, folder) for entry in value]
    if isinstance(value, Path):
        path, home = value.absolute(), folder.absolute()
        return str(path.relative_to(home) if path.is_relative_to(home) else path)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_plain(kind: type[Value], value: Any, where: str, folder: Path) -> Value:
    """Read back what `to_plain` has made, from an untrusted file.

    A field that is missing reads as its metadata say (`BEFORE`), not as its default: a default
    says what is good today, not what an older version did.

    Args:
        kind: The type, as in an annotation.
        value: What a JSON file holds.
        where: The place of the value, for messages.
        folder: The folder that relative paths start from.

    Raises:
        UserError: a value has another type, a field is missing, or this version does not know it.
    """
    if is_dataclass(kind):
        return _dataclass(kind, value, where, folder)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return from_plain(inner[0], value, where, folder)
    if origin is Literal:
        if value not in inner:
            raise UserError(f"{where}: must be one of {', '.join(inner)}")
        return value
    if origin is dict:
        _require(value, dict, "an object", where)
        return {n: from_plain(inner[1], v, f"{where}: {n}", folder) for n, v in value.items()}
    if origin is tuple:
        _require(value, list, "a list", where)
        return tuple(from_plain(inner[0], entry, where, folder) for entry in value)
    if kind is Path:
        _require(value, str, "a path", where)
        if "\0" in value:
            raise UserError(f"{where}: must be a path; the file is damaged")
        return folder / value
    if kind is float and value in ("inf", "-inf", "nan"):
        return float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**63 else None
    _require(value, kind, WORDS[kind], where)
    return value


def _dataclass(kind: type[Value], value: Any, where: str, folder: Path) -> Value:
    _require(value, dict, "an object", where)
    known = {field.name: field for field in fields(kind)}
    strange = sorted(value.keys() - known.keys())
    if strange:
        raise UserError(f"{where}: has '{strange[0]}', which a newer version wrote; update bodyreg")
    kinds, found = get_type_hints(kind), {}
    for name, field in known.items():
        if name in value:
            found[name] = from_plain(kinds[name], value[name], f"{where}: {name}", folder)
        elif (before := field.metadata.get(BEFORE, MISSING)) is not MISSING:
            found[name] = before
        else:
            raise UserError(f"{where}: has no '{name}'; the file is damaged")
    try:
        return kind(**found)
    except UserError as error:  # of values that do not fit each other
        raise UserError(f"{where}: {error}") from None


def _require(value: Any, kind: type, words: str, where: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where}: must be {words}; the file is damaged")
