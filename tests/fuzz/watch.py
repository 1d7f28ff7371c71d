"""One reader, many damaged files: what it did with each, in a process that is watched."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import sysconfig
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

from bodyreg.errors import UserError

from .mutate import damaged
from .targets import Target

SLOWEST = 20.0
"""Seconds for one file; beyond, a reader hangs."""
LARGEST = 2**30
"""Bytes that one file may take in memory beyond those before."""

LONGEST = 2000
"""Characters of a line that tells an error."""

ACCEPTED, REFUSED, FAULT = "accepted", "refused", "fault"

SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/localtime", "/usr/lib/", "/usr/share/", "/lib/")
WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate")
NEVER = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")


@dataclass
class Result:
    """What a reader did.

    Attributes:
        counts: Files that were accepted and refused, and faults.
        slowest: Seconds of the slowest file.
        memory: Bytes by which the process grew at most.
        faults: Each kind of fault, and the number of a file that shows it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    memory: int = 0
    faults: dict[str, int] = field(default_factory=dict)


class HangError(BaseException):
    """A reader has taken too long. No `except Exception` stops it."""


class StrayError(BaseException):
    """A reader has touched what is not its own."""


class _Guard:
    """Sees what Python opens and starts, while it is on; an audit hook cannot be removed."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        paths = (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *sys.path)
        package = Path(__file__).parents[2]
        self._own = tuple(str(Path(p).resolve()) for p in {*paths, str(package)} if p)
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple) -> None:
        if self.folder is None:
            return
        if event in NEVER:
            raise StrayError(f"{event}: {arguments[:1]}")
        if event in WRITES:
            self._require(event, arguments[0], writes=True)
        elif event == "open":
            mode = arguments[1] or ""
            self._require(event, arguments[0], writes=any(c in mode for c in "wax+"))

    def _require(self, event: str, path: Any, writes: bool) -> None:
        if not isinstance(path, str | bytes | Path):
            return
        folder, self.folder = self.folder, None
        assert folder is not None
        where = str(Path(path.decode() if isinstance(path, bytes) else path).resolve())
        inside = Path(where).is_relative_to(folder)
        known = where.startswith((*self._own, *SYSTEM))
        self.folder = folder
        if writes or not (inside or known):
            raise StrayError(f"{event} of {where}")


def fuzz(target: Target, good: Path, work: Path, seed: int, files: int, seconds: float) -> Result:
    """Damage a reader's files in another process, and count what it does with them.

    Args:
        target: The reader.
        good: The folder of its good files.
        work: An empty folder.
        seed: Of the damages. The number of a file and the seed give the same damage again.
        files: Files to try, at most.
        seconds: Time to try them, at most.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(theirs, target, good, work, seed, files, seconds), daemon=True
    )
    process.start()
    theirs.close()
    result = Result()
    with contextlib.suppress(EOFError):
        while ours.poll(3 * SLOWEST + seconds):
            result = ours.recv()
    process.join(1)
    if process.exitcode != 0:
        process.kill()
        result.counts[FAULT] += 1
        number = result.counts.total() - 1
        result.faults[f"the process ended with {process.exitcode}"] = number
    return result


def _child(
    pipe: Any, target: Target, good: Path, work: Path, seed: int, files: int, seconds: float
) -> None:
    started, result, guard = time.monotonic(), Result(), _Guard()
    # Libraries of pictures print what they think of a file. Results go through the pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    torch.set_num_threads(1)  # a fork has none of its parent's threads
    kind, words = _try(target, _copied(good, work), guard)  # loads libraries, too
    if kind != ACCEPTED:
        result.counts[FAULT] += 1
        result.faults[f"the good files are not accepted: {words}"] = -1
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_data() + LARGEST, hard))
    base = _peak()
    for number in range(files):
        if time.monotonic() - started > seconds:
            break
        pipe.send(result)
        folder = damage(target, good, work, seed, number)
        begun = time.monotonic()
        kind, words = _try(target, folder, guard)
        result.slowest = max(result.slowest, time.monotonic() - begun)
        result.memory = max(result.memory, _peak() - base)
        result.counts[kind] += 1
        if kind == FAULT:
            result.faults.setdefault(words, number)
    pipe.send(result)


def damage(target: Target, good: Path, work: Path, seed: int, number: int) -> Path:
    """A copy of the good files in which one is damaged."""
    random = Random(f"{seed} {target.name} {number}")
    folder = _copied(good, work)
    path = folder / random.choice(target.damaged)
    path.write_bytes(damaged(path.read_bytes(), path.name, random))
    return folder


def _copied(good: Path, work: Path) -> Path:
    folder = work / "files"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    return folder


def _try(target: Target, folder: Path, guard: _Guard) -> tuple[str, str]:
    """Whether a reader accepts a folder, refuses it in one line, or has a fault, and which."""
    try:
        with _time_limit(), warnings.catch_warnings():
            # A command's user sees one line, so nothing may be warned of beside it.
            warnings.simplefilter("error", RuntimeWarning)
            guard.folder = folder.resolve()
            try:
                target.read(folder)
            finally:
                guard.folder = None
    except UserError as error:
        if len(str(error)) > LONGEST:  # `UserError` lets no line end in
            return FAULT, f"a line of {len(str(error))} characters: {str(error)[:200]}"
        return REFUSED, str(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        where = traceback.extract_tb(error.__traceback__)
        ours = [step for step in where if "bodyreg" in step.filename] or list(where)
        last = ours[-1]
        text = " ".join(str(error).split())[:120]
        return FAULT, f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {text}"
    return ACCEPTED, ""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def end(*_: object) -> None:
        raise HangError(f"more than {SLOWEST:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SLOWEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _data() -> int:
    """Bytes of the process that RLIMIT_DATA counts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status does not tell VmData")
