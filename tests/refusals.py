"""An operating system that refuses, whether the tests run as root or as a plain user."""

import contextlib
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
