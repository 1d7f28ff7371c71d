"""An operating system that refuses, whether the tests run as root or as a plain user."""

import builtins
import contextlib
import errno
import io
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PLAIN_USER = 65534
IS_ROOT = os.geteuid() == 0


@contextlib.contextmanager
def locked_folder() -> Iterator[Path]:
    """A folder that may not be entered, beside others; root is a plain user meanwhile."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "locked"
        folder.mkdir(mode=0)
        if IS_ROOT:
            os.chown(folder, PLAIN_USER, -1)
            os.chown(home, PLAIN_USER, -1)
            os.seteuid(PLAIN_USER)
        try:
            yield folder
        finally:
            if IS_ROOT:
                os.seteuid(0)
            for path in Path(home).iterdir():
                path.chmod(0o700)


@contextlib.contextmanager
def no_entry(folder: Path) -> Iterator[None]:
    """Nothing in a folder can be looked up, opened or made, as if another user owned it.

    For whole commands: a plain user might not be allowed to read bodyreg's own files.
    """
    patch = pytest.MonkeyPatch()
    real = {name: getattr(os, name) for name in ("stat", "open", "mkdir", "listdir", "scandir")}
    real["builtin"] = builtins.open

    def refusing(function: Callable) -> Callable:
        def call(path, *arguments, **options):
            is_path = isinstance(path, str | os.PathLike)
            if is_path and Path(os.path.abspath(path)).is_relative_to(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *arguments, **options)

        return call

    for name, function in real.items():
        if name == "builtin":
            patch.setattr(builtins, "open", refusing(function))
            patch.setattr(io, "open", refusing(function))
        else:
            patch.setattr(os, name, refusing(function))
    try:
        yield
    finally:
        patch.undo()


@contextlib.contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may be larger than so many bytes: writing fails in the middle, as on a full disk."""
    with _limit(resource.RLIMIT_FSIZE, size):
        yield


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """No file can be opened, because as many as are allowed are open."""
    highest = max(map(int, os.listdir("/dev/fd")))
    with _limit(resource.RLIMIT_NOFILE, highest + 1), contextlib.ExitStack() as taken:
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


@contextlib.contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)
