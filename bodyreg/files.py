"""Files: written whole or not at all, named by their content, kept inside their folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from bodyreg.errors import UserError

# What the standard library and NumPy raise on bytes they cannot make sense of.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError,
    ValueError, SyntaxError, TypeError,
)  # fmt: skip


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, *, within: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path; move it to `path` on success, remove it on failure.

    The temporary name keeps the suffix of `path`, for writers that choose a format by it. Missing
    folders are created.

    Args:
        path: The file to write.
        within: The folder of the temporary file, on the same disk; that of `path` if left out.

    Raises:
        UserError: the folder cannot be created or written, or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file to write")
    name = f".{path.stem}.{secrets.token_hex(4)}{path.suffix}"
    temporary = (within or path.parent) / name
    try:
        for folder in (path.parent, temporary.parent):
            folder.mkdir(parents=True, exist_ok=True)
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


@contextlib.contextmanager
def written(path: str | os.PathLike) -> Iterator[None]:
    """A section that writes a file.

    Raises:
        UserError: the operating system refuses, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "check the space left and the permissions"
        ) from error


def fingerprint(*paths: str | os.PathLike) -> str:
    """64 hexadecimal digits that name the content of a file, or of several in this order.

    Of an .npz file (any zip archive) it is the SHA-256 of its members' names, sizes and CRC-32
    checksums, which stand at its end: a file of any size costs one short read. Of others it is the
    SHA-256 of the bytes.

    Raises:
        UserError: a file cannot be read.
    """
    if len(paths) > 1:
        return hashlib.sha256("".join(map(fingerprint, paths)).encode()).hexdigest()
    (path,) = paths
    digest = hashlib.sha256()
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = [(m.filename, m.file_size, m.CRC) for m in archive.infolist()]
            digest.update(json.dumps(members).encode())
        else:
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except UNREADABLE as error:
        raise unreadable(Path(path), "input", error) from error
    return digest.hexdigest()


def unreadable(path: Path, kind: str, error: Exception) -> UserError:
    """What to tell a user whose file raised one of `UNREADABLE`."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(
        f"{path}: not a readable {kind} file ({reason}); it may be truncated or of another kind"
    )


def path_inside(folder: str | os.PathLike, name: str, where: str) -> Path:
    """The path of a file in a folder, of which a file that nobody vouches for tells the name.

    Args:
        folder: The folder that it must lie in.
        name: Its path relative to the folder.
        where: Where the name stands, for messages.

    Raises:
        UserError: the name is empty or leads out of the folder.
    """
    path = Path(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UserError(f"{where}: '{name}' is no path inside of {folder}; mend it")
    return Path(folder) / path


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
