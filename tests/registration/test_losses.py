"""Terms against formulas written out in NumPy, gradients against finite differences (float64)."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from bodyreg import reference
from bodyreg.body import AXIS_ANGLE, MIRROR_JOINTS, PARENTS, Parameters, mirror_pose
from bodyreg.body.rotations import rotation_matrices
from bodyreg.registration import RegistrationConfig, losses
from bodyreg.registration.evidence import SURFACE_SAMPLES
from bodyreg.registration.losses import TERMS
from bodyreg.registration.objective import Objective
from bodyreg.registration.prior import JOINTS, pose_prior, single_angles
from bodyreg.registration.schedule import Setting
from bodyreg.registration.starts import cold_starts

from .conftest import composed

F64 = torch.float64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(count: int, seed: int) -> torch.Tensor:
    """Parameters off the ideal: bent joints, uneven scales, a rotation that is no rotation."""
    g = generator(seed)
    noise = AXIS_ANGLE.split(torch.randn(count, AXIS_ANGLE.count, generator=g, dtype=F64))
    return AXIS_ANGLE.join(
        Parameters(
            pose=0.4 * noise.pose,
            segment_scale=1 + 0.1 * noise.segment_scale,
            rotation=torch.eye(3, dtype=F64) + 0.3 * noise.rotation,
            translation=0.4 * noise.translation,
            scale=torch.full_like(noise.scale, 0.9),
        )
    )


def objective(body, people, engine: str, **changes) -> Objective:
    # The first person has fewer points than the second: padding is part of the test.
    observations = people.observations.select(np.arange(2))
    config = RegistrationConfig.preset("accurate", **changes)
    return composed(importlib.import_module(f"bodyreg.{engine}"), body, observations, config)


@pytest.mark.parametrize("engine", ["ops", "reference"])
@pytest.mark.parametrize("term", TERMS)
def test_gradient_of_every_term(body, people, engine, term):
    """Reference: finite differences, in random directions through all parameters."""
    score = objective(body, people, engine)
    flat, direction = (
        parameters(2, 3),
        torch.randn(3, 2, AXIS_ANGLE.count, generator=generator(4), dtype=F64),
    )

    def along(steps):
        setting = Setting({term: 1.0}, 0.15)
        return score(flat + (steps[:, None, None] * direction).sum(0), setting)

    assert score.terms(flat, Setting({term: 1.0}, 0.15)).keys() == {term}
    assert gradcheck(along, torch.zeros(3, dtype=F64, requires_grad=True), atol=1e-7)


@pytest.mark.parametrize("width", [math.inf, 0.15])
def test_engines_agree(body, people, width):
    """Reference: the plain-torch engine; every term and the gradient of their sum."""
    flat = parameters(2, 5).requires_grad_()
    setting = Setting(dict.fromkeys(TERMS, 1.0), width)
    results = {}
    for engine in ("ops", "reference"):
        score = objective(body, people, engine)
        terms = score.terms(flat, setting)
        (gradient,) = torch.autograd.grad(sum(terms.values()).sum(), flat)
        results[engine] = terms | {"gradient": gradient}
    for name, value in results["ops"].items():
        torch.testing.assert_close(value, results["reference"][name], rtol=1e-10, atol=1e-10)


def test_mirrored_rotation_has_gradients(body, people):
    """A reflection (det < 0) is a point like any other: reference finite differences."""
    score, flat = objective(body, people, "reference"), parameters(2, 6)
    flat[:, AXIS_ANGLE.slices["rotation"]] = torch.diag(torch.tensor([-1.0, 1, 1])).flatten()
    direction = torch.randn(2, AXIS_ANGLE.count, generator=generator(7), dtype=F64)
    setting = Setting(dict.fromkeys(TERMS, 1.0), 0.15)
    assert gradcheck(
        lambda step: score(flat + step * direction, setting),
        torch.zeros(1, dtype=F64, requires_grad=True),
        atol=1e-7,
    )


def test_t_pose_has_finite_gradients(body, people):
    """At θ = 0 exactly, where Rodrigues' formula divides zero by zero."""
    flat = cold_starts(2, RegistrationConfig(starts=1), torch.device("cpu"), F64)[:, 0]
    flat.requires_grad_()
    score = objective(body, people, "reference")
    loss = score(flat, Setting(dict.fromkeys(TERMS, 1.0), 0.15))
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    assert torch.isfinite(gradient).all()
    assert (AXIS_ANGLE.split(gradient).pose[:, 1:] != 0).any()


