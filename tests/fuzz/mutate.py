"""How good files are damaged: as bytes, as JSON, as archives of arrays."""

from __future__ import annotations

import copy
import io
import json
import struct
import warnings
import zipfile
from random import Random
from typing import Any

ODD = (
    None, True, False, "", "x", "../x", "/etc/passwd", "a\nb", "\x1b[2J", "\ud800", "9" * 300, -1,
    0, 1, 3.5, -0.0, 2**31, 2**63, 10**30, 1e300, 1e-300, float("nan"), float("inf"), [], {}, [[]],
    [None], {"a": 1}, [1, 2], [[1e9] * 3] * 3,
)  # fmt: skip
"""Values for JSON."""

NUMBERS = [
    struct.pack(form, value)
    for form, values in {
        "<B": (0, 1, 127, 255), "<H": (0, 1, 0xFFFF), ">H": (1, 0xFFFF),
        "<I": (0, 1, 2**31 - 1, 2**32 - 1), ">I": (0, 1, 2**31 - 1, 2**32 - 1),
        "<Q": (0, 2**40, 2**63, 2**64 - 1),
        "<f": (float("nan"), float("inf"), 1e38), "<d": (float("nan"), float("inf"), 1e308),
    }.items()
    for value in values
]  # fmt: skip
"""Bytes of sizes and values that readers may trust."""

TOKENS = (
    b"{", b"}", b"[", b"]", b"(", b")", b'"', b"'", b",", b":", b"\\", b"\n", b"\r\n", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"-", b"e999", b"9" * 40, b"NaN", b"null", b"../", b"%s",
    b"|O", b"<U4", b"i8",
)  # fmt: skip
"""Pieces of text."""


def damaged(data: bytes, name: str, random: Random) -> bytes:
    """A good file with some damage that suits its kind."""
    suffix = name.rpartition(".")[2]
    if suffix == "json" and random.random() < 0.7:
        return _json(data, random)
    if data[:4] == b"PK\3\4" and random.random() < 0.7:
        return _archive(data, random)
    return _bytes(data, random)


def _bytes(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        # Headers are small and tell most.
        reach = len(out) if random.random() < 0.5 else min(len(out), 200)
        at = random.randrange(reach) if reach else 0
        what = random.randrange(8)
        if what == 0 and out:
            out[at] ^= 1 << random.randrange(8)
        elif what == 1 and out:
            out[at] = random.randrange(256)
        elif what == 2:
            number = random.choice(NUMBERS)
            out[at : at + len(number)] = number
        elif what == 3:
            out[at:at] = random.choice(TOKENS)
        elif what == 4:
            token = random.choice(TOKENS)
            out[at : at + len(token)] = token
        elif what == 5:
            del out[at : at + random.choice((1, 2, 4, 8, 64))]
        elif what == 6:
            del out[at:]
        else:
            start = random.randrange(len(out)) if out else 0
            out[at:at] = out[start : start + random.choice((1, 8, 64, 1024))]
    return bytes(out)


def _json(data: bytes, random: Random) -> bytes:
    tree = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        tree = _odd(tree, random)
    return json.dumps(tree).encode()


def _odd(tree: Any, random: Random) -> Any:
    """The same tree with one change, at a depth that is drawn."""
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.15:
        return copy.deepcopy(random.choice(ODD))
    key = random.choice(list(tree)) if isinstance(tree, dict) else random.randrange(len(tree))
    what = random.random()
    if what < 0.05:
        del tree[key]
    elif what < 0.1 and isinstance(tree, list):
        tree.insert(key, copy.deepcopy(random.choice(tree)))
    elif what < 0.1:
        tree[random.choice(("", "x", str(key) * 2))] = tree.pop(key)
    else:
        tree[key] = _odd(tree[key], random)
    return tree


def _archive(data: bytes, random: Random) -> bytes:
    """An archive whose checksums are right; a member is damaged, missing, or there twice."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = random.randrange(len(members))
    name, content = members[at]
    what = random.random()
    if what < 0.75:
        members[at] = name, _bytes(content, random)
    elif what < 0.82:
        members[at] = name, random.choice(members)[1]
    elif what < 0.88:
        members[at] = random.choice(("../x.npy", "", "x.npy", "/x.npy")), content
    elif what < 0.94:
        del members[at]
    else:
        members.append(members[at])  # there twice
    out = io.BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()
