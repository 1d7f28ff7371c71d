"""Wrong arguments of `fit`: the message names op and argument, what was expected, what was got."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import AXIS_ANGLE
from bodyreg.ops.fit import Evidence, Rig, _problem
from tests.ops.backends import CUDA, EMULATED
from tests.ops.fit_cases import Problem, every_term, plan, problem

pytestmark = pytest.mark.rung2

TENSORS = [
    *(("rig", name) for name in Rig._fields if name not in ("parents", "mirror")),
    *(("evidence", name) for name in Evidence._fields),
    ("plan", "settings"),
]


def good() -> Problem:
    return problem((5, 3))._replace(plan=plan(every_term(), every_term())).to(torch.float32)


def changed(part: str, **fields) -> Problem:
    case = good()
    return case._replace(**{part: getattr(case, part)._replace(**fields)})


def assert_refused(case: Problem, name: str, expected: str, start: Tensor | None = None) -> None:
    start = case.parameters[:, None].contiguous() if start is None else start
    with pytest.raises(RuntimeError, match=rf"^bodyreg\.fit: {name}: expected {expected}"):
        ops.fit(start, *case[1:])


@pytest.mark.parametrize(("part", "name"), TENSORS)
def test_shape(part, name):
    wrong = getattr(getattr(good(), part), name).unsqueeze(-1).unsqueeze(-1)
    assert_refused(changed(part, **{name: wrong}), name, r"shape \(.*\), got \(")


@pytest.mark.parametrize(("part", "name"), TENSORS)
def test_dtype(part, name):
    right = getattr(getattr(good(), part), name)
    wrong = right.to(torch.float16 if right.is_floating_point() else torch.int16)
    expected = {torch.float32: "float32 as start", torch.float64: "float64", torch.int32: "int32",
                torch.int64: "int64"}[right.dtype]  # fmt: skip
    got = str(wrong.dtype).split(".")[1] if wrong.is_floating_point() else ""
    assert_refused(changed(part, **{name: wrong}), name, f"dtype {expected}, got {got}")


@pytest.mark.parametrize(("part", "name"), TENSORS)
def test_layout(part, name):
    wrong = getattr(getattr(good(), part), name).repeat_interleave(2, -1)[..., ::2]
    assert_refused(changed(part, **{name: wrong}), name, r"a contiguous tensor, got strides \(")


def test_start():
    case, start = good(), good().parameters[:, None].contiguous()
    count = AXIS_ANGLE.count
    assert_refused(case, "start", "dtype float32 or float64, got float16", start.half())
    assert_refused(case, "start", rf"shape \(any, any, {count}\), got \(2, {count}\)", start[:, 0])
    assert_refused(case, "start", "1 to 1024 candidates, got 0", start[:, :0])


@pytest.mark.parametrize(
    ("joint", "parent", "got"),
    [(0, 0, "0 for joint 0"), (1, 1, "1 for joint 1"), (7, -1, "-1 for joint 7")],
)
def test_parents(joint, parent, got):
    parents = list(good().rig.parents)
    parents[joint] = parent
    assert_refused(changed("rig", parents=parents), "parents", f".*, got {got}")


def test_lists_of_joints():
    assert_refused(changed("rig", parents=[-1, 0]), "parents", "24 joints, got 2")
    assert_refused(changed("rig", mirror=[0]), "mirror", "24 joints, got 1")
    mirror = [0, 2, 2, *range(3, 24)]
    assert_refused(changed("rig", mirror=mirror), "mirror", ".* mirror .*, got 2 for joint 1")
    mirror = [24, *range(1, 24)]
    assert_refused(changed("rig", mirror=mirror), "mirror", ".*, got 24 for joint 0")


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ((), "solver, iterations and kept for 1 to 8 phases, got 0 numbers"),
        ((0, 1), ".*, got 2 numbers"),
        ((0, 1, 1) * 9, ".*, got 27 numbers"),
        ((2, 1, 1), "solver 0 or 1, got 2, 1, 1 for phase 0"),
        ((0, -1, 1), "0 to 1000000 iterations, got 0, -1, 1 for phase 0"),
        ((0, 1, 0), "at least 1 kept, and 1 in the last phase, got 0, 1, 0 for phase 0"),
        ((0, 0, 2, 0, 1, 2), ".* 1 in the last phase, got 0, 1, 2 for phase 1"),
    ],
)
def test_phases(phases, expected):
    assert_refused(changed("plan", phases=phases), "phases", expected)


def test_settings_for_other_phases():
    case = changed("plan", phases=(0, 3, 1))
    assert_refused(case, "settings", r"shape \(4, 18\), got \(2, 18\)")


def test_refresh():
    assert_refused(changed("plan", refresh=0), "refresh", "at least 1, got 0")


@pytest.mark.parametrize("wrong", [-1, 40, 2**31 - 1])
def test_ids_out_of_range(wrong):
    for part, name, limit in (
        ("rig", "vertex_ids", 24), ("rig", "keypoint_ids", 24), ("evidence", "point_vertex", 40),
    ):  # fmt: skip
        ids = getattr(getattr(good(), part), name).clone()
        ids[-1, -1] = wrong
        expected = rf"ids in \[0, {limit}\), got {wrong}"
        assert_refused(changed(part, **{name: ids}), name, expected)


@pytest.mark.parametrize("backend", [EMULATED, CUDA], ids=["emulated", "cuda"])
@pytest.mark.parametrize("wrong", [-1, 40, 2**31 - 1, -(2**31)])
def test_ids_out_of_range_are_nan_on_a_device(backend, wrong):
    with backend.active():
        case = good().to(torch.float32, backend.device)
        start = case.parameters[:, None].contiguous()
        expected = ops.fit(start, *case[1:])

        case.evidence.point_vertex[6, 2] = wrong  # of the second person
        for ours, theirs in zip(ops.fit(start, *case[1:]), expected, strict=True):
            assert ours[1].isnan().all()
            assert torch.equal(ours[0], theirs[0])

        last = case.with_plan(settings=case.plan.settings[-1:])
        case.evidence.point_vertex[6, 2] = 0
        case.rig.keypoint_ids[-1, -1] = wrong  # shared by all people
        for ours in (*ops.fit(start, *case[1:]), *ops.fit_gradient(*last)):
            assert ours.isnan().all()


@pytest.mark.parametrize("backend", [EMULATED, CUDA], ids=["emulated", "cuda"])
def test_more_keypoints_than_a_device_can_hold(backend):
    with backend.active():
        many = problem((1,), keypoints=2000)._replace(plan=plan(every_term()))
        message = r"^bodyreg\.fit: keypoint_ids: expected .* got 2001 keypoints of 4 joints$"
        with pytest.raises(RuntimeError, match=message):
            ops.fit_gradient(*many.to(torch.float32, backend.device))


@pytest.mark.parametrize("backend", [EMULATED, CUDA], ids=["emulated", "cuda"])
def test_points_that_start_anywhere_are_nan_on_a_device(backend):
    starts = torch.tensor([0, 5, 4, 8, 9, -1, 3])
    with backend.active():
        case = problem((5, 0, 3, 0, 0, 0))._replace(plan=plan(every_term())).to(torch.float32)
        case = case._replace(evidence=case.evidence._replace(point_start=starts))
        loss, _, _ = ops.fit_gradient(*case.to(torch.float32, backend.device))
        assert loss.isnan().tolist() == [False, True, False, True, True, True]


@pytest.mark.parametrize("start", [[0, 9, 8], [1, 5, 8], [0, 5, 7], [0, -1, 8]])
def test_points_that_do_not_start_in_order(start):
    case = changed("evidence", point_start=torch.tensor(start))
    assert_refused(case, "point_start", "numbers that rise from 0 to 8, got")


def test_no_pelvis():
    rig = good().rig
    none = {"keypoint_ids": rig.keypoint_ids[:0], "keypoint_anchors": rig.keypoint_anchors[:0]}
    assert_refused(changed("rig", **none), "keypoint_ids", "a row for the pelvis, got 0 rows")


def test_the_gradient_refuses_too():
    case = good()
    with pytest.raises(RuntimeError, match=r"^bodyreg\.fit_gradient: settings: expected shape \(1"):
        ops.fit_gradient(*case)
    case = changed("evidence", point_xy=case.evidence.point_xy.double())
    with pytest.raises(RuntimeError, match=r"^bodyreg\.fit_gradient: point_xy: expected dtype"):
        ops.fit_gradient(*case.with_plan(settings=case.plan.settings[:1]))


def test_there_is_no_derivative():
    case = good()
    start = case.parameters[:, None].contiguous().requires_grad_()
    _, loss, _ = ops.fit(start, *case[1:])
    with pytest.raises(RuntimeError, match=r"bodyreg\.fit: it is not differentiable"):
        loss.sum().backward()


@pytest.mark.parametrize(("place", "name"), [(1, "rig"), (4, "evidence"), (6, "numbers")])
def test_lists_of_another_length(built_backend, place, name):
    _, rig, evidence, rules = good().to(torch.float64, built_backend.device)
    arguments = [good().parameters[:, None], *_problem(rig, evidence, rules), list(rules.phases), 1]
    arguments[0] = arguments[0].to(torch.float64).to(built_backend.device).contiguous()
    length = len(arguments[place])
    for wrong in (arguments[place][:-1], [*arguments[place], arguments[place][0]]):
        given = [*arguments[:place], wrong, *arguments[place + 1 :]]
        with pytest.raises(
            RuntimeError, match=rf"bodyreg\.fit: {name}: expected {length} .*, got {len(wrong)}$"
        ):
            built_backend.library.fit(*given)
