"""Picture files: what every kind of pixel becomes, and what no file may do."""

from __future__ import annotations

import base64
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from bodyreg.errors import UserError
from bodyreg.pictures import (
    MAX_PIXELS,
    SUFFIXES,
    Header,
    encode_picture,
    picture_names,
    pictures_by_stem,
    read_header,
    read_picture,
    write_picture,
)

# 8 x 8 pixels of cyan 0, magenta 255, yellow 255, black 0: red.
RED_CMYK = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3OFBt"
    "UVdfYmdoZz5NcXlwZHhcZWdj/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYH"
    "CAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBka"
    "JSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeo"
    "qaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD0CvP6"
    "8/r0Cv/Z"
)


def random_picture(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(shape).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def file_of(folder: Path, suffix: str, picture: np.ndarray) -> Path:
    path = folder / f"a{suffix}"
    path.write_bytes(cv2.imencode(suffix, picture)[1].tobytes())
    return path


def png(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has a thousand bytes of pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    """A JPEG file of 8 x 8 pixels that claims another size."""
    data = bytearray(encode_picture(random_picture(8, 8, 3), ".jpg"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width: int, height: int) -> bytes:
    data = bytearray(encode_picture(random_picture(8, 8, 3), ".bmp"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def tiff(width: int, height: int) -> bytes:
    data = bytearray(encode_picture(random_picture(8, 8, 3), ".tif"))
    (begin,) = struct.unpack_from("<I", data, 4)
    for place in range(begin + 2, begin + 2 + 24, 12):
        tag = struct.unpack_from("<H", data, place)[0]
        value = {256: width, 257: height}.get(tag)
        if value is not None:
            data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(data)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_comes_back(tmp_path, suffix):
    picture = np.full((20, 30, 3), (200, 120, 40), np.uint8)
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        write_picture(tmp_path / name, picture)
        np.testing.assert_allclose(read_picture(tmp_path / name), picture, atol=2)
    assert picture_names(tmp_path) == [f"a{suffix}", f"b{suffix.upper()}"]


def test_the_first_bytes_tell_the_format(tmp_path):
    picture = random_picture(6, 5, 3)
    (tmp_path / "a.jpg").write_bytes(encode_picture(picture, ".png"))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg"), picture)


def test_names_that_are_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"f\xe9")
    folder.mkdir()
    path = folder / os.fsdecode(b"caf\xe9 \xff.png")
    picture = random_picture(6, 5, 3)
    write_picture(path, picture)
    np.testing.assert_array_equal(read_picture(path), picture)
    assert pictures_by_stem(folder) == {path.stem: path.name}
    path.write_bytes(b"no picture")
    with pytest.raises(UserError, match="no readable picture"):
        read_picture(path)


def test_grey_is_three_equal_channels(tmp_path):
    grey = random_picture(6, 5)
    found = read_picture(file_of(tmp_path, ".png", grey))
    np.testing.assert_array_equal(found, grey[..., None].repeat(3, 2))


def test_sixteen_bits_become_eight(tmp_path):
    for shape in ((6, 5, 3), (6, 5)):
        deep = random_picture(*shape, dtype=np.uint16)
        for suffix in (".png", ".tif"):
            found = read_picture(file_of(tmp_path, suffix, deep))
            expected = (deep / 257).reshape(6, 5, -1)
            np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1)


def test_transparency_is_dropped(tmp_path):
    clear = random_picture(6, 5, 4)
    np.testing.assert_array_equal(read_picture(file_of(tmp_path, ".png", clear)), clear[..., :3])


def test_cmyk_becomes_colours_of_a_screen(tmp_path):
    (tmp_path / "a.jpg").write_bytes(RED_CMYK)
    found = read_picture(tmp_path / "a.jpg")
    np.testing.assert_allclose(found, np.broadcast_to([0, 0, 255], (8, 8, 3)), atol=3)


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    """What EXIF says a viewer must show: where the first row and the first column are."""
    changes = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
        7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda p: p.transpose(1, 0, 2)[::-1],
    }
    return changes[orientation](picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path, orientation, suffix):
    stored, path = np.zeros((16, 32, 3), np.uint8), tmp_path / f"a{suffix}"
    stored[:8, :8], stored[8:, 24:] = (250, 250, 250), (120, 120, 120)
    data = encode_picture(stored, suffix, quality=100)
    tag = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    if suffix == ".jpg":
        tag = b"Exif\0\0" + tag
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag + data[2:]
    elif suffix == ".png":
        chunk = struct.pack(">I", len(tag)) + b"eXIf" + tag
        data = data[:33] + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + tag)) + data[33:]
    else:
        data = oriented_tiff(stored[..., ::-1], orientation)
    path.write_bytes(data)
    shown = turned(stored, orientation)
    np.testing.assert_allclose(read_picture(path), shown, atol=6)
    assert read_header(path)[:2] == (shown.shape[1], shown.shape[0])