def test_root_slot_is_frozen(body, people):
    score, flat = objective(body, people, "reference"), parameters(2, 8).requires_grad_()
    loss = score(flat, Setting(dict.fromkeys(TERMS, 1.0), 0.15))
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    assert (gradient[:, :3] == 0).all()


def test_rotation_matrices():
    """Reference: the matrix exponential; the gradient against finite differences."""
    angle = torch.tensor([0, 1e-9, 1e-4, 1e-2, 0.2, 1, 2, 3.1, 3.2, 7], dtype=F64)
    axis = torch.nn.functional.normalize(
        torch.randn(len(angle), 3, generator=generator(9), dtype=F64), dim=-1
    )
    vectors = axis * angle[:, None]
    torch.testing.assert_close(
        rotation_matrices(vectors), torch.linalg.matrix_exp(skew(vectors)), rtol=1e-12, atol=1e-12
    )
    assert gradcheck(rotation_matrices, vectors.requires_grad_())


def test_rotation_gradient_in_float32():
    """Reference: float64, at angles where the naive quotients cancel; error of a few roundings."""
    size = torch.logspace(-20, 0.5, 200, dtype=F64)[:, None]
    vectors = size * torch.nn.functional.normalize(
        torch.randn(200, 3, generator=generator(17), dtype=F64), dim=-1
    )
    upstream = torch.randn(200, 3, 3, generator=generator(18), dtype=F64)

    def gradient(dtype):
        v = vectors.to(dtype).requires_grad_()
        return torch.autograd.grad(rotation_matrices(v), v, upstream.to(dtype))[0].double()

    torch.testing.assert_close(gradient(torch.float32), gradient(F64), rtol=0, atol=5e-6)


def skew(vectors):
    """(..., 3) -> (..., 3, 3), the matrix of the cross product."""
    x, y, z = vectors.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))


def test_dense_terms_written_out(body, people):
    """Reference: a Python loop over the points of the posed mesh."""
    flat = parameters(2, 10)
    p, observations = AXIS_ANGLE.split(flat), people.observations
    q, _ = torch.linalg.qr(p.rotation)
    q = q * torch.sign((q * p.rotation).sum(1, keepdim=True))  # Gram-Schmidt is QR of such signs
    pose = p.pose.clone()
    pose[:, 0] = 0
    transforms, _ = reference.kinematics(
        rotation_matrices(pose), p.segment_scale, torch.from_numpy(body.joints).double(), PARENTS
    )
    vertices = body.vertex_points()
    placed = reference.lbs(transforms, vertices.joint_ids, vertices.anchors.double())
    for evidence, count in (("sum", 120), ("mean", None)):
        score = objective(body, people, "reference", evidence=evidence)
        got = score.terms(flat, Setting({"dense": 1.0, "facing": 1.0, "visibility": 1.0}, 0.15))
        for person in range(2):
            rows = observations.points_of(person)
            divisor = count or rows.stop - rows.start
            dense = facing = visibility = 0
            for i in range(rows.start, rows.stop):
                corner, mix = observations.point_vertex[i], observations.point_barycentric[i]
                x = (placed[person, corner] * torch.from_numpy(mix).double()[:, None]).sum(0)
                xy = p.scale[person] * (q[person] @ x)[:2] + p.translation[person]
                frame = observations.frame[person].astype(float)
                target = (observations.point_xy[i] - frame[:2]) / frame[2] * [1, -1]
                e2 = float(((xy.numpy() - target) ** 2).sum())
                weight = float(observations.point_weight[i]) / divisor
                dense += weight * 0.15**2 * e2 / (0.15**2 + e2)

                joint = body.segment[corner[0]]
                view = (q[person] @ transforms[person, joint, :, :3])[2] / p.segment_scale[
                    person, joint
                ]
                normal = (body.vertex_normals[corner] * mix[:, None]).sum(0)
                z = float(view @ torch.from_numpy(normal / np.linalg.norm(normal)).double())
                facing += weight * max(0, 0.3 - z) ** 2
                normals, area = (
                    np.asarray(a[joint], float) for a in body.surface_samples(SURFACE_SAMPLES)
                )
                seen = np.log1p(np.exp(12 * normals @ view.numpy())) @ area
                visibility -= weight * math.log(math.log1p(math.exp(12 * z)) / seen)
            assert float(got["dense"][person]) == pytest.approx(dense, rel=1e-5)
            assert float(got["facing"][person]) == pytest.approx(facing, rel=1e-5)
            assert float(got["visibility"][person]) == pytest.approx(visibility, rel=1e-5)


