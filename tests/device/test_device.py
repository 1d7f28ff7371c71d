"""Rung 7: what only a GPU can show. The tests of tests/ops run there too, as `-m rung7`.

Reference: the same op on the same GPU, eagerly, on the default stream; bits must be equal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bodyreg import _C, ops
from tests.ops import cases
from tests.ops.cases import FORMS, Case

pytestmark = [
    pytest.mark.rung7,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.skipif(not _C.build_info()["cuda_archs"], reason="bodyreg was built without CUDA"),
]

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 20


def on_device(form: str, people: int = 257, points: int = 120) -> Case:
    return FORMS[form](people, points).to(torch.float32, "cuda")


def assert_same_bits(ours: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for a, b in zip(ours, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("form", FORMS)
def test_repeats_give_the_same_bits(form):
    case = on_device(form, 1025, 999)
    expected = case.results(ops)
    for _ in range(REPEATS):
        assert_same_bits(case.results(ops), expected)


@pytest.mark.parametrize("form", FORMS)
def test_side_stream(form):
    """Inputs that are late on a side stream: a kernel on any other stream would read nothing."""
    case = on_device(form)
    expected = case.results(ops)
    late = case
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        empty = [torch.zeros_like(a) if isinstance(a, torch.Tensor) else a for a in case.arguments]
        torch.cuda._sleep(50_000_000)
        for i, argument in enumerate(case.arguments):
            if isinstance(argument, torch.Tensor):
                late = late.with_argument(i, empty[i].copy_(argument))
        ours = late.results(ops)
    side.synchronize()
    assert_same_bits(ours, expected)


@pytest.mark.parametrize("form", FORMS)
def test_cuda_graph(form):
    """A captured forward and backward follows its inputs at every replay."""
    case = on_device(form)
    first = case.differentiable[0]
    leaf = case.arguments[first].clone().requires_grad_()
    captured = case.with_argument(first, leaf)

    def forward_and_backward() -> list[torch.Tensor]:
        outputs = captured.call(ops)
        loss = sum(x.square().sum() for x in outputs)
        return [*(x.detach() for x in outputs), *torch.autograd.grad(loss, leaf)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        forward_and_backward()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = forward_and_backward()
    for factor in (1.0, 0.5, 2.0):
        with torch.no_grad():
            leaf.copy_(factor * case.arguments[first])
        graph.replay()
        assert_same_bits(results, forward_and_backward())


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="only one CUDA device")
@pytest.mark.parametrize("form", FORMS)
def test_second_device(form):
    """The tensors' device counts, not the current one."""
    case = FORMS[form](33, 65).to(torch.float32)
    ours = case.to(torch.float32, "cuda:1").results(ops)
    assert all(x.device.index == 1 for x in ours)
    expected = case.to(torch.float32, "cuda:0").results(ops)
    assert_same_bits([x.cpu() for x in ours], [x.cpu() for x in expected])


def test_more_than_two_to_the_31_numbers():
    people, points = 30_000, 24_000  # 2.16e9 coordinates
    if torch.cuda.mem_get_info()[0] < 12 * 2**30:
        pytest.skip("less than 12 GiB of free memory on the device")
    case = cases.lbs_case(1, points).to(torch.float32, "cuda")
    transforms = torch.randn(people, *case.arguments[0].shape[1:], device="cuda")
    _, ids, anchors = case.arguments
    last = ops.lbs(transforms, ids, anchors)[-3:]
    assert torch.equal(last, ops.lbs(transforms[-3:], ids, anchors))


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck", "initcheck"])
def test_compute_sanitizer(tool):
    program = shutil.which("compute-sanitizer")
    if program is None:
        pytest.skip("compute-sanitizer is not on PATH")
    # Torch's cache would hide an access past the end of a tensor.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    command = [program, "--tool", tool, "--error-exitcode", "9", "--kernel-regex", "kns=bodyreg"]
    command += [sys.executable, "-m", "tests.device.exercise"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
