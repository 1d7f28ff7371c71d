"""Resources of a multiprocessor that every kernel needs, as reported by ptxas.

``python -m tests.native.resources`` rewrites budget.json with what it measures.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.native.build import CSRC, cuda_sources

ARCHS = (80, 90)
BUDGET = Path(__file__).with_name("budget.json")
FLAGS = "-std=c++17 -O3 -lineinfo -Werror all-warnings -Xcompiler -Wall,-Wextra".split()

_KERNEL = re.compile(r"Compiling entry function '\S+' for '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


@dataclass(frozen=True)
class Resources:
    """Per thread: registers, bytes of local memory, and the bytes that spilled registers move."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int


def nvcc() -> str | None:
    """The compiler, or None where there is none."""
    return shutil.which("nvcc")


def measure() -> dict[str, dict[str, Resources]]:
    """Compiles every kernel file for every arch: {"sm_90": {kernel: resources}}.

    Raises:
        RuntimeError: the compiler failed or warned; the message is its output.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        reports = list(pool.map(_compile, cuda_sources()))
    measured: dict[str, dict[str, Resources]] = {f"sm_{arch}": {} for arch in ARCHS}
    for report in reports:
        for arch, kernels in parse_report(report).items():
            measured[arch].update(kernels)
    return measured


def parse_report(report: str) -> dict[str, dict[str, Resources]]:
    """ptxas -v's lines, by arch and kernel."""
    demangled = subprocess.run(["c++filt"], input=report, capture_output=True, text=True).stdout
    kernels: dict[str, dict[str, Resources]] = {}
    name, arch, stack = "", "", (0, 0, 0)
    for mangled, line in zip(report.splitlines(), demangled.splitlines(), strict=True):
        if found := _KERNEL.search(mangled):
            arch = found.group(1)
            name = re.search(r"(\w+(<[^>]*>)?)\(bodyreg", line).group(1)
        elif found := _STACK.search(line):
            stack = tuple(map(int, found.groups()))
        elif found := _REGISTERS.search(line):
            kernels.setdefault(arch, {})[name] = Resources(int(found.group(1)), *stack)
    return kernels


def _compile(source: Path) -> str:
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHS]
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc(), *FLAGS, *targets, "-Xptxas", "-v"]
        command += ["-c", str(source), "-o", f"{folder}/out.o"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def budget() -> dict[str, dict[str, Resources]]:
    """The stored budget, in the form of `measure`."""
    stored = json.loads(BUDGET.read_text())
    return {
        arch: {name: Resources(**numbers) for name, numbers in kernels.items()}
        for arch, kernels in stored.items()
    }


def _write() -> None:
    # Registers are allocated in units of eight, so budgets are multiples of eight.
    stored = {
        arch: {
            name: {**asdict(taken), "registers": -(-taken.registers // 8) * 8}
            for name, taken in sorted(kernels.items())
        }
        for arch, kernels in measure().items()
    }
    BUDGET.write_text(json.dumps(stored, indent=2) + "\n")
    print(f"{CSRC}: {sum(map(len, stored.values()))} kernels, written to {BUDGET}")


if __name__ == "__main__":
    _write()
