"""The benchmark's peers solve the very problem of `fit`: they follow the composed solver.

Reference: `registration.solver.fit` on plain torch, float64.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks import peers
from benchmarks.crowd import crowd
from bodyreg import Body, RegistrationConfig, reference
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration import schedule, solver
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.starts import cold_starts

WAYS = {
    "autograd": {},
    "by hand": {"gradient": "by hand"},
    "whole mesh, autograd": {"whole_mesh": True},
    "whole mesh, by hand": {"gradient": "by hand", "whole_mesh": True},
}


def problem(preset: str, **changes) -> tuple[torch.Tensor, Rig, Evidence, Plan]:
    body, config = Body.default(), RegistrationConfig.preset(preset, **changes)
    people = crowd(body, 5, seed=3)
    people = people.select([4, 1, 2])
    device, dtype = torch.device("cpu"), torch.float64
    return (
        cold_starts(len(people), config, device, dtype),
        make_rig(body, people.keypoint_name, device, dtype),
        gather(people, config, device, dtype),
        schedule.cold(config),
    )


@pytest.mark.parametrize("way", WAYS)
def test_paper(way):
    arguments = problem("paper", iterations=15)
    expected, loss, _ = solver.fit(reference, *arguments)
    parameters, ours = peers.fit(*arguments, **WAYS[way])
    torch.testing.assert_close(parameters, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours, loss, rtol=1e-9, atol=0)


@pytest.mark.parametrize("way", ["autograd", "whole mesh, autograd"])
def test_accurate(way):
    arguments = problem("accurate", iterations=12)
    expected, loss, _ = solver.fit(reference, *arguments)
    parameters, ours = peers.fit(*arguments, **WAYS[way])
    torch.testing.assert_close(parameters, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours, loss, rtol=1e-9, atol=0)


def test_a_gradient_by_hand_refuses_terms_it_does_not_have():
    with pytest.raises(ValueError, match="by hand"):
        peers.fit(*problem("accurate", iterations=2), gradient="by hand")
