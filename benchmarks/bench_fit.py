"""Whole registrations: from ragged evidence in frame units to parameters, preparation included.

The peers are those of `benchmarks.peers`; `bodyreg.register` is everything round the op too, from
observations in pixels to a record of fits.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from benchmarks import peers
from benchmarks import registrations as made
from benchmarks.table import FIT
from bodyreg import Body, RegistrationConfig, ops, register
from bodyreg.registration import schedule, solver

COMPOSED = "composed of bodyreg's ops"
AUTOGRAD = "plain torch"
FASTEST = "plain torch, gradient by hand, torch.compile"
PEERS: dict[str, dict] = {
    AUTOGRAD: {},
    "plain torch, gradient by hand": {"gradient": "by hand"},
    FASTEST: {"gradient": "by hand", "compiled": True},
}
MESH = "plain torch, whole mesh"
BLEND = "plain torch, whole mesh by a matrix per vertex, 30 iterations"
MESHES: dict[str, dict] = {
    MESH: {"skin": "mesh"},
    f"{MESH}, gradient by hand": {"skin": "mesh", "gradient": "by hand"},
    BLEND: {"skin": "blend"},
}
STARTS: dict[str, dict] = {AUTOGRAD: {}, "plain torch, torch.compile": {"compiled": True}}
REGISTER = "bodyreg.register, from pixels to fits"

SETS = 3
"""Crowds that a row's calls go round."""
SEED = 4711
"""Of people that nothing was chosen by."""
MOST_LM = 40


def paper(**changes) -> RegistrationConfig:
    return RegistrationConfig.preset("paper", **changes)


def way(row: str) -> Callable:
    """What a row calls with the arguments of `ops.fit`."""
    if row == FIT:
        return ops.fit
    if row == COMPOSED:
        return lambda *arguments: solver.fit(ops, *arguments)
    options = (PEERS | MESHES | STARTS)[row]
    return lambda *arguments: peers.fit(*arguments, **options)


def problems(count: int, points: int, config: RegistrationConfig, device: str) -> list:
    return [made.problem(made.people(count, points, seed), config, device) for seed in range(SETS)]


@pytest.mark.parametrize("row", [FIT, REGISTER, COMPOSED, *PEERS])
@pytest.mark.parametrize("count", [64, 10])
def bench_adam(count, row, measure_fit, device):
    measure_fit(
        f"adam, 300 iterations, {count} people, 120 points",
        row,
        (AUTOGRAD, FASTEST),
        _register(count, device) if row == REGISTER else way(row),
        problems(count, 120, paper(), device),
        rounds=50 if row in (FIT, REGISTER) else 5,
    )


def _register(count: int, device: str) -> Callable:
    body = Body.default()
    crowds = itertools.cycle([made.people(count, 120, seed) for seed in range(SETS)])
    return lambda *_: register(body, next(crowds), paper(), device=device)


@pytest.mark.parametrize("row", [FIT, *MESHES])
def bench_whole_mesh(row, measure_fit, device):
    config = paper(iterations=30) if row == BLEND else paper()
    measure_fit(
        f"adam, 300 iterations, 64 people, 120 points of {len(Body.default().vertices):,} vertices",
        row,
        (f"{MESH}, gradient by hand", BLEND),
        way(row),
        problems(64, 120, config, device),
        rounds=50 if row == FIT else 5,
    )


@pytest.mark.parametrize("iterations", [300, 1500])
@pytest.mark.parametrize("points", [120, 2000])
def bench_points(points, iterations, measure_fit, device):
    """Two numbers of iterations; the difference of their times is without preparation."""
    few = f"{points:,} points, preparation and 300 iterations"
    many = f"{points:,} points, 1,200 iterations"
    measure_fit(
        "adam by number of points, 256 people, preparation apart",
        few if iterations == 300 else many,
        ["120 points, 1,200 iterations"],
        ops.fit,
        problems(256, points, paper(iterations=iterations), device),
        rounds=15,
        less=few if iterations == 1500 else None,
    )


