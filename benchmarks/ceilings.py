"""Ceilings of the machine: bytes and operations per second."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch


@functools.cache
def ceilings(device: str) -> dict[str, float]:
    """Copy bandwidth (bytes read and written per second) and float32 operations per second.

    A multiply-add counts as two operations. On a CPU they are measured in a loop of multiply-adds,
    on a GPU in a large matrix product of the vendor's library. For a GPU there is also the time of
    an empty kernel in seconds, from the launch to the end of the wait: no call is shorter.
    """
    source = torch.randn(64 * 2**20 // 4, device=device)
    target = torch.empty_like(source)
    copy = best(lambda: target.copy_(source), device)
    limits = {"bytes_per_s": 2 * source.numel() * 4 / copy}
    if device == "cpu":
        return limits | {"flops_per_s": fma_peak(torch.get_num_threads())}
    a, b = torch.randn(2, 2048, 2048, device=device)
    product = best(lambda: a @ b, device)
    launch = best(lambda: torch.cuda._sleep(0), device, 100)
    return limits | {"flops_per_s": 2 * 2048**3 / product, "launch_s": launch}


def fma_peak(threads: int) -> float:
    """The CPU's float32 operations per second, from a program compiled for this machine."""
    source = Path(__file__).with_name("fma_peak.cpp")
    flags = "-O3 -march=native -ffp-contract=fast -pthread".split()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/fma_peak"
        subprocess.run(
            [os.environ.get("CXX", "g++"), *flags, str(source), "-o", program], check=True
        )
        done = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def best(function: Callable[[], object], device: str, repeats: int = 10) -> float:
    """The shortest time of a call, seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def machine(device: str) -> str:
    """Name of the machine for result files: processor or GPU, and threads."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = f"{_processor()} {torch.get_num_threads()} threads"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*: (.*)", info).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()
