"""Pictures: the one place where picture files are read and written.

Python opens the files, and OpenCV sees bytes alone: given a path whose name is not UTF-8, it ends
the process.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import atomic_path, entries, is_file, reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
KINDS = "JPEG, PNG, BMP, WebP or TIFF"
# A camera's largest pictures have 2 · 10^8 pixels. A damaged header claims any number.
MAX_PIXELS = 2**28
MAX_BYTES = 2**30


def read_picture(path: str | os.PathLike, *, kind: str = "picture") -> np.ndarray:
    """Read an untrusted picture file.

    A picture is turned as its EXIF tag says, which is how viewers, annotation tools and OpenPose
    show it. 16 bits become 8, grey becomes three equal channels, CMYK becomes colours on a screen,
    and transparency is dropped.

    Args:
        path: The file. Its first bytes tell its format, whatever its suffix.
        kind: What the picture is, for messages.

    Returns:
        (H, W, 3) uint8 blue, green, red.

    Raises:
        UserError: the file cannot be read, is not a whole picture, or has too many pixels.
    """
    import cv2

    if not is_file(path):
        raise UserError(f"{path}: no {kind} here; check the path")
    with reading(path), open(path, "rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    try:
        return _decoded(data)
    except (ValueError, struct.error, cv2.error, MemoryError) as error:
        reason = error if type(error) is ValueError else "it may be damaged"
        raise UserError(f"{path}: no readable {kind} ({reason}); expected {KINDS}") from error


def encode_picture(picture: np.ndarray, suffix: str, *, quality: int | None = None) -> bytes:
    """The bytes of a picture file.

    Args:
        picture: (H, W) or (H, W, 3) uint8 blue, green, red.
        suffix: Of the format: ".jpg", ".png" ...
        quality: Of a JPEG file, 0 to 100.

    Raises:
        ValueError: no format has this suffix.
    """
    import cv2

    if suffix.lower() not in SUFFIXES:
        raise ValueError(f"suffix: expected one of {', '.join(SUFFIXES)}, got '{suffix}'")
    settings = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(suffix, picture, settings)[1].tobytes()


def write_picture(
    path: str | os.PathLike, picture: np.ndarray, *, quality: int | None = None
) -> None:
    """Write a picture, atomically; arguments as of `encode_picture`, by the suffix of `path`.

    Raises:
        UserError: the file cannot be written.
        ValueError: no format has this suffix.
    """
    data = encode_picture(picture, Path(path).suffix, quality=quality)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def picture_names(folder: str | os.PathLike) -> list[str]:
    """The picture files in a folder, in the order of their names. Suffixes may be in capitals.

    Raises:
        UserError: the folder cannot be read.
    """
    found = (path for path in entries(folder) if path.suffix.lower() in SUFFIXES)
    return [path.name for path in found if is_file(path)]


def pictures_by_stem(folder: str | os.PathLike) -> dict[str, str]:
    """Name without suffix -> name, of the pictures in a folder; of several, JPEG before PNG ...

    Raises:
        UserError: the folder cannot be read.
    """
    found: dict[str, str] = {}
    order = {suffix: place for place, suffix in enumerate(SUFFIXES)}
    for name in sorted(picture_names(folder), key=lambda n: order[Path(n).suffix.lower()]):
        found.setdefault(Path(name).stem, name)
    return found


def _decoded(data: bytes) -> np.ndarray:
    import cv2

    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    width, height = _size(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels; the limit is {MAX_PIXELS:,}")
    # OpenCV would print its own lines beside the one that the caller gets.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None:
        raise ValueError("it may be damaged")
    return picture


def _size(data: bytes) -> tuple[int, int]:
    """Width and height by the header, before memory is taken for the pixels."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", data, 16)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data.startswith(b"BM"):
        old = struct.unpack_from("<I", data, 14) == (12,)
        width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
        return width, abs(height)  # below 0: the first row is the upper one
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return 2**14, 2**14  # no WebP file is larger
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff_size(data, "<" if data.startswith(b"I") else ">")
    raise ValueError("not a known format")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    place = 2
    while True:
        place = data.find(b"\xff", place)
        if place < 0:
            raise ValueError("a JPEG file without a size")
        marker = data[place + 1 : place + 2]
        if marker in b"\xff\0\xd8\x01" or b"\xd0" <= marker <= b"\xd7":  # those without a length
            place += 1 if marker == b"\xff" else 2
            continue
        # A frame's header is C0 to CF, except for tables (C4, CC) and an extension (C8).
        if b"\xc0" <= marker <= b"\xcf" and marker not in b"\xc4\xc8\xcc":
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]


def _tiff_size(data: bytes, order: str) -> tuple[int, int]:
    (begin,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, begin)
    sides = {}
    for place in range(begin + 2, begin + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        (sides[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, place + 8)
    if not {256, 257} <= sides.keys():
        raise ValueError("a TIFF file without a size")
    return sides[256], sides[257]
