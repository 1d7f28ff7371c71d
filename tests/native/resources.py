"""Resources of a multiprocessor that every kernel needs, as ptxas reported to the build.

``python -m tests.native.resources`` rewrites budget.json with what the last build needs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.native.build import CSRC, cuda_sources

BUILD = CSRC.parent / "build" / f"native-{sys.implementation.cache_tag}"
BUDGET = Path(__file__).with_name("budget.json")
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


def measure() -> dict[str, dict[str, Resources]]:
    """What the build of the native library has reported: {"sm_90": {kernel: resources}}.

    Raises:
        FileNotFoundError: this copy was not built here, or without CUDA.
    """
    measured: dict[str, dict[str, Resources]] = {}
    for source in cuda_sources():
        name = "_".join(source.relative_to(CSRC).with_suffix("").parts)
        for arch, kernels in parse_report((BUILD / f"{name}_cu.o.txt").read_text()).items():
            measured.setdefault(arch, {}).update(kernels)
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
