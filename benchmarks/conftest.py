"""Fixtures that measure a row of a table, on a CPU or a GPU."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from benchmarks.ceilings import ceilings, machine
from benchmarks.registrations import person_iterations
from benchmarks.roofline import operations
from benchmarks.table import PEER

CACHE = 64 * 2**20  # bytes: the rotated input sets are larger than this
MOST_SETS = 32


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.fixture
def measure(benchmark: Any, device: str) -> Callable[..., None]:
    """Times one row of a table: a function on input sets, rotated so that caches stay cold."""

    def run(
        group: str,
        row: str,
        function: Callable[..., Any],
        inputs: Callable[[int], Sequence[Any]],
        *,
        bytes_moved: float,
        flops: float,
        against: Sequence[str] = (PEER,),
    ) -> None:
        """Measures.

        Args:
            group: Title of the table, with its sizes.
            row: Name of the row.
            function: Called with one input set.
            inputs: Makes an input set from a seed.
            bytes_moved: Least bytes that a call must read and write.
            flops: Least operations of a call; a multiply-add counts as two.
            against: Rows to which ratios are reported.
        """
        count = min(MOST_SETS, max(2, int(CACHE / bytes_moved) + 1))
        sets = [inputs(seed) for seed in range(count)]
        benchmark.group = f"{group} [{device}]"
        benchmark.extra_info.update(
            row=row,
            device=device,
            machine=machine(device),
            bytes=bytes_moved,
            flops=flops,
            against=list(against),
            **ceilings(device),
        )
        if device == "cuda":
            _time_graph(benchmark, function, sets)
        else:
            _time_calls(benchmark, function, sets)

    return run


@pytest.fixture
def measure_fit(benchmark: Any, device: str) -> Callable[..., None]:
    """Times one row of a table of whole registrations: from ragged evidence to parameters."""

    def run(
        group: str,
        row: str,
        against: Sequence[str],
        function: Callable[..., Any],
        problems: Sequence[Any],
        *,
        rounds: int = 5,
        less: str | None = None,
        to_a_goal: bool = False,
        result: tuple[str, str] | None = None,
    ) -> None:
        """Measures.

        Args:
            group: Title of the table, with its sizes.
            row: Name of the row.
            against: Rows to which ratios are reported.
            function: Called with the arguments of `ops.fit`.
            problems: Input sets of equal size, used in turn.
            rounds: Number of rounds.
            less: A row; its time and its iterations are subtracted from this row's.
            to_a_goal: Whether the rows end at the same loss after different numbers of iterations;
                then ratios are those of people per second.
            result: Title and text of a column about the results.
        """
        start, rig, evidence, plan = problems[0]
        iterations = None if to_a_goal else person_iterations(problems[0])
        benchmark.group = f"{group} [{device}]"
        benchmark.extra_info.update(
            row=row,
            device=device,
            machine=machine(device),
            against=list(against),
            calls=1,
            people=len(start),
            person_iterations=iterations,
            flops=0 if to_a_goal else iterations * operations(rig, evidence, plan),
            less=less,
            result=result,
            **ceilings(device),
        )
        rotation = itertools.cycle(problems)

        def call() -> None:
            function(*next(rotation))
            if device == "cuda":
                torch.cuda.synchronize()

        benchmark.pedantic(call, rounds=rounds, warmup_rounds=1)

    return run


def _time_calls(benchmark: Any, function: Callable[..., Any], sets: list) -> None:
    """One round is one call."""
    rotation = itertools.cycle(sets)
    for _ in range(5):
        function(*next(rotation))
    benchmark.extra_info["calls"] = 1
    benchmark.pedantic(lambda: function(*next(rotation)), rounds=_rounds(function, sets))


def _rounds(function: Callable[..., Any], sets: list) -> int:
    """As many rounds as take two seconds, between 10 and 1,000."""
    start = time.perf_counter()
    for inputs in sets[:3]:
        function(*inputs)
    each = (time.perf_counter() - start) / len(sets[:3])
    return int(min(1000, max(10, 2 / each)))


def _time_graph(benchmark: Any, function: Callable[..., Any], sets: list) -> None:
    """One round replays a CUDA graph of one call per input set, without Python's launch cost."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for inputs in sets:
            function(*inputs)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for inputs in sets:
            function(*inputs)

    def replay() -> None:
        graph.replay()
        torch.cuda.synchronize()

    benchmark.extra_info["calls"] = len(sets)
    benchmark.pedantic(replay, rounds=50, warmup_rounds=5)


def backward(outputs: Any, leaves: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]):
    """Gradients of the leaves: the backward half of "forward + backward"."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return torch.autograd.grad(outputs, leaves, cotangents)
