"""`fit` and `fit_gradient`. Reference: tests.ops.fit_cases, by autograd in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import AXIS_ANGLE
from tests.ops import fit_cases
from tests.ops.fit_cases import TERMS, Problem, every_term, problem, row
from tests.ops.test_ops import ROUNDING

# Without det, nothing pulls at the raw rotation's third column but rounding.
SQUARES = {"dense": 1.0, "keypoint": 0.5, "depth": 0.3, "prior": 0.01, "det": 0.1}
WIDTH = 0.7


def assert_agrees(ours: Tensor, expected: Tensor) -> None:
    """To 1e-10 of each person's largest number, or of 1."""
    expected = expected.flatten(1) if expected.dim() > 1 else expected[:, None]
    ours = ours.cpu().reshape(expected.shape)
    scale = expected.abs().amax(1, keepdim=True).clamp_min(1)
    assert ((ours - expected).abs() <= 1e-10 * scale).all()


def assert_gradient_is_exact(case: Problem, backend) -> None:
    results = ops.fit_gradient(*case.to(torch.float64, backend.device))
    for ours, expected in zip(results, fit_cases.with_gradient(case), strict=True):
        assert_agrees(ours, expected)


@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_of_every_term(backend, term):
    assert_gradient_is_exact(problem().with_plan(settings=rows(row(**{term: 0.7}))), backend)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("width", [float("inf"), 0.3])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_gradient_of_all_terms(backend, seed, width, six):
    case = problem(seed=seed, six=six)
    assert_gradient_is_exact(case.with_plan(settings=rows(every_term(width))), backend)


@pytest.mark.parametrize("term", ["dense", "keypoint", "depth", "facing", "visibility"])
def test_the_gradient_of_every_term_of_evidence_in_perspective(backend, term):
    case = fit_cases.in_perspective(problem())
    for width in (float("inf"), 0.3):
        assert_gradient_is_exact(case.with_plan(settings=rows(row(width, **{term: 0.7}))), backend)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gradient_of_all_terms_in_perspective(backend, seed):
    case = fit_cases.in_perspective(problem(seed=seed), seed)
    assert_gradient_is_exact(case, backend)
    assert_gradient_is_exact(case.with_plan(settings=rows(every_term(float("inf")))), backend)


def test_keypoints_alone(backend):
    assert_gradient_is_exact(problem((0, 0, 0)), backend)


def test_points_alone(backend):
    assert_gradient_is_exact(problem((40, 1, 3), keypoints=0), backend)


def test_no_people(backend):
    case = problem(()).to(torch.float32, backend.device)
    loss, gradient, terms = ops.fit_gradient(*case)
    assert loss.shape == (0,)
    assert gradient.shape == (0, AXIS_ANGLE.count)
    assert terms.shape == (0, len(TERMS))


def test_float32_errs_at_most_twice_as_much_as_the_reference(backend):
    # Person 2's angles are whole turns and more, person 4's scales 1e-4: both well conditioned.
    case = problem()
    exact = fit_cases.with_gradient(case)
    peer = fit_cases.with_gradient(case.to(torch.float32))
    ours = ops.fit_gradient(*case.to(torch.float32, backend.device))
    for mine, theirs, truth in zip(ours, peer, exact, strict=True):
        error = torch.linalg.vector_norm(mine.cpu().double() - truth)
        allowed = torch.linalg.vector_norm(theirs.double() - truth)
        assert error <= 2 * allowed + ROUNDING * torch.linalg.vector_norm(truth)


def rows(*settings: list[float]) -> Tensor:
    return torch.tensor(settings, dtype=torch.float64)


def start_of(case: Problem) -> Tensor:
    return case.parameters[:, None].contiguous()


def run(case: Problem, start: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    start = start_of(case) if start is None else start
    return ops.fit(start, case.rig, case.evidence, case.plan)


def adam(case: Problem, start: Tensor, settings: Tensor) -> Tensor:
    """torch's Adam on the gradients of `fit_gradient`, a settings row per step."""
    x = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=1.0, betas=(0.9, 0.999), eps=1e-8)
    for step in settings:
        optimiser.param_groups[0]["lr"] = step[-1].item()
        here = case._replace(parameters=x.detach()).with_plan(settings=step[None].contiguous())
        _, x.grad, _ = ops.fit_gradient(*here)
        optimiser.step()
    return x.detach()


def annealed(count: int, width: float, **weights: float) -> list[list[float]]:
    """Rows whose step size, prior and depth change all the time."""

    def changing(i: int) -> dict[str, float]:
        return weights | {"prior": 0.1 / (1 + i), "depth": 0.5 / (1 + i)}

    return [row(width, 0.1 / (1 + i), **changing(i)) for i in range(count)]


