"""The emulator: it runs sound kernels correctly, and finds every fault in faults.cu.

Reference: what each kernel of faults.cu would compute on a device, known in closed form.
"""

import math
import subprocess
from pathlib import Path

import pytest

from tests.native import build

FAULTS = Path(__file__).with_name("faults.cu")
SEEDS = range(3)


def faults(engine: str, flags: list[str]) -> Path:
    unit = build.Unit(FAULTS, ("-O1", "-x", "c++", *flags))
    return build.build_program([unit, *build.engine(engine, ["-O1", *flags])], flags)


@pytest.fixture(scope="module")
def fibers() -> Path:
    return faults("fibers", [])


@pytest.fixture(scope="module")
def fibers_sanitized() -> Path:
    return faults("fibers", build.ADDRESS)


@pytest.fixture(scope="module")
def threads_sanitized() -> Path:
    return faults("threads", build.THREAD)


def run(program: Path, kernel: str, seed: int = 0) -> subprocess.CompletedProcess:
    return subprocess.run([program, kernel, str(seed)], capture_output=True, text=True, timeout=120)


def numbers(done: subprocess.CompletedProcess) -> list[float]:
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def line_of(text: str) -> int:
    lines = FAULTS.read_text().splitlines()
    (line,) = [i for i, content in enumerate(lines, start=1) if text in content]
    return line


@pytest.mark.rung3
@pytest.mark.parametrize("seed", SEEDS)
def test_sound_kernels(fibers, seed):
    assert numbers(run(fibers, "sum", seed)) == [63 * 64 / 2] * 64
    assert numbers(run(fibers, "warp_barrier", seed)) == [1.0] * 64


@pytest.mark.rung3
@pytest.mark.parametrize("seed", SEEDS)
def test_missing_barrier_gives_a_wrong_result(fibers, seed):
    assert numbers(run(fibers, "missing_barrier", seed)) != [1.0] * 64


@pytest.mark.rung3
def test_unwritten_shared_memory_is_nan(fibers):
    out = numbers(run(fibers, "unwritten"))
    assert [i for i, value in enumerate(out) if math.isnan(value)] == [5]


@pytest.mark.rung3
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("divergent_barrier", "divergent barrier in block"),
        ("divergent_barrier", "waits in __syncthreads at"),
        ("divergent_barrier", "has ended"),
        ("two_barriers", "waits in __syncthreads at"),
        ("absent_lane", "waits in __shfl_xor_sync at"),
        ("too_many_threads", "block (1025, 1, 1) is empty or has more than 1024 threads"),
        ("too_much_shared", "65536 bytes of shared memory exceed the kernel's limit of 49152"),
    ],
)
def test_message(fibers, kernel, message):
    done = run(fibers, kernel)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.rung4
@pytest.mark.parametrize(
    ("kernel", "what", "where"),
    [
        ("overrun", "heap-buffer-overflow", "shared[threadIdx.x + 1] = 1.0f;"),
        ("global_overrun", "heap-buffer-overflow", "out[threadIdx.x + 1] = 1.0f; }"),
    ],
)
def test_address_sanitizer_names_the_line(fibers_sanitized, kernel, what, where):
    done = run(fibers_sanitized, kernel)
    assert done.returncode != 0
    assert what in done.stderr
    assert f"faults.cu:{line_of(where)}" in done.stderr


@pytest.mark.rung4
def test_undefined_sanitizer_sees_a_misaligned_vector(fibers_sanitized):
    done = run(fibers_sanitized, "misaligned")
    assert done.returncode != 0
    assert "misaligned address" in done.stderr


@pytest.mark.rung4
@pytest.mark.parametrize("kernel", ["sum", "warp_barrier", "unwritten"])
def test_sanitizers_accept_sound_kernels(fibers_sanitized, threads_sanitized, kernel):
    for program in (fibers_sanitized, threads_sanitized):
        done = run(program, kernel)
        assert done.returncode == 0, done.stderr


@pytest.mark.rung4
@pytest.mark.parametrize(
    ("kernel", "where"),
    [
        ("missing_barrier", "out[threadIdx.x] = shared[left];"),
        ("shuffle_as_barrier", "out[threadIdx.x] = lane_sum(1.0f) * shared[threadIdx.x ^ 1u];"),
        ("race", "out[0] = static_cast<float>(threadIdx.x);"),
        ("race_between_blocks", "if (threadIdx.x == 3) out[7] = 1.0f;"),
    ],
)
def test_thread_sanitizer_names_the_race(threads_sanitized, kernel, where):
    done = run(threads_sanitized, kernel)
    assert done.returncode != 0
    assert "data race" in done.stderr
    assert f"faults.cu:{line_of(where)}" in done.stderr
