"""Files: written whole or not at all, named by their content, kept inside their folder.

Every error of the operating system about a path becomes one line for the user here, in `refused`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from bodyreg.errors import UserError

# What the standard library and NumPy raise on bytes they cannot make sense of.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError,
    ValueError, SyntaxError, TypeError, MemoryError,
)  # fmt: skip

# Letters of what a reader says of a file; it may quote what is in there.
LONGEST_REASON = 200
# What a user can do when the operating system refuses a path, by the number of the error.
ADVICE = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; check the path",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "a file has the name of a folder; choose another path",
    errno.EACCES: "check the permissions of the path and of the folders above it",
    errno.EPERM: "check the permissions of the path and of the folders above it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "a symbolic link points back to itself; remove it",
    errno.EMFILE: "close other files, or raise the limit (ulimit -n)",
    errno.ENFILE: "close other programs, or raise the limit of the machine",
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.EFBIG: "choose another disk, or raise the limit (ulimit -f)",
    errno.EROFS: "choose a disk that can be written",
    errno.EIO: "check the disk",
    errno.ESTALE: "check that the disk is still mounted",
}


# Those of them that no code can avoid. Any other one that reaches a user is an error of ours.
REFUSALS_OF_THE_MACHINE = {
    errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    errno.EROFS, errno.EIO, errno.ESTALE,
}  # fmt: skip


def refused(path: str | os.PathLike, error: OSError, action: str) -> UserError:
    """What to tell a user when the operating system refuses a path.

    Args:
        path: The file or folder.
        error: What the operating system said.
        action: What could not be done: "read", "written", "reached" or "used".
    """
    name = str(path)
    if len(name) > 300:
        name = f"{name[:200]}...{name[-50:]}"
    advice = ADVICE.get(error.errno or 0, "check the path, its permissions and the space left")
    return UserError(f"{name}: cannot be {action} ({error.strerror or error}); {advice}")


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """A section that reads a file or a folder.

    Raises:
        UserError: the operating system refuses.
    """
    try:
        yield
    except OSError as error:
        raise refused(path, error, "read") from error


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """A section that writes a file or a folder.

    Raises:
        UserError: the operating system refuses.
    """
    try:
        yield
    except BrokenPipeError:  # of what is printed meanwhile: a file has no reader to lose
        raise
    except OSError as error:
        raise refused(path, error, "written") from error


def is_file(path: str | os.PathLike) -> bool:
    """Whether a file is there.

    Raises:
        UserError: the operating system does not tell.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | os.PathLike) -> bool:
    """Whether a folder is there.

    Raises:
        UserError: the operating system does not tell.
    """
    return stat.S_ISDIR(_mode(path))


def is_there(path: str | os.PathLike) -> bool:
    """Whether anything is there.

    Raises:
        UserError: the operating system does not tell.
    """
    return _mode(path) != 0


def _mode(path: str | os.PathLike) -> int:
    """What `os.stat` says of the kind of what is there; 0 if nothing is."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: not a path at all
        return 0
    except OSError as error:
        raise refused(path, error, "reached") from error


def _kind(path: str | os.PathLike) -> str:
    return "is a folder" if is_folder(path) else "is a device or a pipe, not a file"


def require_file(path: str | os.PathLike, kind: str) -> None:
    """Refuse a path where no file is.

    Args:
        path: The file.
        kind: What it should be, for messages: "observations", "fits", "body" ...

    Raises:
        UserError: nothing is there, or a folder or a device, or the operating system does not tell.
    """
    if not is_there(path):
        raise UserError(f"{path}: no such {kind} file; check the path")
    if not is_file(path):
        raise UserError(f"{path}: {_kind(path)}; name a {kind} file")


def identities(paths: Iterable[str | os.PathLike | None]) -> set[tuple[int, int]]:
    """The devices and numbers of files and folders, as far as these are there.

    Two names of one file have one identity: links, and paths that differ as text.

    Raises:
        UserError: the operating system does not tell.
    """
    found = set()
    for path in paths:
        if path is not None and is_there(path):
            with reading(path):
                about = os.stat(path)
            found.add((about.st_dev, about.st_ino))
    return found


def require_other(out: Path, read: Collection[tuple[int, int]], *, inside: bool = False) -> None:
    """Refuse to write over a file that is read.

    Args:
        out: The file to write.
        read: The `identities` of the files and folders that are read.
        inside: Whether a file in a folder that is read counts, too.

    Raises:
        UserError: as said, or the operating system does not tell.
    """
    places = identities([out, out.parent] if inside else [out])
    if is_there(out) and not places.isdisjoint(read):
        raise UserError(f"{out}: is read, so it cannot be written; choose another --out")


def first_bytes(path: str | os.PathLike, kind: str) -> bytes:
    """The first bytes of a file, which tell its format, whatever its suffix.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Raises:
        UserError: there is no such file, or the operating system refuses.
    """
    require_file(path, kind)
    with reading(path), open(path, "rb") as stream:
        return stream.read(8)


def entries(folder: str | os.PathLike) -> list[Path]:
    """What lies in a folder, in the order of the names.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    with reading(folder):
        return sorted(Path(folder).iterdir())