@pytest.mark.parametrize("row", ["adam, 300 iterations", "lm"])
def bench_lm(row, measure_fit, device):
    """As many steps of lm as bring the people's mean loss to that of 300 iterations of adam."""
    few, sets = 1, problems(256, 120, paper(), device)
    goal = [float(ops.fit(*arguments)[1].mean()) for arguments in sets]
    loss = goal
    while row == "lm":
        sets = problems(256, 120, paper(solver="lm", lm_iterations=few), device)
        loss = [float(ops.fit(*arguments)[1].mean()) for arguments in sets]
        if all(ours <= theirs for ours, theirs in zip(loss, goal, strict=True)):
            break
        few += 1
        if few > MOST_LM:
            pytest.fail(f"{MOST_LM} iterations of lm end above 300 of adam: {loss}, {goal}")
    measure_fit(
        "to the loss of adam's 300 iterations, 256 people, 120 points",
        row if row != "lm" else "lm, after a few of adam",
        ["adam, 300 iterations"],
        ops.fit,
        sets,
        rounds=15,
        to_a_goal=True,
        result=("iterations, mean loss", f"{_iterations(sets[0])}, {sum(loss) / len(loss):.5f}"),
    )


def _iterations(problem: made.Problem) -> str:
    phases = schedule.phases(problem[3])
    return " + ".join(f"{count} {('adam', 'lm')[solver]}" for solver, count, _ in phases)


@pytest.mark.parametrize("row", [FIT, COMPOSED, *STARTS])
def bench_accurate(row, measure_fit, device):
    """People with known truth: the table shows that time is not saved at the cost of accuracy."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    observations, truth = made.made_people(64, SEED)
    arguments = made.problem(observations, RegistrationConfig(), device)
    score = made.vertex_error(way(row)(*arguments)[0], observations, truth)
    measure_fit(
        "preset accurate: 4 starts, 192 iterations, the best another 128; 64 people",
        row,
        STARTS,
        way(row),
        [arguments],
        rounds=15 if row == FIT else 5,
        result=("vertices, mm", f"{score:.2f}"),
    )


@pytest.mark.parametrize("camera", ["weak", "perspective"])
def bench_camera(camera, measure_fit, device):
    """Focal lengths of four times half a frame; a weak camera ignores them."""
    people = made.people(256)
    near = replace(people, focal=4 * people.frame[:, 2])
    measure_fit(
        "preset accurate by camera, 256 people, 120 points",
        camera,
        ["weak"],
        ops.fit,
        [made.problem(near, RegistrationConfig(camera=camera), device)],
        rounds=15,
    )


@pytest.mark.parametrize("count", [100, 1_000, 10_000, 100_000])
def bench_growth(count, measure_fit, device):
    measure_fit(
        "adam, 300 iterations, by number of people",
        f"{count:,} people",
        ["1,000 people"],
        ops.fit,
        [made.problem(made.people(count), paper(), device)],
    )


@pytest.mark.parametrize("threads", [1, 2])
def bench_threads(threads, measure_fit, device):
    if device != "cpu":
        pytest.skip("threads of the CPU")
    if threads > (os.cpu_count() or 1):
        pytest.skip(f"fewer than {threads} cores")
    before = torch.get_num_threads()

    def fit(*arguments) -> None:
        # Here, so that the machine is named and its ceilings are measured with all its threads.
        torch.set_num_threads(threads)
        ops.fit(*arguments)

    try:
        measure_fit(
            "adam, 300 iterations, 10,000 people, by number of threads",
            f"{threads} thread{'s' * (threads > 1)}",
            ["1 thread"],
            fit,
            [made.problem(made.people(10_000), paper(), device)],
        )
    finally:
        torch.set_num_threads(before)


def bench_data_set(measure_fit, device):
    """As many people as DensePose-COCO's training set has."""
    if device != "cuda":
        pytest.skip("on a CPU the rows of growth say it")
    measure_fit(
        "adam, 300 iterations, 39,210 people, 120 points",
        FIT,
        [],
        ops.fit,
        [made.problem(made.people(39_210), paper(), device)],
    )