def test_absent_depths_and_keypoints_count_for_nothing(body, people):
    """A NaN depth and a keypoint of weight 0 change no term, wherever they are."""
    flat, setting = parameters(2, 11), Setting({"keypoint": 1.0, "depth": 1.0}, 1.0)
    observations = people.observations.select(np.arange(2))
    observations.keypoint_depth[:, 3:] = np.nan
    observations.keypoint_weight[:, 5] = 0

    def terms(o):
        return composed(reference, body, o, RegistrationConfig()).terms(flat, setting)

    base = terms(observations)
    observations.keypoint_xy[:, 5] += 1000
    moved = terms(observations)
    assert all(torch.equal(base[name], moved[name]) for name in base)
    assert (terms(observations.with_depths(None))["depth"] == 0).all()


def test_depth_is_relative_to_the_pelvis(body, people):
    """Reference: z_j - z_0 of the posed joints (Eq. 9), the pelvis off the origin."""
    moved = replace(body, joints=body.joints + np.float32([0.1, 0.2, 0.3]))
    score, flat = objective(moved, people, "reference"), parameters(2, 13)
    p, o = AXIS_ANGLE.split(flat), people.observations
    pose = torch.cat([torch.zeros(2, 1, 3, dtype=F64), p.pose[:, 1:]], 1)
    _, positions = reference.kinematics(
        rotation_matrices(pose), p.segment_scale, torch.from_numpy(moved.joints).double(), PARENTS
    )
    view = p.scale[:, None] * (reference.gram_schmidt(p.rotation)[:, 2, None] * positions).sum(-1)
    names = [n for n in o.keypoint_name if n in moved.joint_names]
    expected = 0
    for name in names:
        j, k = moved.joint_names.index(name), o.keypoint_name.index(name)
        error = view[:, j] - view[:, 0] - torch.from_numpy(o.keypoint_depth[:2, k]).double()
        expected = expected + error**2 / 16
    score.evidence.depth_weight[:, o.keypoint_name.index("nose")] = 0
    got = score.terms(flat, Setting({"depth": 1.0}, 1.0))["depth"]
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


def test_scale_terms():
    """Reference: sums written out."""
    scale = 1 + 0.2 * torch.randn(3, 24, generator=generator(14), dtype=F64)
    bones = [(k, PARENTS[k]) for k in range(1, 24)]
    smooth = losses.scale_smoothness(scale, *map(torch.tensor, zip(*bones, strict=True)))
    pairs = [(k, m) for k, m in enumerate(MIRROR_JOINTS) if k < m]
    tie = losses.scale_symmetry(scale, *map(torch.tensor, zip(*pairs, strict=True)))
    for row, s in enumerate(scale.tolist()):
        mean = sum(s) / 24
        assert float(smooth[row]) == pytest.approx(sum((s[k] - s[q]) ** 2 for k, q in bones))
        assert float(tie[row]) == pytest.approx(sum((s[k] - s[m]) ** 2 for k, m in pairs))
        assert float(losses.scale_deviation(scale)[row]) == pytest.approx(
            sum((x - mean) ** 2 for x in s)
        )
        assert float(losses.scale_level(scale)[row]) == pytest.approx(sum((x - 1) ** 2 for x in s))


def test_scale_limits_are_two_sided():
    scale = torch.tensor([[1.0] * 24, [0.6] * 12 + [1.7] * 12, [0.5] * 12 + [2.0] * 12], dtype=F64)
    torch.testing.assert_close(
        losses.scale_limit(scale, 0.6, 1.7), torch.tensor([0, 0, 12 * (0.01 + 0.09)], dtype=F64)
    )


def test_upright_counts_the_lean_alone():
    """Reference: sin² of the pitch; turning and rolling cost nothing."""
    turns = torch.tensor([[0.3, 0, 0], [0, 1.0, 0], [0, 0, 0.5]], dtype=F64)
    torch.testing.assert_close(
        losses.upright(rotation_matrices(turns)),
        torch.tensor([math.sin(0.3) ** 2, 0, 0], dtype=F64),
    )


