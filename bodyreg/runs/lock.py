"""One command at a time in a folder.

A command holds a lock while it writes to its output folder: `flock` on a hidden file there. The
operating system releases the lock when the process ends, even when it is killed, so a lock is never
left behind. The file is removed at the end; a killed process leaves it, and the next command uses
it again.

The lock also holds between machines that share the folder over NFS. Some disks have no locks (NFS
without a lock service, Lustre mounted without `flock`). Work goes on there without one, because
these are the disks of many clusters. Two runs still cannot mix: each shard names its run. `flock`
exists on Linux and macOS, not on Windows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bodyreg.errors import UserError
from bodyreg.files import is_folder, writing

NAME = ".bodyreg-lock"
# Another command may remove the file or the folder between two steps here; then all are repeated.
ATTEMPTS = 100


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """A section in which no other command works in a folder. It makes the folder.

    Folders that it has made and that are empty at the end are removed.

    Raises:
        UserError: another command works in the folder, or the folder cannot be written.
    """
    lock, made = _locked(folder)
    try:
        yield
    finally:
        # The file is removed while it is locked. A command that has opened it before then finds
        # that the name is no longer this file's, and tries again.
        with contextlib.suppress(OSError):
            os.unlink(folder / NAME)
        os.close(lock)
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _locked(folder: Path) -> tuple[int, list[Path]]:
    """The descriptor of the locked file, and the folders that were made, innermost first."""
    made: list[Path] = []
    with writing(folder):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                made = [*_make(folder), *made]
                lock = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:
                if attempt == ATTEMPTS:
                    raise
                continue
            _take(lock, folder)
            if _is_named(lock, folder / NAME):
                return lock, made
            os.close(lock)
    raise UserError(f"{folder}: cannot be locked, other commands come and go here; try again")


def _is_named(lock: int, path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the new ones, innermost first."""
    missing = []
    while not is_folder(folder):
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _take(lock: int, folder: Path) -> None:
    """Lock a file at once, or refuse."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UserError(
            f"{folder}: another bodyreg command is working in this folder; wait until it ends, or "
            "choose another folder"
        ) from None
    except OSError:
        pass  # this disk has no locks