def files_of(path: str | os.PathLike, suffixes: Collection[str]) -> list[Path]:
    """The files of a folder with one of these suffixes, as of `files_in`; a file is itself.

    Args:
        path: The folder, or a file of any name.
        suffixes: In lower case.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    return [Path(path)] if is_file(path) else files_in(path, suffixes)


def files_in(folder: str | os.PathLike, suffixes: Collection[str]) -> list[Path]:
    """What lies in a folder with one of these suffixes (lower case), in the order of the names.

    Hidden ones, whose names begin with a dot, are left out: systems write them beside others.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    return [
        file
        for file in entries(folder)
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    ]


def require_writable(path: str | os.PathLike) -> None:
    """Refuse a path of a file to write where a folder or a device is.

    Raises:
        UserError: one is there, or the operating system does not tell.
    """
    if is_there(path) and not is_file(path):
        raise UserError(f"{path}: {_kind(path)}; name a file to write")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, *, within: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path; move it to `path` on success, remove it on failure.

    The temporary name keeps the suffix of `path`, for writers that choose a format by it. Missing
    folders are created.

    Args:
        path: The file to write.
        within: The folder of the temporary file, on the same disk; that of `path` if left out.

    Raises:
        UserError: the operating system refuses to create, write or move the file; also where it
            refuses what is written inside the section. `path` is a folder or a device.
    """
    path = Path(path)
    require_writable(path)
    temporary = (within or path.parent) / f".{secrets.token_hex(8)}{path.suffix}"
    with writing(path):
        for folder in (path.parent, temporary.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def fingerprint(*paths: str | os.PathLike, within: Path | None = None) -> str:
    """64 hexadecimal digits that name the content of a file, or of several files in this order.

    For an .npz file (any zip archive) they are the SHA-256 of the members' names, sizes and CRC-32
    checksums. These are at the end of the file, so a file of any size costs one short read. For
    every other file they are the SHA-256 of the bytes.

    Args:
        paths: The files.
        within: A folder that has all of them; then their names in it count, too.

    Raises:
        UserError: a file cannot be read.
    """
    if within is not None:
        prints = "".join(f"{Path(path).relative_to(within)}\0{fingerprint(path)}" for path in paths)
        return hashlib.sha256(os.fsencode(prints)).hexdigest()
    if len(paths) > 1:
        return hashlib.sha256("".join(map(fingerprint, paths)).encode()).hexdigest()
    (path,) = paths
    require_file(path, "input")
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
    if isinstance(error, OSError) and error.errno in ADVICE:
        return refused(path, error, "read")
    # A LookupError of a reader says only which byte or key it did not know.
    lines = [] if isinstance(error, LookupError) else str(error).splitlines()
    reason = f" ({lines[0][:LONGEST_REASON]})" if lines else ""
    return UserError(
        f"{path}: not a readable {kind} file{reason}; it may be truncated or of another kind"
    )


def path_inside(folder: str | os.PathLike, name: str, where: str) -> Path:
    """The path of a file in a folder, when an untrusted file gives the name.

    A backslash separates folders, as a slash does: annotation files move between systems.

    Args:
        folder: The folder that it must lie in.
        name: Its path relative to the folder.
        where: The place of the name, for messages.

    Raises:
        UserError: the name is empty or leads out of the folder.
    """
    path = Path(name.replace("\\", "/"))
    if not path.parts or path.anchor or ".." in path.parts or "\0" in name:
        raise UserError(f"{where}: '{name}' is not a path inside {folder}; correct it")
    return Path(folder) / path


def provenance(
    command: str, *, seed: int | None = None, device: str = "cpu"
) -> dict[str, str | int | None]:
    """What made a file, as plain values for JSON. Without time or host: equal runs, equal bytes.

    Args:
        command: The command line, or the function that made it.
        seed: The seed of the random numbers, if there were any.
        device: The device it computed on, as torch names it.
    """
    from bodyreg.version import installed_version

    return {
        "version": installed_version(),
        "command": command,
        "seed": seed,
        "device": str(device),
        "torch": metadata.version("torch"),
        "numpy": metadata.version("numpy"),
    }
