"""Lists of pairs of pictures: the source that is read, and the target that shows the same person.

A JSON file of splits, {"train": [[source, target], ...], "test": ...}, as those of DeepFashion and
Market-1501.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

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


def read_split(path: str | os.PathLike, split: str | None) -> Pairs:
    """Read the pairs of one split of a file; None: those of all splits, in their order.

    Raises:
        UserError: as of `read_pairs`; or there is no such split, or no pair.
    """
    splits = read_pairs(path)
    if split is not None and split not in splits:
        raise UserError(f"{path}: no split '{split}' here; it has {', '.join(splits)}")
    chosen = splits.values() if split is None else [splits[split]]
    pairs = [pair for one in chosen for pair in one]
    if not pairs:
        raise UserError(f"{path}: holds no pairs; choose another --split")
    return pairs


class Match(NamedTuple):
    """A generated picture and the true one, names without suffix.

    Attributes:
        generated: The generated picture.
        target: The true picture.
        source: The picture that was painted from; "" if the names do not tell.
    """

    generated: str
    target: str
    source: str


SUFFIX_INSIDE = re.compile(r"\.(jpe?g|png)(?=_|$)", re.IGNORECASE)
"""PATN names a picture SOURCE.jpg___TARGET.jpg_vis.jpg."""


def match_names(
    generated: Iterable[str], truth: Collection[str]
) -> tuple[list[Match], list[str], list[str]]:
    """Find the true picture of every generated one by its name.

    A name is that of the true picture, or SOURCE_TARGET as of "Dense Intrinsic Appearance Flow", or
    as of PATN and GFLA: three underscores between, suffixes of files inside, "_vis" at the end.
    Names contain underscores: the longest end that names a true picture is the target.

    Args:
        generated: Names without suffix.
        truth: Names without suffix.

    Returns:
        The matches; the generated pictures without a true one; and, if all names are equal ones,
        the true pictures without a generated one.
    """
    matches, lacking = [], []
    for name in generated:
        match = _match(name, truth)
        if match is None:
            lacking.append(name)
        else:
            matches.append(match)
    missing = []
    if not any(match.source for match in matches):
        found = {match.target for match in matches}
        missing = [name for name in truth if name not in found]
    return matches, lacking, missing


def match_pairs(
    pairs: Pairs, generated: Iterable[str], truth: Collection[str]
) -> tuple[list[Match], list[str], list[str]]:
    """Find the generated picture of every pair of a list, named as in `match_names`.

    Returns:
        The matches, in the order of the list, each once; the generated pictures whose targets have
        no true picture; and the pairs, as SOURCE_TARGET, without a generated picture.
    """
    names = {_plain(name).replace("___", "_"): name for name in generated}
    matches, lacking, missing = [], [], []
    plain = ((_plain(source), _plain(target)) for source, target in pairs)
    for source, target in dict.fromkeys(plain):
        name = names.get(f"{source}_{target}")
        if name is None:
            missing.append(f"{source}_{target}")
        elif target not in truth:
            lacking.append(name)
        else:
            matches.append(Match(name, target, source))
    return matches, lacking, missing


def _match(name: str, truth: Collection[str]) -> Match | None:
    for plain in (name, _plain(name)):
        if plain in truth:
            return Match(name, plain, "")
    for underscore in re.finditer("_", plain):
        target = plain[underscore.end() :]
        if target in truth and plain[: underscore.start()]:
            return Match(name, target, plain[: underscore.start()].rstrip("_"))
    return None


def _plain(name: str) -> str:
    return SUFFIX_INSIDE.sub("", name.removesuffix("_vis"))


def _pairs(pairs: Any, where: str) -> Pairs:
    if not isinstance(pairs, list):
        raise UserError(f"{where} is not a list of pairs")
    for row, pair in enumerate(pairs):
        if not (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
        ):
            raise UserError(f"{where}[{row}] is not a pair of names [source, target]")
    return [(source, target) for source, target in pairs]
