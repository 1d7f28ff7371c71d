"""Levenberg-Marquardt inside `fit`.

Reference: one step by a dense solve (lm_reference.py), and what Adam reaches on the same people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bodyreg.body import AXIS_ANGLE, Body
from bodyreg.data import Observations, read_densepose_coco
from bodyreg.ops.fit import Evidence, Plan, Rig, fit
from bodyreg.registration import RegistrationConfig, schedule
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.starts import cold_starts
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from bodyreg.synthetic.observe import Noise
from tests.ops import lm_reference
from tests.ops.backends import CPU
from tests.ops.fit_cases import perspectives

ADAM, LM = 0, 1
PRESETS = ("paper", "accurate")


def make_observations(folder: Path, count: int, points: int) -> Observations:
    """The people of `bodyreg demo`, seed 0."""
    body = Body.default()
    pictures, _ = make_dataset(body, count, 0, Noise(points=points))
    write_densepose_coco(folder / "people.json", pictures, body.charts.name)
    return read_densepose_coco(folder / "people.json", body)[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Observations:
    return make_observations(tmp_path_factory.mktemp("demo"), 64, 120)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Observations:
    return make_observations(tmp_path_factory.mktemp("many"), 256, 120)


@dataclass
class Problem:
    """People, the body and a plan, as `fit` takes them."""

    rig: Rig
    evidence: Evidence
    config: RegistrationConfig
    start: Tensor  # (B, C, 108)

    def plan(self, *phases: tuple[int, int], kept: int = 1) -> Plan:
        """Adam as it explores, Levenberg-Marquardt under the final weights."""
        settings = []
        for solver, iterations in phases:
            if solver == ADAM:
                settings += schedule.annealed(self.config, iterations, self.config.anneal_share)
            else:
                settings += schedule.settled(self.config, iterations, 1.0)
        numbers = [(*phase, kept) for phase in phases[:-1]] + [(*phases[-1], 1)]
        settings.append(schedule.final_setting(self.config))
        return replace_rows(schedule.cold(self.config), [s.row() for s in settings])._replace(
            phases=tuple(n for phase in numbers for n in phase)
        )

    def fit(
        self, plan: Plan, start: Tensor | None = None, device: str = "cpu"
    ) -> tuple[Tensor, Tensor, Tensor]:
        start = self.start if start is None else start
        rig, evidence, plan = (moved(record, device) for record in (self.rig, self.evidence, plan))
        return fit(start.contiguous().to(device), rig, evidence, plan)

    def fit_on_cpu(self, plan: Plan, start: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        with CPU.active():
            return self.fit(plan, start)

    def of(self, people: list[int]) -> Problem:
        """The same of some people."""
        seen = self.evidence
        owned = [slice(*seen.point_start[b : b + 2].tolist()) for b in people]
        counts = [s.stop - s.start for s in owned]
        points = {
            name: torch.cat([getattr(seen, name)[s] for s in owned])
            for name in ("point_vertex", "point_barycentric", "point_xy", "point_weight")
        }
        others = {name: getattr(seen, name)[people].contiguous() for name in Evidence._fields[5:]}
        start = torch.tensor([0, *counts]).cumsum(0)
        evidence = Evidence(point_start=start, **points, **others)
        return replace(self, evidence=evidence, start=self.start[people].contiguous())


def moved(record: Rig | Evidence | Plan, device: str) -> Rig | Evidence | Plan:
    """The same on a device."""
    return record._make(x.to(device) if isinstance(x, Tensor) else x for x in record)


def replace_rows(plan: Plan, rows: list[list[float]]) -> Plan:
    return plan._replace(settings=torch.tensor(rows, dtype=torch.float64))


def make_problem(
    observations: Observations, preset: str, dtype=torch.float64, **changes
) -> Problem:
    if preset == "paper":
        changes.setdefault("scale_level_weight", 1e-2)
    config = RegistrationConfig.preset(preset, **{"starts": 1, "camera": "weak"} | changes)
    cpu = torch.device("cpu")
    rig = make_rig(Body.default(), observations.keypoint_name, cpu, dtype)
    evidence = gather(observations, config, cpu, dtype)
    if config.camera == "perspective":  # these people were made for a distant one
        near = perspectives(len(observations)).to(dtype)
        evidence = evidence._replace(perspective=near)
    start = cold_starts(len(observations), config, cpu, dtype)
    return Problem(rig, evidence, config, start.view(len(observations), config.starts, -1))


def explored(problem: Problem, iterations: int = 30) -> Tensor:
    """(B,1,108) parameters after some Adam."""
    return problem.fit_on_cpu(problem.plan((ADAM, iterations)))[0][:, None]


# Every term of a weight, so that none is missed.
ALL_TERMS = dict.fromkeys(
    ("joint_weight", "exponential_weight", "scale_deviation_weight"), 1e-3
) | {"stiff": "none"}


@pytest.mark.parametrize(
    ("preset", "changes", "mirrored"),
    [
        ("paper", {}, False),
        ("paper", {}, True),
        ("accurate", {}, False),
        ("accurate", {}, True),
        ("accurate", ALL_TERMS, False),
        ("accurate", ALL_TERMS, True),
        ("accurate", {"six_numbers": True}, False),  # six numbers cannot reflect
        ("paper", {"camera": "perspective"}, False),
        ("accurate", {"camera": "perspective"}, True),
        ("accurate", ALL_TERMS | {"camera": "perspective"}, False),
        ("accurate", {"scale_symmetry_weight": 0.0}, False),
        ("accurate", {"scale_symmetry_weight": 0.0}, True),
    ],
)
def test_a_step_is_that_of_a_dense_solve(backend, demo, preset, changes, mirrored):
    problem = make_problem(demo, preset, **changes).of([0, 5, 17, 29])
    start = explored(problem, 20)
    p = AXIS_ANGLE.split(start)
    bends = 0.3 * torch.sin(torch.arange(3.0 * 23, dtype=torch.float64))
    p.pose[..., 1:, :] += bends.view(23, 3)
    p.pose[..., 0, :] = 0
    if mirrored:
        p.rotation[..., 2] *= -1
    start = AXIS_ANGLE.join(p)
    plan = problem.plan((LM, 1))
    ours = problem.fit(plan, start, backend.device)[0].cpu()
    step = lm_reference.Step(problem.rig, problem.evidence, plan, start[:, 0])
    expected = step.take()
    assert (expected - step.here).abs().amax(1).min() > 1e-3, "a step that is none shows nothing"
    # A person that would end higher stays at its parameters.
    taken = (ours - step.here).abs().amax(1) > 1e-3
    assert taken.sum() >= 2
    torch.testing.assert_close(ours[taken], expected[taken], rtol=0, atol=1e-9)


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("preset", "phases"),
    [("paper", [(ADAM, 30), (LM, 6)]), ("accurate", [(ADAM, 160), (LM, 10)])],
    ids=PRESETS,
)
def test_few_steps_end_below_hundreds_of_adam(many, preset, phases, dtype):
    """From one start; with several, and at the defaults: tests/registration/test_fit_engine.py."""
    problem = make_problem(many, preset, dtype)
    _, adam, _ = problem.fit(problem.plan((ADAM, problem.config.iterations)))
    _, ours, _ = problem.fit(problem.plan(*phases))
    assert (ours <= adam).double().mean() >= 0.95


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_step_raises_the_loss(demo, dtype):
    problem = make_problem(demo, "paper", dtype)
    _, last, _ = problem.fit(problem.plan((LM, 0)))
    slack = 1 + 8 * torch.finfo(dtype).eps
    for iterations in range(1, 16):  # from T-poses: many steps are rejected at first
        _, loss, _ = problem.fit(problem.plan((LM, iterations)))
        assert (loss <= last * slack).all()
        last = loss


@pytest.mark.rung2
@pytest.mark.parametrize("preset", PRESETS)
def test_a_fit_that_has_converged_stays(demo, preset):
    problem = make_problem(demo, preset).of(list(range(16)))
    found, loss, _ = problem.fit(problem.plan((ADAM, 50), (LM, 100)))
    again, still, _ = problem.fit(problem.plan((LM, 8)), found[:, None])
    settled = (again - found).abs().amax(1) < 1e-6
    assert settled.double().mean() >= 0.75  # a hinge's points may come and go for ever
    torch.testing.assert_close(still[settled], loss[settled], rtol=1e-9, atol=0)


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_single_keypoint_is_enough(demo, preset, dtype):
    """Most unknowns have no evidence then, and without priors nothing at all."""
    without = {name: 0.0 for name in RegistrationConfig().__dict__ if name.endswith("_weight")}
    bare = {"keypoint_weight": 1.0, "dense_weight": 1.0, "det_weight": 0.1, "stiff": "none"}
    for changes in ({}, without | bare):
        problem = make_problem(demo, preset, dtype, **changes).of([0, 1])
        seen = problem.evidence
        only = torch.zeros_like(seen.keypoint_weight)
        only[:, 9] = seen.keypoint_weight.max()
        evidence = seen._replace(
            point_weight=0 * seen.point_weight, keypoint_weight=only, depth_weight=0 * only
        )
        problem = replace(problem, evidence=evidence)
        found, loss, _ = problem.fit(problem.plan((LM, 20)))
        _, before, _ = problem.fit(problem.plan((LM, 0)))
        assert found.isfinite().all()
        assert found.abs().max() < 10
        assert (loss < before).all()


@pytest.mark.rung2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_person_does_not_depend_on_the_batch(demo, preset, dtype):
    problem = make_problem(demo, preset, dtype, starts=2, carried=2).of(list(range(37)))
    plan = problem.plan((LM, 3), (ADAM, 10), (LM, 4), kept=2)
    together = problem.fit(plan)
    for people in ([0], [36], [5, 4, 3], list(range(36, -1, -1)), list(range(20))):
        for ours, expected in zip(problem.of(people).fit(plan), together, strict=True):
            assert torch.equal(ours, expected[people])


@pytest.mark.rung2
@pytest.mark.parametrize("preset", PRESETS)
def test_threads_and_instruction_sets_change_no_bit(demo, preset, use_isa, set_threads):
    problem = make_problem(demo, preset, torch.float32)
    plan = problem.plan((ADAM, 10), (LM, 5))
    results = []
    for isa in ("avx2", "avx512"):
        use_isa(isa)
        for count in (1, 3):
            set_threads(count)
            results.append(problem.fit(plan))
    for result in results[1:]:
        for ours, expected in zip(result, results[0], strict=True):
            assert torch.equal(ours, expected)


@pytest.mark.rung2
@pytest.mark.parametrize("preset", PRESETS)
def test_a_person_that_is_not_finite_changes_no_other(demo, preset):
    problem = make_problem(demo, preset, torch.float32).of(list(range(20)))
    plan = problem.plan((ADAM, 10), (LM, 5))
    expected = problem.fit(plan)
    xy = problem.evidence.point_xy.clone()
    xy[problem.evidence.point_start[7]] = torch.nan
    ill = replace(problem, evidence=problem.evidence._replace(point_xy=xy)).fit(plan)
    others = [b for b in range(20) if b != 7]
    assert ill[1][7].isnan()
    for ours, sound in zip(ill, expected, strict=True):
        assert torch.equal(ours[others], sound[others])


@pytest.mark.parametrize("preset", PRESETS)
def test_devices_agree(backend, demo, preset):
    problem = make_problem(demo, preset, starts=2, carried=2).of([3, 21, 40])
    plan = problem.plan((LM, 2), (ADAM, 3), (LM, 3), kept=2)
    ours = problem.fit(plan, device=backend.device)
    for a, b in zip(ours, problem.fit_on_cpu(plan), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-8, atol=1e-8)
    alone = problem.of([1]).fit(plan, device=backend.device)
    for a, b in zip(alone, ours, strict=True):
        assert torch.equal(a, b[1:2])


def test_single_precision_on_every_device(backend, demo):
    problem = make_problem(demo, "paper", torch.float32).of(list(range(6)))
    _, loss, _ = problem.fit(problem.plan((LM, 8)), explored(problem), backend.device)
    exact = make_problem(demo, "paper").of(list(range(6)))
    _, expected, _ = exact.fit_on_cpu(exact.plan((LM, 8)), explored(exact))
    torch.testing.assert_close(loss.cpu().double(), expected, rtol=1e-2, atol=0)
