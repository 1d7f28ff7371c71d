"""Losses of lifted poses against closed forms, in float64."""

from __future__ import annotations

import math

import pytest
import torch

from bodyreg.lifting.joints import BONES, JOINTS, MIRROR, Poses, mirrored, poses_of, usual_lengths
from bodyreg.lifting.losses import (
    bends,
    bone_ratio,
    bone_symmetry,
    facing,
    fronts,
    joints_of,
    judged,
    likelihood,
    seen_from,
    upright,
)

from .people import people


def at(name: str) -> int:
    return JOINTS.index(name)


def true_people(count: int, seed: int, **options) -> tuple[Poses, torch.Tensor]:
    """Poses and their true depths (N, J), in the units of the poses."""
    seen, depth = people(count, seed, **options)
    poses = poses_of(seen)
    names = {name.rpartition("/")[2]: k for k, name in enumerate(seen.keypoint_name)}
    deep = torch.from_numpy(depth) / poses.size[:, None]
    middles = {"pelvis": "hip", "thorax": "shoulder", "head": "ear"}
    columns = [
        (deep[:, names[f"left_{middles[j]}"]] + deep[:, names[f"right_{middles[j]}"]]) / 2
        if j in middles
        else deep[:, names[j]]
        for j in JOINTS
    ]
    found = torch.stack(columns, 1)
    return poses.to(torch.float64), (found - found[:, :1]).double()


def test_a_turn_is_a_rotation_about_the_vertical_axis():
    poses, depth = true_people(8, 0)
    joints = joints_of(poses, depth)
    angle = torch.linspace(-3, 3, 8, dtype=torch.float64)
    seen, deep = seen_from(poses, joints, angle)
    unit = seen.size[:, None]
    turned = torch.cat([seen.xy * unit[..., None], (deep * unit)[..., None]], 2)
    for n in range(8):
        c, s = math.cos(angle[n]), math.sin(angle[n])
        matrix = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
        expected = joints[n] @ matrix.T
        torch.testing.assert_close(turned[n], expected - expected[0], atol=1e-6, rtol=1e-6)
    back, _ = seen_from(seen, joints_of(seen, deep), -angle)
    torch.testing.assert_close(back.xy, poses.xy, atol=2e-6, rtol=1e-5)


def test_a_turn_of_a_pose_with_mirrored_depths_is_the_opposite_turn():
    """So from a judge's views that come in pairs, nothing can tell the sign of all depths."""
    poses, depth = true_people(5, 1)
    angle = torch.full((5,), 0.7, dtype=torch.float64)
    one, _ = seen_from(poses, joints_of(poses, depth), angle)
    other, _ = seen_from(poses, joints_of(poses, -depth), -angle)
    torch.testing.assert_close(one.xy, other.xy)


def test_bones_of_the_built_in_body_cost_nothing_and_others_their_squares():
    poses, depth = true_people(30, 2)
    joints = joints_of(poses, depth)
    assert bone_ratio(poses, joints) < 0.05 and bone_symmetry(poses, joints) < 0.01
    bone = BONES.index(("left_knee", "left_ankle"))
    along = joints[:, at("left_ankle")] - joints[:, at("left_knee")]
    longer = joints.clone()
    longer[:, at("left_ankle")] += along  # twice as long
    before = (joints[:, at("left_ankle")] - joints[:, at("left_knee")]).norm(dim=1)
    trunk = joints[:, at("thorax")].norm(dim=1)
    usual = usual_lengths()[bone] / usual_lengths()[0]
    rise = ((2 * before / trunk - usual) ** 2 - (before / trunk - usual) ** 2).mean()
    torch.testing.assert_close(
        bone_ratio(poses, longer) - bone_ratio(poses, joints), rise.double(), atol=1e-6, rtol=1e-6
    )
    other = (joints[:, at("right_ankle")] - joints[:, at("right_knee")]).norm(dim=1)
    usual = usual_lengths()[0]
    rise = (((2 * before - other) / usual) ** 2 - ((before - other) / usual) ** 2).mean()
    torch.testing.assert_close(
        bone_symmetry(poses, longer) - bone_symmetry(poses, joints),
        rise.double(),
        atol=1e-6,
        rtol=1e-6,
    )


