"""Rung 6. `fit` inside torch: opcheck, torch.compile, autocast.

Reference: the op itself, called plainly.
"""

from __future__ import annotations

import pytest
import torch

from bodyreg import ops
from bodyreg.ops.fit import Evidence, Rig, _problem
from tests.ops.fit_cases import Problem, every_term, on_one_branch, plan, problem

pytestmark = pytest.mark.rung6


def small(dtype: torch.dtype, device: str) -> Problem:
    return problem((5, 0, 3))._replace(plan=plan(*[every_term()] * 3)).to(dtype, device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(built_backend, dtype):
    case = small(dtype, built_backend.device)
    _, rig, evidence, rules = case
    start, last = (
        case.parameters[:, None].contiguous(),
        rules._replace(settings=rules.settings[:1].contiguous()),
    )
    arguments = (start, *_problem(rig, evidence, rules), list(rules.phases), 1)
    torch.library.opcheck(built_backend.library.fit.default, arguments)
    arguments = (case.parameters, *_problem(rig, evidence, last))
    torch.library.opcheck(built_backend.library.fit_gradient.default, arguments)
    near = on_one_branch(case._replace(plan=last))
    arguments = (near.parameters, *_problem(*near[1:]))
    torch.library.opcheck(built_backend.library.fit_variance.default, arguments)


def test_compile_fullgraph(built_backend):
    case = small(torch.float64, built_backend.device)

    def function(start):
        parameters, loss, _ = ops.fit(2 * start, *case[1:])
        return parameters - start[:, 0], loss.sum()

    start = 0.5 * case.parameters[:, None].contiguous()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(compiled(start), function(start), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_autocast_casts_up(built_backend, half):
    case = small(torch.float32, built_backend.device)

    def halved(record):
        return [x.to(half) if torch.is_tensor(x) and x.is_floating_point() else x for x in record]

    rig, evidence = Rig(*halved(case.rig)), Evidence(*halved(case.evidence))
    start = case.parameters[:, None].to(half)
    with torch.autocast(built_backend.device, dtype=half):
        parameters, loss, terms = ops.fit(start, rig, evidence, case.plan)
    single = Problem(start.float()[:, 0], rig, evidence, case.plan).to(torch.float32)
    expected = ops.fit(start.float(), *single.to(torch.float32, built_backend.device)[1:])
    for ours, theirs in zip((parameters, loss, terms), expected, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)