@pytest.mark.parametrize("refresh", [1, 4])
def test_ten_steps_on_squares(backend, refresh):
    # Squares need no refresh, whatever the plan says.
    settings = annealed(10, float("inf"), **SQUARES, scale_smoothness=0.1)
    case = problem().with_plan(settings=rows(*settings, every_term()), phases=(0, 10, 1))
    case = case.with_plan(refresh=refresh).to(torch.float64, backend.device)
    parameters, loss, terms = run(case)
    expected = adam(case, case.parameters, case.plan.settings[:-1])
    torch.testing.assert_close(parameters, expected, rtol=0, atol=1e-9)
    judged = case._replace(parameters=parameters).with_plan(settings=rows(every_term()))
    for ours, theirs in zip((loss, terms), fit_cases.with_gradient(judged.to(torch.float64))[::2],
                            strict=True):  # fmt: skip
        assert_agrees(ours, theirs)


def test_ten_steps_on_the_exact_objective(backend):
    settings = annealed(10, 0.5, **dict(zip(TERMS, every_term()[:-2], strict=True)))
    case = problem().with_plan(settings=rows(*settings, every_term()), phases=(0, 10, 1), refresh=1)
    case = case.to(torch.float64, backend.device)
    expected = adam(case, case.parameters, case.plan.settings[:-1])
    torch.testing.assert_close(run(case)[0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("width", [float("inf"), 0.5])
def test_ten_steps_in_perspective(backend, width):
    settings = annealed(10, width, **SQUARES)
    case = fit_cases.in_perspective(problem())
    case = case.with_plan(settings=rows(*settings, every_term()), phases=(0, 10, 1), refresh=1)
    case = case.to(torch.float64, backend.device)
    expected = adam(case, case.parameters, case.plan.settings[:-1])
    torch.testing.assert_close(run(case)[0], expected, rtol=0, atol=1e-9)


def test_between_refreshes_weights_stay(backend):
    # Reference: squares, weighted by ρ' at the start.
    case = problem((33, 5), keypoints=0).to(torch.float64, backend.device)
    step = row(WIDTH, 0.01, dense=1.0)
    frozen = case.with_plan(settings=rows(step, step, step), phases=(0, 2, 1), refresh=2)
    q = squared_residuals(case)
    weight = case.evidence.point_weight * (1 + q / WIDTH**2) ** -2
    squares = case._replace(evidence=case.evidence._replace(point_weight=weight))
    plain = row(float("inf"), 0.01, dense=1.0)
    squares = squares.with_plan(settings=rows(plain, plain, plain), phases=(0, 2, 1))
    torch.testing.assert_close(run(frozen)[0], run(squares)[0], rtol=0, atol=1e-9)


def squared_residuals(case: Problem) -> Tensor:
    """(P,) from the loss: of each point by itself, as a person."""
    counts = case.evidence.point_start.diff().tolist()
    owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    seen = case.evidence
    alone = seen._replace(
        point_start=torch.arange(len(owner) + 1).to(seen.point_start),
        point_weight=torch.ones_like(seen.point_weight),
        keypoint_xy=seen.keypoint_xy[owner], keypoint_weight=seen.keypoint_weight[owner],
        keypoint_depth=seen.keypoint_depth[owner], depth_weight=seen.depth_weight[owner],
        perspective=seen.perspective[owner],
    )  # fmt: skip
    each = case._replace(parameters=case.parameters[owner].contiguous(), evidence=alone)
    return ops.fit_gradient(*each.with_plan(settings=rows(row(dense=1.0))))[0]


def test_no_iterations(backend):
    case = problem().with_plan(settings=rows(every_term()), phases=(0, 0, 1))
    case = case.to(torch.float64, backend.device)
    parameters, loss, _ = run(case)
    assert torch.equal(parameters, case.parameters)
    assert_agrees(loss, fit_cases.with_gradient(problem())[0])


def candidates(case: Problem, count: int) -> Tensor:
    """(B, count, 108) starts near the parameters."""
    noise = fit_cases.Draw(11).normal(len(case.parameters), count, AXIS_ANGLE.count)
    return (case.parameters[:, None].cpu() + 0.2 * noise).to(case.parameters)


@pytest.mark.parametrize("width", [float("inf"), WIDTH])
def test_the_best_candidates_go_on(backend, width):
    # Reference: every candidate as a fit of its own, sorted here. Bit for bit.
    case = problem((12, 0, 33, 7), seed=3)
    settings = annealed(5, width, **SQUARES, upright=0.1, facing=0.1 * (width < 1))
    judge = row(width, **SQUARES)
    case = case.with_plan(settings=rows(*settings, judge), phases=(0, 3, 2, 0, 2, 1), refresh=2)
    case = case.to(torch.float32, backend.device)
    start = candidates(case, 5)
    people = range(len(start))

    def each(start: Tensor, settings: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters and losses of all candidates after a phase."""
        alone = case.with_plan(settings=settings, phases=(0, len(settings) - 1, 1))
        results = [run(alone, start[:, c : c + 1].contiguous()) for c in range(start.shape[1])]
        parameters, losses, _ = zip(*results, strict=True)
        return torch.stack(parameters, 1), torch.stack(losses, 1)

    first = case.plan.settings[[0, 1, 2, 5]]
    parameters, loss = each(start, first)
    order = loss.sort(dim=1, stable=True).indices[:, :2]
    parameters = torch.stack([parameters[b, order[b]] for b in people])
    parameters, loss = each(parameters, case.plan.settings[[3, 4, 5]])
    best = loss.sort(dim=1, stable=True).indices[:, 0]
    expected = torch.stack([parameters[b, best[b]] for b in people])

    ours, ours_loss, terms = run(case, start)
    assert torch.equal(ours, expected)
    assert torch.equal(ours_loss, loss.amin(1))
    torch.testing.assert_close(terms.sum(1), ours_loss)
    assert len({*best.tolist(), *order.flatten().tolist()}) > 2  # the choice meant something


def test_ties_go_to_the_first_and_nan_to_the_last(backend):
    case = problem((12, 5)).with_plan(settings=rows(row(**SQUARES)), phases=(0, 0, 1))
    case = case.to(torch.float32, backend.device)
    start = candidates(case, 4)
    start[0, 0] = torch.nan
    start[0, 1:] = case.parameters[0]
    start[0, 1:, 0] = torch.arange(3.0)  # the root's pose changes no loss
    start[1, :3] = torch.nan
    parameters, loss, _ = run(case, start)
    assert torch.equal(parameters, torch.stack([start[0, 1], start[1, 3]]))
    assert loss.isfinite().all()


def test_only_the_worst_is_left(backend):
    case = problem((12,)).with_plan(settings=rows(row(**SQUARES)), phases=(0, 0, 1))
    case = case.to(torch.float32, backend.device)
    parameters, loss, _ = run(
        case, torch.full((1, 3, AXIS_ANGLE.count), torch.nan).to(case.parameters)
    )
    assert parameters.isnan().all()
    assert loss.isnan().all()


def test_what_nothing_pulls_at_stays(backend):
    # Reference: a gradient of exactly zero. Adam would make a turn of what rounding left.
    case = problem((0, 0), keypoints=6).to(torch.float64, backend.device)
    step = row(keypoint=1.0, depth=1.0, joint=1.0)
    parameters = case.parameters.clone()
    parameters[:, AXIS_ANGLE.slices["pose"]] = 0
    case = case._replace(parameters=parameters)
    leaves = sorted({*range(24)} - {*fit_cases.SMPL_PARENTS})
    on_leaves = case.rig.keypoint_ids.clone()
    anchors = torch.zeros_like(case.rig.keypoint_anchors)
    for j in range(7):
        on_leaves[j] = leaves[j % len(leaves)]
        anchors[j, 0, :3] = case.rig.joints[leaves[j % len(leaves)]]
        anchors[j, 0, 3] = 1
    rig = case.rig._replace(keypoint_ids=on_leaves, keypoint_anchors=anchors)
    fitted, _, _ = run(
        case._replace(rig=rig).with_plan(settings=rows(*[step] * 21), phases=(0, 20, 1))
    )
    pose = AXIS_ANGLE.split(fitted).pose
    assert (pose[:, leaves] == 0).all()
    assert (pose[:, 1] != 0).all()


def test_a_person_that_is_not_finite_changes_no_other(backend):
    settings = rows(*[every_term()] * 5)
    case = problem().with_plan(settings=settings, phases=(0, 4, 1), refresh=2)
    case = fit_cases.in_perspective(case).to(torch.float32, backend.device)
    expected = run(case)
    xy, weight = case.evidence.point_xy.clone(), case.evidence.point_weight.clone()
    first, last = case.evidence.point_start[3:5].tolist()
    mix = case.evidence.point_barycentric.clone()
    xy[:33], weight[:33] = torch.nan, 1
    mix[first:last], weight[first:last] = torch.tensor([torch.nan, 0, torch.inf]).to(mix), 1
    perspective = case.evidence.perspective.clone()
    perspective[8, 0] = torch.nan
    seen = case.evidence._replace(
        point_xy=xy, point_weight=weight, point_barycentric=mix, perspective=perspective
    )
    spoilt = case._replace(evidence=seen)
    parameters = case.parameters.clone()
    parameters[5] = torch.inf
    ill = [0, 3, 5, 8]
    others = [b for b in range(len(parameters)) if b not in ill]
    for ours, theirs in zip(run(spoilt._replace(parameters=parameters)), expected, strict=True):
        assert torch.equal(ours[others], theirs[others])
        assert not ours[ill].reshape(len(ill), -1).isfinite().all(1).any()


def test_the_roots_pose_is_not_read(backend):
    case = problem().with_plan(settings=rows(*[every_term()] * 4), phases=(0, 3, 1))
    case = case.to(torch.float32, backend.device)
    changed = case.parameters.clone()
    changed[:, :3] = 17
    ours = run(case._replace(parameters=changed))
    expected = run(case)
    assert (ours[0][:, :3] == 17).all()
    assert torch.equal(ours[0][:, 3:], expected[0][:, 3:])
    assert torch.equal(ours[1], expected[1])