def test_a_file_is_no_folder_of_pictures(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode_picture(np.zeros((4, 4, 3), np.uint8), ".jpg"))
    with pytest.raises(UserError, match=r"a\.jpg: cannot be read"):
        picture_names(tmp_path / "a.jpg")


def oriented_tiff(rgb: np.ndarray, orientation: int) -> bytes:
    """A TIFF file without compression whose tag says how to turn it."""
    height, width = rgb.shape[:2]
    bits, strip = 8, 14
    pixels = strip + rgb.size
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, strip), (274, 3, 1, orientation), (277, 3, 1, 3), (278, 4, 1, height),
        (279, 4, 1, rgb.size),
    ]  # fmt: skip
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", pixels) + struct.pack("<3H", 8, 8, 8)
    return head + rgb.tobytes() + struct.pack("<H", len(entries)) + rows + bytes(4)


def with_exif(path: Path, picture: np.ndarray, order: str, tags: dict, more: dict) -> Path:
    """A JPEG file with EXIF: tag -> value of its first directory, and of the second."""

    def directory(entries: dict) -> bytes:
        rows = [struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries.items()]
        return struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4)

    second = 8 + len(directory(tags | {0x8769: 0}))
    entries = directory(tags | {0x8769: second})
    exif = {">": b"MM\0*", "<": b"II*\0"}[order] + struct.pack(f"{order}I", 8)
    exif = b"Exif\0\0" + exif + entries + directory(more)
    data = encode_picture(picture, ".jpg")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_tell_sizes_and_focal_lengths(tmp_path, order):
    picture, path = np.zeros((24, 36, 3), np.uint8), tmp_path / "a.jpg"

    def header(tags: dict, more: dict) -> Header | None:
        return read_header(with_exif(path, picture, order, tags, more))

    assert header({}, {}) == Header(36, 24, None)
    assert header({0x0112: 3}, {0xA405: 28}) == Header(36, 24, 28)
    assert header({0x0112: 6}, {0xA405: 28}) == Header(24, 36, 28)  # a quarter turn
    assert header({}, {0xA405: 0}) == Header(36, 24, None)  # which EXIF calls unknown
    assert header({}, {0xA405: 28, 0xA002: 3600, 0xA003: 2400}) == Header(36, 24, 28)
    cut = {0xA405: 28, 0xA002: 3600, 0xA003: 3600}  # the picture is a part of a square one
    assert header({}, cut) == Header(36, 24, None)
    assert read_picture(path).shape == (24, 36, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_headers_of_every_format(tmp_path, suffix):
    path = file_of(tmp_path, suffix, random_picture(24, 36, 3))
    assert read_header(path) == (None if suffix == ".webp" else Header(36, 24, None))
    data, random = path.read_bytes(), np.random.default_rng(2)
    assert read_header(tmp_path / "nothing.jpg") is None
    for _ in range(200):
        damaged = bytearray(data[: random.integers(len(data) + 1)])
        for place in random.integers(0, max(len(damaged), 1), 3):
            damaged[place : place + 1] = random.bytes(1)
        path.write_bytes(damaged)
        found = read_header(path)
        assert found is None or 0 < found.width * found.height <= MAX_PIXELS


def test_a_size_far_from_the_beginning_is_found(tmp_path):
    path = tmp_path / "a.jpg"
    data = encode_picture(np.zeros((24, 36, 3), np.uint8), ".jpg")
    comment = b"\xff\xfe" + struct.pack(">H", 60000) + bytes(59998)
    path.write_bytes(data[:2] + 4 * comment + data[2:])
    assert read_header(path) == Header(36, 24, None)


@pytest.mark.parametrize("made", [png, jpeg, bmp, tiff])
def test_sizes_are_checked_before_memory_is_taken(tmp_path, made, monkeypatch):
    """A header may claim any number of pixels; OpenCV is not asked for so many."""
    (tmp_path / "a.jpg").write_bytes(made(8, 8))
    if made is not png:  # whose thousand bytes are no 8 x 8 pixels
        assert read_picture(tmp_path / "a.jpg").shape == (8, 8, 3)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for width, height in ((40000, 40000), (65500, 65500), (16385, MAX_PIXELS // 16384), (0, 8)):
        (tmp_path / "a.jpg").write_bytes(made(width, height))
        with pytest.raises(UserError, match=r"a\.jpg: no readable picture \(.* pixels"):
            read_picture(tmp_path / "a.jpg")


def test_what_opencv_refuses_is_one_line(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise cv2.error("too much\nof everything")

    (tmp_path / "a.png").write_bytes(png(4, 4))
    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(UserError, match=r"a\.png: no readable background") as caught:
        read_picture(tmp_path / "a.png", kind="background")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_png_files_are_refused_in_silence(tmp_path, seed, capfd):
    """libpng prints about what is wrong in a file, beside the one line that the user gets."""
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    good, path = encode_picture(picture, ".png"), tmp_path / "a.png"
    for _ in range(60):
        data, place = bytearray(good), int(random.integers(8, len(good) - 12))
        data[place] ^= int(random.integers(1, 256))
        path.write_bytes(data if random.uniform() < 0.7 else good[:place])
        with pytest.raises(UserError, match=r"a\.png: no readable picture"):
            read_picture(path)
    assert capfd.readouterr() == ("", "")
    path.write_bytes(good + b"more")
    np.testing.assert_array_equal(read_picture(path), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_damaged_files_are_read_or_refused(tmp_path, suffix):
    random, path = np.random.default_rng(0), tmp_path / f"a{suffix}"
    good = encode_picture(random_picture(24, 32, 3), suffix)
    refused = 0
    for number in range(200):
        data = bytearray(good)
        for place in random.integers(0, 60 if number % 2 else len(data), 3):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(len(data) // 3, 2 * len(data))])
        try:
            picture = read_picture(path)
        except UserError as error:
            refused += str(error).count("\n") == 0
        else:
            assert picture.dtype == np.uint8 and picture.ndim == 3
    assert refused > 10


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"BM", b"II*\0", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_beginnings_alone_are_refused(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match="no readable picture"):
        read_picture(tmp_path / "a.jpg")


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(UserError, match="no picture here"):
            read_picture(path)
    with pytest.raises(UserError, match="choose a shorter name"):
        read_picture(tmp_path / ("n" * 300 + ".jpg"))
    with pytest.raises(UserError, match="cannot be read"):
        picture_names(tmp_path / "missing")


def test_the_first_kind_of_several_is_taken(tmp_path):
    for name in ("a.png", "a.JPG", "b.tif", "b.jpeg", "notes.txt", "c.JPG.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert picture_names(tmp_path) == ["a.JPG", "a.png", "b.jpeg", "b.tif"]
    assert pictures_by_stem(tmp_path) == {"a": "a.JPG", "b": "b.jpeg"}


def test_a_suffix_that_no_format_has(tmp_path):
    with pytest.raises(ValueError, match="suffix"):
        write_picture(tmp_path / "a.txt", random_picture(4, 4, 3))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_opencv_prints_nothing(tmp_path, capfd, suffix):
    """What it says of damaged pictures would stand beside the one line of a command."""
    data = encode_picture(random_picture(24, 32, 3), suffix)
    (tmp_path / f"a{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="no readable picture"):
        read_picture(tmp_path / f"a{suffix}")
    assert capfd.readouterr() == ("", "")
