"""Pictures: the one place where picture files are read and written.

Python opens the files, and OpenCV sees bytes alone: given a path whose name is not UTF-8, it ends
the process.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import atomic_path, files_in, is_file, reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
KINDS = "JPEG, PNG, BMP, WebP or TIFF"
# How a PNG file begins.
PNG = b"\x89PNG\r\n\x1a\n"
# A camera's largest pictures have 2 · 10^8 pixels. A damaged header claims any number.
MAX_PIXELS = 2**28
MAX_BYTES = 2**30
# Most files have their size, and EXIF, in this beginning.
ENOUGH = 2**17
# EXIF's tags.
ORIENTATION, MORE, FOCAL, WIDTH, HEIGHT = 0x0112, 0x8769, 0xA405, 0xA002, 0xA003
# A picture whose sides have another ratio than those of the camera's is a part of it.
SAME_RATIO = 0.01


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
    return decode_picture(picture_bytes(path, kind=kind), str(path), kind=kind)


def picture_bytes(path: str | os.PathLike, *, kind: str = "picture") -> bytes:
    """The bytes of a picture file, for `decode_picture`.

    Raises:
        UserError: the file cannot be read.
    """
    if not is_file(path):
        raise UserError(f"{path}: no {kind} here; check the path")
    with reading(path), open(path, "rb") as stream:
        return _read(stream, MAX_BYTES + 1)


def decode_picture(data: bytes, where: str, *, kind: str = "picture") -> np.ndarray:
    """The picture (H, W, 3) of an untrusted file's bytes, as of `read_picture`.

    Args:
        data: The bytes.
        where: The file, or the place of the bytes in it, for messages.
        kind: What the picture is, for messages.

    Raises:
        UserError: they are not a whole picture, or it has too many pixels.
    """
    import cv2

    try:
        return _decoded(data)
    except (ValueError, struct.error, cv2.error, MemoryError) as error:
        reason = error if type(error) is ValueError else "it may be damaged"
        raise UserError(f"{where}: no readable {kind} ({reason}); expected {KINDS}") from error


def picture_size(data: bytes, where: str, *, kind: str = "picture") -> tuple[int, int]:
    """Width and height that a picture file's header claims, of its bytes.

    Raises:
        UserError: there is no such header.
    """
    try:
        return _size(data)
    except (ValueError, struct.error) as error:
        raise UserError(f"{where}: no readable {kind}; expected {KINDS}") from error


class Header(NamedTuple):
    """What the beginning of a picture file says.

    Attributes:
        width, height: Pixels of the picture as `read_picture` turns it.
        focal: The focal length in millimetres on 35-mm film, by EXIF; None if it is not known, or
            if the picture is a part of the one that the camera took.
    """

    width: int
    height: int
    focal: int | None


def read_header(path: str | os.PathLike) -> Header | None:
    """Read the size of a picture file, and its focal length, without its pixels.

    Returns:
        None if there is no such file, or if it does not tell its size: a damaged file, or WebP.
    """
    if not is_file(path):
        return None
    with reading(path), open(path, "rb") as stream:
        data = stream.read(ENOUGH)
        try:
            return _header(data)
        except (ValueError, struct.error):
            data += _read(stream, MAX_BYTES - ENOUGH)
    try:
        return _header(data)
    except (ValueError, struct.error):
        return None


def read_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of a picture as `read_picture` turns it: by its header, if that tells them.

    Raises:
        UserError: the file cannot be read, or is no picture.
    """
    header = read_header(path)
    if header is not None:
        return header.width, header.height
    height, width = read_picture(path).shape[:2]
    return width, height


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


def png_texts(data: bytes) -> dict[str, str]:
    """The texts in a PNG file's bytes, by their keywords; none of another or a damaged file."""
    found: dict[str, str] = {}
    for kind, content, _ in _png_chunks(data):
        if kind == b"tEXt":
            keyword, _, text = bytes(content).partition(b"\0")
            found[keyword.decode("latin1")] = text.decode("latin1")
    return found


def with_png_text(data: bytes, keyword: str, text: str) -> bytes:
    """A PNG file's bytes with one more text, which viewers do not show."""
    content = b"tEXt" + keyword.encode("latin1") + b"\0" + text.encode("latin1")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    behind_header = len(PNG) + 25
    return data[:behind_header] + chunk + data[behind_header:]


def picture_names(folder: str | os.PathLike) -> list[str]:
    """The picture files in a folder, in the order of their names. Suffixes may be in capitals.

    Raises:
        UserError: the folder cannot be read.
    """
    return [path.name for path in files_in(folder, SUFFIXES) if is_file(path)]


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


def number_of(name: str) -> int | None:
    """The number with which a name without suffix ends: 139 of 000000000139.jpg; None if none.

    Of its last 18 digits, so that it is an int64.
    """
    digits = re.search(r"[0-9]{1,18}$", Path(name).stem)
    return None if digits is None else int(digits[0])


