"""Few people at a time, as a viewer, a notebook or a video has them, on one thread.

`bodyreg.register` does what surrounds the kernel too: it checks observations, converts pixels and
makes a record of fits.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from benchmarks import registrations as made
from benchmarks.table import FIT
from bodyreg import Body, RegistrationConfig, ops, register

REGISTER = "bodyreg.register"
CROWDS = 3
"""Crowds that a row's calls go round."""


@pytest.mark.parametrize("row", [FIT, REGISTER])
@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("preset", ["paper", "accurate"])
def bench_few(preset, count, row, measure_fit, device):
    body, config = Body.default(), RegistrationConfig.preset(preset)
    crowds = [made.people(count, 120, seed) for seed in range(CROWDS)]
    turn = itertools.cycle(crowds)
    rows = {FIT: ops.fit, REGISTER: lambda *_: register(body, next(turn), config, device=device)}
    before = torch.get_num_threads()

    def fit(*arguments) -> None:
        # Set here, because all threads measure the machine's ceilings.
        torch.set_num_threads(1)
        rows[row](*arguments)

    people = "1 person" if count == 1 else f"{count} people"
    try:
        measure_fit(
            f"{people}, preset {preset}, one thread",
            row,
            [FIT],
            fit,
            [made.problem(crowd, config, device) for crowd in crowds],
            rounds=200,
        )
    finally:
        torch.set_num_threads(before)
