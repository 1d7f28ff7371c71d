"""Joint errors that take the size away, against loops, a numerical minimiser and closed forms."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from bodyreg.data.skeletons import MPII_16
from bodyreg.metrics.pose import (
    BONES,
    CANONICAL_BONE_SUM,
    bone_mpjpe,
    bone_sum,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
)

NAMES = tuple({"thorax": "torso", "upper_neck": "neck"}.get(n, n) for n in MPII_16.joints)


@pytest.fixture
def random():
    return np.random.default_rng()


def test_bones_are_a_tree_over_the_joints_of_mpii():
    joints = {name for bone in BONES for name in bone}
    assert joints == {*NAMES} - {"torso"}
    assert len(BONES) == len(joints) - 1
    reached = {"pelvis"}
    for _ in BONES:
        reached |= {end for bone in BONES if reached & {*bone} for end in bone}
    assert reached == joints


def test_best_scale_is_the_minimum(random):
    source, target = random.normal(size=(2, 7, 24, 3))
    source[::2] += target[::2]
    ours = n_mpjpe(source, target, root=3)
    for x, y, error in zip(source - source[:, 3:4], target - target[:, 3:4], ours, strict=True):
        cost = lambda scale, x=x, y=y: np.square(scale * x - y).sum()  # noqa: E731
        best = minimize_scalar(cost, (0, 1)).x
        moved = max(best, 0) * x
        lengths = [math.dist(p, q) for p, q in zip(moved, y, strict=True)]
        assert error == pytest.approx(sum(lengths) / 24, rel=1e-6)


def test_sizes_do_not_matter_but_turns_do(random):
    target = random.normal(size=(5, 16, 3))
    scale = random.uniform(0.01, 100, (5, 1, 1))
    moved = scale * target + random.normal(size=(5, 1, 3))
    np.testing.assert_allclose(n_mpjpe(moved, target), 0, atol=1e-10)
    np.testing.assert_allclose(bone_mpjpe(moved, target, NAMES), 0, atol=1e-10)
    turned = target @ Rotation.random(5, rng=random).as_matrix()
    assert (n_mpjpe(turned, target) > 0.01).all()
    assert (bone_mpjpe(turned, target, NAMES) > 0.01).all()
    # More alignment gives a smaller sum of squares, and nearly always a smaller mean.
    source = target + 0.1 * random.normal(size=target.shape)
    assert pa_mpjpe(source, target).mean() < n_mpjpe(source, target).mean()


def test_a_mirror_is_no_size(random):
    """Through the root every joint lies opposite: the best scale would be -1, and is 0."""
    target = random.normal(size=(3, 16, 3))
    target -= target[:, :1]
    lengths = np.linalg.norm(target, axis=2).mean(axis=1)
    np.testing.assert_allclose(n_mpjpe(-target, target), lengths)
    np.testing.assert_allclose(mpjpe(-target, target), 2 * lengths)


def test_no_extent_leaves_the_distances_from_the_root(random):
    target = random.normal(size=(2, 16, 3))
    lengths = np.linalg.norm(target - target[:, :1], axis=2).mean(axis=1)
    np.testing.assert_allclose(n_mpjpe(np.full((2, 16, 3), 4.0), target), lengths)
    np.testing.assert_allclose(n_mpjpe(target[:, :1], target[:, :1]), 0)
    pelvis = NAMES.index("pelvis")
    joints = target - target[:, pelvis : pelvis + 1]
    joints[:, NAMES.index("torso")] = joints[:, NAMES.index("neck")] / 2
    expected = np.linalg.norm(joints, axis=2).mean(axis=1)
    np.testing.assert_allclose(bone_mpjpe(np.ones((2, 16, 3)), target, NAMES), expected)
    np.testing.assert_allclose(bone_mpjpe(target, np.ones((2, 16, 3)), NAMES), 0)


@pytest.mark.parametrize("canonical", [True, False])
def test_bones_as_zhou_et_al_compare_them(random, canonical):
    """Person by person, in MPII's order: size by the bones, pelvis to pelvis, torso in between."""
    source, target = random.normal(size=(2, 4, 16, 3))
    edges = [(a, b) for b, a in enumerate(MPII_16.parents) if a >= 0]
    # MPII's arms start at its thorax, those of the bones at the neck.
    edges = [(8 if a == 7 and b != 8 else a, b) for a, b in edges]
    expected = []
    for x, y in zip(source.copy(), target.copy(), strict=True):
        x[7], y[7] = (x[6] + x[8]) / 2, (y[6] + y[8]) / 2
        total = CANONICAL_BONE_SUM if canonical else sum(math.dist(y[a], y[b]) for a, b in edges)
        x = x * total / sum(math.dist(x[a], x[b]) for a, b in edges)
        distances = [math.dist(p - x[6], q - y[6]) for p, q in zip(x, y, strict=True)]
        expected.append(sum(distances) / 16)
    assert len(edges) == 15
    total = CANONICAL_BONE_SUM if canonical else None
    np.testing.assert_allclose(bone_mpjpe(source, target, NAMES, total), expected)


def test_the_sum_of_bones_of_a_known_body():
    """Every joint a millimetre from the next along its own axis."""
    joints = np.zeros((1, 16, 3))
    places = {
        "right_hip": (-2, 0, 0), "right_knee": (-2, -4, 0), "right_ankle": (-2, -8, 0),
        "left_hip": (2, 0, 0), "left_knee": (2, -4, 0), "left_ankle": (2, -8, 0),
        "neck": (0, 6, 0), "head_top": (0, 8, 0),
        "right_shoulder": (-3, 6, 0), "right_elbow": (-6, 6, 0), "right_wrist": (-6, 6, 3),
        "left_shoulder": (3, 6, 0), "left_elbow": (6, 6, 0), "left_wrist": (6, 6, 3),
    }  # fmt: skip
    for name, place in places.items():
        joints[0, NAMES.index(name)] = place
    np.testing.assert_allclose(bone_sum(joints, NAMES), 2 * (2 + 4 + 4 + 3 + 3 + 3) + 6 + 2)