def pictures_by_number(folder: str | os.PathLike) -> dict[int, str]:
    """The number with which a picture's name ends -> name; of several, the first.

    COCO's results name pictures in this way: 000000000139.jpg is number 139.

    Raises:
        UserError: the folder cannot be read.
    """
    found: dict[int, str] = {}
    for name in picture_names(folder):
        number = number_of(name)
        if number is not None:
            found.setdefault(number, name)
    return found


def without_suffix(name: str) -> str:
    """A picture's name without the suffix of a format."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else name


def _read(stream: BinaryIO, most: int) -> bytes:
    """The rest of a file, or `most` bytes of it. Python sets `most` bytes aside if told to."""
    return stream.read(min(most, os.fstat(stream.fileno()).st_size))


def _decoded(data: bytes) -> np.ndarray:
    import cv2

    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    width, height = _size(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels; the limit is {MAX_PIXELS:,}")
    if data.startswith(PNG):
        _check_png(data)
    # OpenCV would print its own lines beside the one that the caller gets.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None:
        raise ValueError("it may be damaged")
    return picture


def _check_png(data: bytes) -> None:
    """Refuse a PNG file whose chunks are damaged: libpng would print a line about it.

    Raises:
        ValueError: a chunk's checksum is wrong, or the file ends early.
    """
    last = b""
    for last, content, checksum in _png_chunks(data):
        if zlib.crc32(content, zlib.crc32(last)) != checksum:
            raise ValueError("it is damaged")
    if last != b"IEND":
        raise ValueError("it ends early")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind, content and checksum of a PNG file's whole chunks, up to its end; of others, none."""
    view, place, kind = memoryview(data), len(PNG), b""
    while data.startswith(PNG) and kind != b"IEND" and place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            return
        yield kind, view[place + 8 : end - 4], struct.unpack_from(">I", data, end - 4)[0]
        place = end


def _size(data: bytes) -> tuple[int, int]:
    """Width and height by the header, before memory is taken for the pixels."""
    if data.startswith(PNG):
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


def _header(data: bytes) -> Header:
    if data.startswith(b"RIFF"):
        raise ValueError("its size is not read from its header")
    width, height = _size(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError("not a size")
    exif = _exif(data)
    taken = exif.get(WIDTH, width) * height, exif.get(HEIGHT, height) * width
    whole = abs(taken[0] - taken[1]) <= SAME_RATIO * max(taken)
    if exif.get(ORIENTATION, 1) > 4:  # a quarter turn
        width, height = height, width
    return Header(width, height, (exif.get(FOCAL) or None) if whole else None)


def _exif(data: bytes) -> dict[int, int]:
    """EXIF's whole numbers in a JPEG, PNG or TIFF file; what is damaged is left out."""
    found: dict[int, int] = {}
    try:
        if exif := _exif_directory(data):
            order = "<" if exif.startswith(b"I") else ">"
            found = _tiff_tags(exif, order, *struct.unpack_from(f"{order}I", exif, 4))
            if MORE in found:
                found |= _tiff_tags(exif, order, found[MORE])
    except (ValueError, struct.error):
        pass
    return found


def _exif_directory(data: bytes) -> bytes:
    """EXIF as it lies in a picture file, which is a TIFF file without a picture; empty if none."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return data
    if data.startswith(PNG):
        return next((bytes(c) for kind, c, _ in _png_chunks(data) if kind == b"eXIf"), b"")
    if data.startswith(b"\xff\xd8"):
        for marker, place in _jpeg_segments(data):
            if marker == 0xE1 and data[place + 2 : place + 8] == b"Exif\0\0":
                return data[place + 8 :]
    return b""


def _jpeg_size(data: bytes) -> tuple[int, int]:
    for marker, place in _jpeg_segments(data):
        # A frame's header is C0 to CF, except for tables (C4, CC) and an extension (C8).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 3)
            return width, height
    raise ValueError("a JPEG file without a size")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of every segment that has a length; it begins with the length."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0:
        marker = data[place + 1] if place + 1 < len(data) else 0
        if marker in (0, 1, 0xD8, 0xFF) or 0xD0 <= marker <= 0xD7:  # those without a length
            place += 1 if marker == 0xFF else 2
            continue
        yield marker, place + 2
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]


def _tiff_size(data: bytes, order: str) -> tuple[int, int]:
    tags = _tiff_tags(data, order, *struct.unpack_from(f"{order}I", data, 4))
    if not {256, 257} <= tags.keys():
        raise ValueError("a TIFF file without a size")
    return tags[256], tags[257]


def _tiff_tags(data: bytes, order: str, begin: int) -> dict[int, int]:
    """Tag -> value, of the entries of a directory that are one whole number."""
    (count,) = struct.unpack_from(f"{order}H", data, begin)
    tags = {}
    for place in range(begin + 2, begin + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, place + 8)
    return tags
