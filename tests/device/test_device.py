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
from bodyreg.body import AXIS_ANGLE
from tests.ops import cases, fit_cases, flow_cases, raster_cases
from tests.ops.cases import FORMS, Case, assert_same_bits
from tests.ops.fit_cases import Problem
from tests.ops.test_fit_bits import fits

pytestmark = [
    pytest.mark.rung7,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.skipif(not _C.build_info()["cuda_archs"], reason="bodyreg was built without CUDA"),
]

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 20


def on_device(form: str, people: int = 257, points: int = 120) -> Case:
    return FORMS[form](people, points).to(torch.float32, "cuda")


@pytest.mark.parametrize("form", FORMS)
def test_repeats_give_the_same_bits(form):
    case = on_device(form, 1025, 999)
    expected = case.results(ops)
    for _ in range(REPEATS):
        assert_same_bits(case.results(ops), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_repeated_pictures_have_the_same_bits(dtype):
    for size in (3, 60):
        vertices, faces = raster_cases.soup(33, 3000, 257, 255, size=size)
        vertices, faces = vertices.to("cuda", dtype), faces.cuda()
        expected = ops.raster(vertices, faces, 257, 255)
        for _ in range(REPEATS):
            assert_same_bits([*ops.raster(vertices, faces, 257, 255)], [*expected])


def test_a_captured_picture_follows_its_vertices():
    vertices, faces = (x.cuda() for x in raster_cases.soup(3, 300, 57, 55))
    ops.raster(vertices, faces, 57, 55)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = [*ops.raster(vertices, faces, 57, 55)]
    for _ in range(3):
        vertices.mul_(0.9)
        graph.replay()
        assert_same_bits(results, [*ops.raster(vertices, faces, 57, 55)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_repeated_flows_have_the_same_bits(dtype):
    for perspective in (False, True):
        case = flow_cases.loose(9, 900, (129, 127), (127, 255), perspective=perspective)
        case = case.to(dtype, "cuda")
        expected = case.call(ops)
        for _ in range(REPEATS):
            assert_same_bits(case.call(ops), expected)


def test_a_captured_flow_follows_its_vertices():
    case = flow_cases.loose(3, 300, (57, 55), (55, 57)).to(torch.float32, "cuda")
    case.call(ops)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = case.call(ops)
    for _ in range(3):
        case.vertices.mul_(0.9)
        graph.replay()
        assert_same_bits(results, case.call(ops))


def fit_problem(people: int, device: str = "cuda") -> Problem:
    """Few and many points, two phases, refreshes."""
    rules = fit_cases.plan(*[fit_cases.every_term()] * 9, phases=(0, 5, 2, 0, 3, 1), refresh=4)
    counts = tuple(7 * b % 131 for b in range(people))
    return fit_cases.problem(counts)._replace(plan=rules).to(torch.float32, device)


def test_repeated_fits_have_the_same_bits():
    case = fit_problem(1025)
    expected = fits(case)
    for _ in range(REPEATS):
        assert_same_bits(fits(case), expected)


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


def test_fits_on_a_side_stream():
    case = fit_problem(33)
    expected = fits(case)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        late = case._replace(parameters=torch.zeros_like(case.parameters))
        torch.cuda._sleep(50_000_000)
        late.parameters.copy_(case.parameters)
        ours = fits(late)
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


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="only one CUDA device")
def test_fits_on_the_second_device():
    ours = fits(fit_problem(33, "cuda:1"))
    assert all(x.device.index == 1 for x in ours)
    assert_same_bits([x.cpu() for x in ours], [x.cpu() for x in fits(fit_problem(33, "cuda:0"))])


def test_fits_with_more_than_two_to_the_31_numbers():
    """The last of very many starts is read where it lies, and of more people than blocks."""
    people, starts = 20_000, 1000  # 2.16e9 parameters
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("less than 24 GiB of free memory on the device")
    rules = fit_cases.plan(fit_cases.row(joint=1.0), phases=(0, 0, 1))
    case = fit_cases.problem((0,) * people, 0)._replace(plan=rules).to(torch.float32, "cuda")
    start = torch.ones(people, starts, AXIS_ANGLE.count, device="cuda")
    start[:, -1] = 0.5  # the pose of least cost
    parameters, _, _ = ops.fit(start, *case[1:])
    assert torch.equal(parameters, start[:, -1])


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
