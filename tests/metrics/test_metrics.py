"""Metrics against closed forms, and Procrustes against a numerical minimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from bodyreg.body.joints import JOINT_NAMES
from bodyreg.metrics.pose import facing, mpjpe, pa_mpjpe, procrustes, turned_away
from bodyreg.metrics.surface import pixel_error, vertex_error


@pytest.fixture
def random():
    return np.random.default_rng(11)


def test_procrustes_undoes_a_similarity(random):
    target = random.normal(size=(9, 31, 3))
    turn = Rotation.random(9, rng=random).as_matrix()
    scale = random.uniform(0.1, 5, (9, 1, 1))
    source = scale * target @ turn + random.normal(size=(9, 1, 3))
    np.testing.assert_allclose(procrustes(source, target), target, atol=1e-12)
    assert pa_mpjpe(source, target).max() < 1e-12


def test_procrustes_does_not_reflect(random):
    target = random.normal(size=(9, 31, 3))
    mirrored = target * [-1, 1, 1]
    assert (pa_mpjpe(mirrored, target) > 0.1).all()


def test_procrustes_is_the_minimum(random):
    """Independent: scipy minimises the squared distance over rotation vector, scale and shift."""
    source, target = random.normal(size=(2, 6, 12, 3))
    source[0] = source[0] * [1, 1, -1]

    def cost(parameters, x, y):
        moved = (
            np.exp(parameters[3]) * Rotation.from_rotvec(parameters[:3]).apply(x) + parameters[4:]
        )
        return np.square(moved - y).sum()

    moved = procrustes(source, target)
    for x, y, ours in zip(source, target, moved, strict=True):
        starts = [np.r_[random.normal(size=3), -1, 0, 0, 0] for _ in range(12)]
        best = min(minimize(cost, start, (x, y), "BFGS").fun for start in starts)
        assert np.square(ours - y).sum() == pytest.approx(best, rel=1e-6)


def test_procrustes_of_degenerate_points():
    target = np.random.default_rng(0).normal(size=(1, 5, 3))
    np.testing.assert_allclose(
        procrustes(np.ones((1, 5, 3)), target), np.repeat(target.mean(1, keepdims=True), 5, 1)
    )
    line = np.arange(5.0)[None, :, None] * [[[1.0, 0, 0]]]
    np.testing.assert_allclose(procrustes(3 * line + 1, line), line, atol=1e-12)


def test_one_point_is_always_met():
    source, target = np.random.default_rng(0).normal(size=(2, 3, 1, 3))
    for error in (pa_mpjpe, vertex_error, mpjpe):
        np.testing.assert_array_equal(error(source, target), 0)


def test_mpjpe_closed_form():
    target = np.zeros((2, 4, 3))
    source = np.full((2, 4, 3), 7.0)
    source[:, 1:] += [[[3.0, 4, 0]]]
    np.testing.assert_allclose(mpjpe(source, target), 5 * 3 / 4)


def test_vertex_error_is_invariant_and_closed(random):
    target = random.normal(size=(3, 200, 3))
    source = 2 * target @ Rotation.random(rng=random).as_matrix() + 1
    assert vertex_error(source, target).max() < 1e-12
    moved = target.copy()
    moved[:, 0] += 1e-3  # one of 200 points: the alignment hardly changes
    np.testing.assert_allclose(
        vertex_error(moved, target), np.sqrt(3) * 1e-3 / 200, rtol=0.1, atol=2e-5
    )


def test_pixel_error_counts_what_is_visible():
    target = np.zeros((2, 4, 2))
    source = target + np.array([3 / 128, 4 / 128])
    source[:, 3] = 100
    visible = np.array([[True, True, False, False], [False] * 4])
    np.testing.assert_allclose(pixel_error(source, target, visible), [5, np.nan])
    np.testing.assert_allclose(pixel_error(source, target, visible, side=512), [10, np.nan])


def t_pose() -> np.ndarray:
    joints = np.zeros((1, 24, 3))
    for name, place in {
        "left_hip": (0.1, 0, 0),
        "right_hip": (-0.1, 0, 0),
        "left_shoulder": (0.2, 0.5, 0),
        "right_shoulder": (-0.2, 0.5, 0),
        "neck": (0, 0.6, 0),
    }.items():
        joints[0, JOINT_NAMES.index(name)] = place
    return joints


def test_facing_follows_the_yaw():
    joints = t_pose()
    np.testing.assert_allclose(facing(joints, JOINT_NAMES), [[0, 0, 1]], atol=1e-12)
    for yaw in (-170, -91, -89, 0, 45, 89, 91, 180):
        turned = joints @ Rotation.from_euler("y", yaw, degrees=True).as_matrix().T
        front = facing(turned, JOINT_NAMES)[0]
        np.testing.assert_allclose(np.degrees(np.arctan2(front[0], front[2])) % 360, yaw % 360)
        assert turned_away(turned, joints, JOINT_NAMES)[0] == (abs(yaw) > 90)
