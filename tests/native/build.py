"""Builds what the native tests run: the CUDA sources compiled for the CPU emulator.

Objects are cached in the user's temporary folder under a hash of all their inputs, so that a second
run of the tests compiles only what has changed. Processes that run tests at the same time share the
cache: one compiles an object while the others wait for it.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CSRC = Path(__file__).resolve().parents[2] / "csrc"
EMULATOR = CSRC / "emulator"
CXX = os.environ.get("CXX", "g++")

# As setup.py compiles, with the emulator behind simt.h. nvcc knows `#pragma unroll`, g++ does not.
FLAGS = (
    "-std=c++17 -g -fPIC -fvisibility=hidden -DBODYREG_EMULATED "
    "-Wall -Wextra -Werror -Wno-unknown-pragmas"
).split()
ADDRESS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREAD = ["-fsanitize=thread"]


@dataclass(frozen=True)
class Unit:
    """One source and the flags it takes beside FLAGS."""

    source: Path
    flags: tuple[str, ...] = ()


def cuda_sources() -> list[Path]:
    """Every kernel file of the package, in a fixed order."""
    return sorted(CSRC.rglob("*.cu"))


def engine(name: str, flags: Sequence[str]) -> list[Unit]:
    """The emulator's own sources: name is "fibers" or "threads"."""
    # The race detector must not instrument the synchronisation itself; see threads.cpp.
    own = () if name == "threads" else tuple(flags)
    return [Unit(EMULATOR / "device.cpp", tuple(flags)), Unit(EMULATOR / f"{name}.cpp", own)]


def build_program(units: Iterable[Unit], link: Sequence[str] = ()) -> Path:
    """An executable made of the units."""
    return _link(_compile(units), [*link], "program")


def build_library(units: Iterable[Unit], link: Sequence[str] = ()) -> Path:
    """A shared library made of the units."""
    return _link(_compile(units), ["-shared", *link], "library.so")


@functools.cache
def emulated_library() -> Path:
    """The ops with their real kernels on the emulator, for ``torch.ops.load_library``.

    They register as ``torch.ops.bodyreg_emulated`` under the CPU key.
    """
    import torch

    root = Path(torch.__file__).parent
    include = ("-isystem", str(root / "include"), "-DTORCH_TARGET_VERSION=0x020b000000000000")
    # An op file's helpers for its CPU form are unused here.
    op = ("-O1", "-Wno-unused-function", *include)
    units = [Unit(source, op) for source in sorted(CSRC.rglob("*_op.cpp"))]
    units += [Unit(source, ("-O1", "-x", "c++")) for source in cuda_sources()]
    units += engine("fibers", ["-O2"])
    libraries = [f"-L{root / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", "-lpthread"]
    return build_library(units, libraries)


@functools.cache
def load_emulated() -> ctypes.CDLL:
    """Loads the emulated ops into this process, once; returns the library's handle."""
    import torch

    path = emulated_library()
    torch.ops.load_library(str(path))
    return ctypes.CDLL(str(path))


def set_schedule(seed: int) -> None:
    """Chooses the order in which the emulated threads and blocks run."""
    load_emulated().bodyreg_emulator_seed(ctypes.c_uint64(seed))


def _cache() -> Path:
    folder = Path(tempfile.gettempdir()) / f"bodyreg-native-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


@functools.cache
def _common_hash() -> str:
    """A hash of the compiler and of every header a unit may include."""
    digest = hashlib.sha256(_run([CXX, "--version"]).encode())
    for header in sorted(CSRC.rglob("*.h")):
        digest.update(str(header).encode() + header.read_bytes())
    return digest.hexdigest()


def _object(unit: Unit) -> Path:
    command = [CXX, *FLAGS, *unit.flags, "-c", str(unit.source)]
    digest = hashlib.sha256(_common_hash().encode() + "\0".join(command).encode())
    digest.update(unit.source.read_bytes())
    return _make(f"{unit.source.stem}-{digest.hexdigest()[:20]}.o", command)


def _compile(units: Iterable[Unit]) -> list[Path]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(_object, units))


def _link(objects: Sequence[Path], flags: Sequence[str], name: str) -> Path:
    command = [CXX, *map(str, objects), *flags, "-lpthread"]
    digest = hashlib.sha256("\0".join(command).encode()).hexdigest()[:20]
    return _make(f"{digest}-{name}", command)


def _make(name: str, command: Sequence[str]) -> Path:
    """The cached result of a command that takes ``-o``; made beside its name and moved there."""
    target = _cache() / name
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=_cache()) as folder:
                made = Path(folder) / name
                _run([*command, "-o", str(made)])
                made.replace(target)
    return target


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