def test_absent_joints_cost_nothing():
    poses, depth = true_people(4, 3)
    known = torch.ones(len(JOINTS), dtype=torch.float64)
    known[[at("left_ankle"), at("head")]] = 0
    poses = poses.seen_by(known, True)
    for loss in (bone_ratio, bone_symmetry, facing):
        values = []
        for shift in (0.0, 3.0):
            moved = depth.clone().requires_grad_()
            joints = joints_of(poses, moved + shift * (1 - known))
            values.append(loss(poses, joints))
        values[-1].backward()
        assert torch.equal(*values) and not moved.grad[:, [at("left_ankle"), at("head")]].any()
        assert moved.grad.isfinite().all()


def test_people_bend_the_right_way_and_their_mirrored_depths_the_wrong_one():
    poses, depth = true_people(60, 4)
    right, known = bends(poses, joints_of(poses, depth))
    wrong, _ = bends(poses, joints_of(poses, -depth))
    assert known.all() and (right.mean(0) > 0.01).all() and (wrong.mean(0) < -0.01).all()
    assert facing(poses, joints_of(poses, depth)) < 0.2 * facing(poses, joints_of(poses, -depth))
    torch.testing.assert_close(
        facing(poses, joints_of(poses, depth)), torch.relu(-right).sum(1).mean()
    )


def test_fronts_of_people_that_face_the_viewer():
    poses, depth = true_people(20, 5, turn=0.3)
    x, _, z = fronts(joints_of(poses, depth)).unbind(1)
    assert (z > 0).all() and (torch.atan2(x, z).abs() < 0.6).all()


def test_a_mirror_changes_no_loss():
    poses, depth = true_people(9, 6)
    joints = joints_of(poses, depth)
    other = poses.mirrored()
    assert torch.equal(joints_of(other, depth[:, MIRROR]), mirrored(joints))
    for loss in (bone_ratio, bone_symmetry, facing, upright):
        torch.testing.assert_close(loss(poses, joints), loss(other, mirrored(joints)))


def test_the_lean_of_trunks():
    poses, depth = true_people(3, 7)
    joints = joints_of(poses, depth)
    joints[:, at("thorax")] = torch.tensor([[0.0, 0.5, 0.0], [0.3, 0.0, 0.4], [0.0, 0.1, -0.1]])
    assert upright(poses, joints) == pytest.approx((0 + 0.64 + 0.5) / 3)
    known = torch.ones(len(JOINTS), dtype=torch.float64)
    known[at("thorax")] = 0
    assert upright(poses.seen_by(known, True), joints) == 0


def test_judgements():
    logit = torch.tensor([0.0, 2.0, -1.0], dtype=torch.float64)
    probability = 1 / (1 + (-logit).exp())
    assert judged(logit, real=True) == pytest.approx(float(-probability.log().mean()))
    assert judged(logit, real=False) == pytest.approx(float(-(1 - probability).log().mean()))


def test_the_likelihood_is_least_at_the_true_spread():
    """That of Laplace's distribution, whose standard deviation is its scale times the root of 2."""
    random = torch.Generator().manual_seed(0)
    uniform = torch.rand(200_000, 1, generator=random, dtype=torch.float64) - 0.5
    error = -0.3 / 2**0.5 * uniform.sign() * torch.log1p(-2 * uniform.abs())
    known = torch.ones_like(error)
    losses = {
        s: float(likelihood(error, torch.full_like(error, s), known)) for s in (0.27, 0.3, 0.33)
    }
    assert losses[0.3] < min(losses[0.27], losses[0.33])
    half = torch.cat([known, 0 * known], 1)
    doubled = torch.cat([error, error + 99], 1)
    spread = torch.full_like(doubled, 0.3)
    assert likelihood(doubled, spread, half) == pytest.approx(losses[0.3])
