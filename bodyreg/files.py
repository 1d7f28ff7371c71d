"""Reading and writing files: atomically, deterministically, and without trusting their content."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from bodyreg.errors import UserError

# Deflate cannot shrink data by more than this factor, so a member that claims more is a lie.
MAX_DEFLATE_RATIO = 1032


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place on success, remove it on failure.

    The temporary name keeps the suffix of `path`, for writers that choose a format by it. Missing
    folders are created.

    Raises:
        UserError: the folder cannot be created or written, or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file to write")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{path}: cannot be written ({reason}); choose a folder you may write to"
        ) from error
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_npz(
    path: str | os.PathLike, /, *, compressed: bool = False, **arrays: np.ndarray | str | float
) -> None:
    """Write arrays to an .npz file, atomically; equal arrays give equal bytes.

    Args:
        path: The file to write.
        compressed: Deflate the members.
        **arrays: Name -> array, or anything `np.asarray` turns into one without objects.

    Raises:
        UserError: the file cannot be written.
        TypeError: an array holds Python objects.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with atomic_path(path) as temporary:
        try:
            with zipfile.ZipFile(temporary, "w", method, compresslevel=9) as archive:
                for name, value in arrays.items():
                    array = np.asarray(value)
                    if array.dtype.hasobject:
                        raise TypeError(f"array '{name}' holds Python objects; expected numbers")
                    # A ZipInfo made by hand carries a fixed date, so the bytes do not change.
                    member = zipfile.ZipInfo(f"{name}.npy")
                    member.compress_type = method
                    member.external_attr = 0o644 << 16
                    with archive.open(member, "w", force_zip64=True) as stream:
                        npy.write_array(stream, array, allow_pickle=False)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written ({error.strerror or error}); "
                "check the space left and the permissions"
            ) from error


def load_npz(path: str | os.PathLike, *, kind: str) -> dict[str, np.ndarray]:
    """Read every array of an .npz file that nobody vouches for.

    Nothing is unpickled, and no memory is taken before the shape in a member's header has been
    checked against the bytes that are there.

    Args:
        path: The file.
        kind: What the file should be, for messages: "observations", "fits", "body" ...

    Returns:
        Name -> array.

    Raises:
        UserError: the file is missing, unreadable, truncated, or holds pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such {kind} file; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            size = path.stat().st_size
            return {
                _array_name(member, kind): _read_member(archive, member, size)
                for member in archive.infolist()
            }
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError,
        RuntimeError, ValueError, SyntaxError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: not a readable {kind} file ({reason}); it may be truncated or of another kind"
        ) from error


def _array_name(member: zipfile.ZipInfo, kind: str) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"member '{member.filename}' is not an array")
    return member.filename.removesuffix(".npy")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, archive_size: int) -> np.ndarray:
    name = member.filename
    ratio = 1 if member.compress_type == zipfile.ZIP_STORED else MAX_DEFLATE_RATIO
    if member.compress_size > archive_size or member.file_size > ratio * member.compress_size + ratio:
        raise ValueError(f"member '{name}' claims more bytes than the file has")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = npy.read_array_header_2_0(stream)
        else:
            raise ValueError(f"member '{name}' has an unknown array version {version}")
        if dtype.hasobject:
            raise ValueError(f"array '{name}' holds pickled Python objects, which are never loaded")
        expected = math.prod(shape) * dtype.itemsize
        if expected != member.file_size - stream.tell():
            raise ValueError(f"array '{name}' of shape {shape} does not match its size in bytes")
        # One byte more than expected, so that zipfile reaches the end and checks the CRC.
        data = stream.read(expected + 1)
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(bytearray(data), dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def provenance(
    command: str, *, seed: int | None = None, device: str = "cpu"
) -> dict[str, str | int | None]:
    """What made a file, as plain values for JSON. No clock and no host: equal runs, equal bytes.

    Args:
        command: The command line, or the function that made it.
        seed: The seed of its random numbers, if it drew any.
        device: Where it computed, as torch names it.
    """
    from bodyreg import __version__

    return {
        "version": __version__,
        "command": command,
        "seed": seed,
        "device": str(device),
        "torch": metadata.version("torch"),
        "numpy": metadata.version("numpy"),
    }
