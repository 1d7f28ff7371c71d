"""Reading and writing files: atomically, deterministically, and without trusting their content."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import zipfile
import zlib
from collections.abc import Container, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from bodyreg.errors import UserError

# Deflate cannot shrink data by more than this factor, so a member that claims more is a lie.
MAX_DEFLATE_RATIO = 1032
# What the standard library and NumPy raise on bytes they cannot make sense of.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError,
    ValueError, SyntaxError, TypeError,
)  # fmt: skip


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


def load_npz(
    path: str | os.PathLike, *, kind: str, names: Container[str] | None = None
) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file that nobody vouches for.

    Nothing is unpickled, and no memory is taken before the shape in a member's header has been
    checked against the bytes that are there.

    Args:
        path: The file.
        kind: What the file should be, for messages: "observations", "fits", "body" ...
        names: The arrays to read where they are there; all of them when left out.

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
            members = {_array_name(member): member for member in archive.infolist()}
            return {
                name: _read_member(archive, member, size)
                for name, member in members.items()
                if names is None or name in names
            }
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error


def load_npy(path: str | os.PathLike, *, kind: str) -> np.ndarray:
    """Read an .npy file that nobody vouches for, with the care of `load_npz`.

    Raises:
        UserError: the file is missing, unreadable, truncated, or holds pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such {kind} file; check the path")
    try:
        with path.open("rb") as stream:
            return _read_array(stream, path.name, path.stat().st_size)
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> UserError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(
        f"{path}: not a readable {kind} file ({reason}); it may be truncated or of another kind"
    )


def _array_name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"member '{member.filename}' is not an array")
    return member.filename.removesuffix(".npy")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> np.ndarray:
    ratio = 1 if member.compress_type == zipfile.ZIP_STORED else MAX_DEFLATE_RATIO
    if member.compress_size > size or member.file_size > ratio * (member.compress_size + 1):
        raise ValueError(f"member '{member.filename}' claims more bytes than the file has")
    with archive.open(member) as stream:
        return _read_array(stream, member.filename, member.file_size)


def _read_array(stream: IO[bytes], name: str, size: int) -> np.ndarray:
    """Read an array in NumPy's format from a stream of `size` bytes."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"array '{name}' is of an unknown format version {version}")
    if dtype.hasobject:
        raise ValueError(f"array '{name}' holds pickled Python objects, which are never loaded")
    expected = math.prod(shape) * dtype.itemsize
    if expected != size - stream.tell():
        raise ValueError(f"array '{name}' of shape {shape} does not match its size in bytes")
    # Asking for one byte too many makes zipfile reach the end, where it checks the CRC.
    data = bytearray(stream.read(expected + 1))
    if len(data) != expected:
        raise ValueError(f"array '{name}' ends early")
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(data, dtype)
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
