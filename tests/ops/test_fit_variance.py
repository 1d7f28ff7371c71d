"""`fit_variance`. Reference: the dense inverse of lm_reference.py, with Jacobians by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import AXIS_ANGLE
from bodyreg.data import Observations
from bodyreg.ops.fit import Evidence, Plan, Rig
from tests.ops import lm_reference
from tests.ops.cases import assert_same_bits
from tests.ops.fit_cases import every_term, in_perspective, on_one_branch, plan, problem, row
from tests.ops.test_fit_lm import ALL_TERMS, LM, explored, make_observations, make_problem, moved

KINDS = [
    ("paper", {}, False),
    ("accurate", {}, False),
    ("accurate", {"six_numbers": False}, True),
    ("accurate", ALL_TERMS, False),
    ("paper", {"camera": "perspective"}, False),
    ("accurate", ALL_TERMS | {"camera": "perspective"}, False),
    ("accurate", {"scale_symmetry_weight": 0.0}, False),
]
PEOPLE = [0, 5, 17, 29]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Observations:
    return make_observations(tmp_path_factory.mktemp("demo"), 30, 120)


def ended(demo, preset, changes, mirrored=False) -> tuple[Tensor, Rig, Evidence, Plan]:
    """Parameters (4, 108), their problem, and a plan with the final weights."""
    case = make_problem(demo, preset, **changes).of(PEOPLE)
    p = AXIS_ANGLE.split(explored(case, 20)[:, 0])
    bends = 0.3 * torch.sin(torch.arange(3.0 * 23, dtype=torch.float64))
    p.pose[:, 1:] += bends.view(23, 3)
    p.pose[:, 0] = 0
    if mirrored:
        p.rotation[..., 2] *= -1
    rules = case.plan((LM, 0))
    rules = rules._replace(settings=rules.settings[-1:].contiguous())
    return AXIS_ANGLE.join(p), case.rig, case.evidence, rules


def found_on(backend, x: Tensor, *problem) -> tuple[Tensor, Tensor]:
    """Places and variances, on the CPU."""
    problem = (moved(record, backend.device) for record in problem)
    place, variance = ops.fit_variance(x.to(backend.device), *problem)
    return place.cpu(), variance.cpu()


@pytest.mark.parametrize(("preset", "changes", "mirrored"), KINDS)
def test_variances_are_those_of_a_dense_inverse(backend, demo, preset, changes, mirrored):
    case = x, rig, evidence, rules = ended(demo, preset, changes, mirrored)
    place, variance = found_on(backend, *case)
    expected = lm_reference.Step(rig, evidence, rules, x).variances()
    torch.testing.assert_close(place, expected[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(variance, expected[1], rtol=1e-9, atol=1e-12)
    assert (variance[:, 0] == 0).all()
    assert (variance[:, 1:] > 0).all()


@pytest.mark.parametrize("preset", ["paper", "accurate"])
def test_single_precision(backend, demo, preset):
    x, rig, evidence, rules = ended(demo, preset, {})
    expected = lm_reference.Step(rig, evidence, rules, x).variances()[1]
    single = make_problem(demo, preset, torch.float32).of(PEOPLE)
    _, ours = found_on(backend, x.float(), single.rig, single.evidence, rules)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-3, atol=1e-9)


@pytest.mark.rung2
def test_stronger_evidence_has_smaller_variances():
    """Twice the objective is half the variance; one more term never makes it larger."""
    case = on_one_branch(in_perspective(problem(seed=5))).select([0, 3, 5, 7])  # with evidence
    weights = {"dense": 1.0, "keypoint": 0.5, "prior": 0.1, "scale_level": 0.1, "upright": 0.1}

    def variance(**weights):
        return ops.fit_variance(*case[:3], plan(row(0.5, **weights)))[1][:, 1:]

    once, twice = variance(**weights), variance(**{n: 2 * w for n, w in weights.items()})
    torch.testing.assert_close(2 * twice, once, rtol=1e-2, atol=1e-6)
    fewer = {"prior": 0.1, "scale_level": 0.1, "upright": 0.1}
    assert (variance(**fewer, joint=1.0) <= variance(**fewer)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_person_does_not_depend_on_the_batch(backend, dtype):
    case = on_one_branch(in_perspective(problem()))._replace(plan=plan(every_term()))
    case = case.to(dtype, backend.device)
    together = ops.fit_variance(*case)
    for people in ([0], [8], [5, 4, 3], list(range(8, -1, -1))):
        own = ops.fit_variance(*case.select(people))
        assert_same_bits(own, [x[people] for x in together])
        assert all(x.isfinite().all() for x in own)


def test_it_says_what_it_refuses(backend):
    case = problem((5, 0)).to(torch.float32, backend.device)
    with pytest.raises(RuntimeError, match=r"^bodyreg\.fit_variance: settings: expected shape \(1"):
        ops.fit_variance(*case.with_plan(settings=case.plan.settings.repeat(2, 1)))


@pytest.mark.rung2
@pytest.mark.parametrize("preset", ["paper", "accurate"])
def test_threads_and_instruction_sets_change_no_bit(demo, preset, use_isa, set_threads):
    case = make_problem(demo, preset, torch.float32)
    x = explored(case, 20)[:, 0].contiguous()
    rules = case.plan((LM, 0))
    rules = rules._replace(settings=rules.settings[-1:].contiguous())
    results = []
    for isa in ("avx2", "avx512"):
        use_isa(isa)
        for count in (1, 3):
            set_threads(count)
            results.append(ops.fit_variance(x, case.rig, case.evidence, rules))
    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.rung2
def test_a_person_that_is_not_finite_changes_no_other():
    case = on_one_branch(in_perspective(problem()))
    expected = ops.fit_variance(*case)
    case.parameters[3] = torch.nan
    others = [0, 1, 2, 4, 5, 6, 7, 8]
    ours = ops.fit_variance(*case)
    assert ours[1][3, 1:].isnan().all()
    assert_same_bits([x[others] for x in ours], [x[others] for x in expected])