def test_exponential_punishes_hyper_extension():
    """At zero each of the four terms is 1 (Eq. 11); bending the natural way lowers it."""
    pose = torch.zeros(5, 24, 3, dtype=F64)
    pose[1, 4, 0] = pose[2, 5, 0] = 1  # knees bend backward by +x
    pose[3, 18, 1], pose[4, 19, 1] = -1, 1  # elbows bend forward
    got = losses.exponential(pose)
    assert float(got[0]) == 4
    assert torch.allclose(got[1:], got.new_full((4,), 3 + math.exp(-1)))
    assert float(losses.exponential(-100 * pose)[1]) == pytest.approx(3 + math.exp(10))


def test_det_term():
    """Reference: torch.det; a reflection costs e, a rotation 1/e."""
    matrix = torch.randn(5, 3, 3, generator=generator(15), dtype=F64)
    matrix[0], matrix[1] = torch.eye(3), -torch.eye(3)
    torch.testing.assert_close(losses.det(matrix), torch.exp(-torch.linalg.det(matrix)))


def test_limits_are_two_sided():
    prior = pose_prior()
    low, high = torch.from_numpy(prior.low), torch.from_numpy(prior.high)
    inside = torch.stack([low, high, (low + high) / 2])
    assert (losses.limit(inside, low, high) == 0).all()
    torch.testing.assert_close(
        losses.limit(torch.stack([low - 0.1, high + 0.1]), low, high),
        torch.full((2,), low.numel() * 0.01, dtype=F64),
    )


def test_prior_is_symmetric_and_consistent():
    """A mirrored pose costs what the pose costs; means lie inside the limits; the root is free."""
    prior = pose_prior()
    mean, spread, low, high, mode, mode_weight = (torch.from_numpy(a) for a in vars(prior).values())
    assert (low < mean).all() and (mean < high).all() and (spread > 0).all()
    pose = torch.randn(4, 24, 3, generator=generator(16), dtype=F64)
    weight = 1 / spread
    weight[0] = 0
    values = [losses.prior(p, mean, weight, mode, mode_weight) for p in (pose, mirror_pose(pose))]
    torch.testing.assert_close(*values, rtol=2e-3, atol=0)  # modes are stored with four digits
    torch.testing.assert_close(
        losses.limit(pose, low, high), losses.limit(mirror_pose(pose), low, high)
    )
    assert len(JOINTS) == 14  # 5 central joints and 9 pairs


def test_modes_of_the_prior():
    """Reference: the Gaussian's covariance, which has the modes' variances, written out."""
    prior = pose_prior()
    direction = (prior.mode * prior.spread[..., None])[1:].reshape(69, -1)
    # Distinct principal directions: unit vectors, at right angles.
    np.testing.assert_allclose(direction.T @ direction, np.eye(direction.shape[1]), atol=2e-3)
    variance = 1 / (1 + prior.mode_weight)
    assert (variance > 0).all()
    covariance = np.eye(69) + direction @ np.diag(variance - 1) @ direction.T
    pose = np.random.default_rng(8).standard_normal((5, 24, 3))
    z = ((pose - prior.mean) / prior.spread)[:, 1:].reshape(5, -1)
    expected = (z @ np.linalg.inv(covariance) * z).sum(1)
    inverse = torch.from_numpy(1 / prior.spread)
    inverse[0] = 0
    rest = (torch.from_numpy(x) for x in (prior.mode, prior.mode_weight))
    found = losses.prior(torch.from_numpy(pose), torch.from_numpy(prior.mean), inverse, *rest)
    np.testing.assert_allclose(found, expected, rtol=5e-3)


def test_legs_are_straight_where_the_picture_does_not_tell():
    """What is learned leaves the means of hips, knees, ankles and feet as they are."""
    single, whole = single_angles(), pose_prior()
    legs = [1, 2, 4, 5, 7, 8, 10, 11]
    np.testing.assert_array_equal(whole.mean[legs], single.mean[legs])
    assert not np.allclose(whole.mean[16], single.mean[16])
    assert not single.mode_weight.any()


def test_softplus_does_not_overflow():
    x = torch.tensor([-200.0, -1, 0, 1, 200])
    torch.testing.assert_close(losses.softplus(x), torch.nn.functional.softplus(x))
