"""Where fits begin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from bodyreg import Observations, RegistrationConfig
from bodyreg.body import AXIS_ANGLE
from bodyreg.registration.starts import (
    WARM_LENGTH,
    cold_starts,
    turned_as_seen,
    warm_starts,
    without_root,
)
from tests.data.test_fits import some_fits


def test_a_turned_root_becomes_rotation(body):
    """Warm starts freeze the root at zero, so that another's turned root must move elsewhere."""
    fits = some_fits()
    turned = fits.select(slice(None))
    turned.pose = turned.pose.copy()
    turned.pose[:, 0] = np.random.default_rng(2).normal(0, 0.5, (3, 3))
    p = AXIS_ANGLE.split(warm_starts(turned, body, torch.device("cpu"), torch.float32)[:, 0])
    moved = replace(turned, **p._replace(rotation=p.rotation / WARM_LENGTH).arrays())
    assert (moved.pose[:, 0] == 0).all()
    np.testing.assert_allclose(moved.joints(body)[..., :2], turned.joints(body)[..., :2], atol=2e-6)


def test_a_turned_root_becomes_rotation_in_perspective(body):
    """SMPL's pelvis is not at the origin about which the camera turns."""
    off = np.float32([0, -0.22, 0.03])
    low = replace(body, vertices=body.vertices + off, joints=body.joints + off)
    camera = {"focal": np.float32([300, 600, np.nan]), "principal_point": np.zeros((3, 2)) + 90}
    fits = replace(some_fits(), **camera)
    fits.pose = fits.pose.copy()
    fits.pose[:, 0] = np.random.default_rng(3).normal(0, 0.7, (3, 3))
    again = without_root(fits, low)
    single = ("pose", "rotation", "translation", "scale")
    again = replace(again, **{name: getattr(again, name).astype(np.float32) for name in single})
    assert (again.pose[:, 0] == 0).all() and (again.scale[:2] != fits.scale[:2]).all()
    seen, expected = (some.seen(some.vertices(low))[..., :2] for some in (again, fits))
    np.testing.assert_allclose(seen, expected, atol=2e-5)


def test_lifted_people_start_as_their_trunks_are_lifted(body):
    """The T-pose from all sides: the first start is the rotation with which it was seen."""
    random = np.random.default_rng(5)
    rotation = Rotation.random(20, random_state=6).as_matrix()
    names = ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "left_wrist")
    rest = body.joints[[body.joint_names.index(name) for name in names]] - body.joints[0]
    places = np.einsum("nij,kj->nki", rotation, rest)
    seen = Observations.of_keypoints(
        names, 500 + 100 * places[..., :2] * [1, -1], np.ones(places.shape[:2])
    )
    depth = 100 * places[..., 2] / seen.frame[:, 2:]
    spread = random.uniform(0.1, 0.2, depth.shape)
    spread[0, 0] = np.nan
    weight = seen.keypoint_weight.copy()
    weight[1, 3] = 0
    lifted = replace(seen.with_depths(depth, spread), keypoint_weight=weight)
    config = RegistrationConfig(starts=3, roll_starts=False)
    cold = cold_starts(20, config, torch.device("cpu"), torch.float64)
    start = turned_as_seen(cold, lifted, config)
    before, after = (AXIS_ANGLE.split(one.reshape(60, -1)) for one in (cold, start))
    expected = rotation.repeat(3, axis=0) @ before.rotation.numpy()
    expected[:6] = before.rotation[:6]  # of the two people whose trunks are not known
    np.testing.assert_allclose(after.rotation, expected, atol=1e-3)
    for name, block in before._asdict().items():
        assert name == "rotation" or torch.equal(block, getattr(after, name))
    for others in (seen, seen.with_depths(depth), lifted.select(slice(0, 2))):
        some = cold[: len(others)]
        assert torch.equal(turned_as_seen(some, others, config), some)
    paper = RegistrationConfig.preset("paper")
    assert torch.equal(turned_as_seen(cold, lifted, paper), cold)


def test_starts_are_rolled_as_the_trunk_lies_on_the_picture(body):
    """A T-pose that is turned about the view is seen upright by its starts."""
    random = np.random.default_rng(7)
    angle = random.uniform(-np.pi, np.pi, 12)
    rotation = Rotation.from_rotvec(angle[:, None] * [0, 0, 1]).as_matrix()
    names = ("nose", "left_hip", "right_hip", "left_shoulder", "right_shoulder")
    rest = np.array([[0, 0.6], [0.1, 0], [-0.1, 0], [0.2, 0.5], [-0.2, 0.5]])
    places = np.einsum("nij,kj->nki", rotation[:, :2, :2], rest)
    seen = Observations.of_keypoints(names, 500 + 100 * places * [1, -1], np.ones(places.shape[:2]))
    weight = seen.keypoint_weight.copy()
    weight[0, 1:3] = 0  # no hip: stays
    weight[1, [1, 3]] = 0  # one hip and the shoulder of its side: a parallel line
    seen = replace(seen, keypoint_weight=weight)
    rotation[0] = np.eye(3)
    right = places[1, 4] - places[1, 2]
    roll = np.arctan2(-right[0], right[1])
    rotation[1] = Rotation.from_rotvec([0, 0, roll]).as_matrix()
    config = RegistrationConfig(starts=2)
    cold = cold_starts(12, config, torch.device("cpu"), torch.float64)
    start = turned_as_seen(cold, seen, config)
    before, after = (AXIS_ANGLE.split(one.reshape(24, -1)) for one in (cold, start))
    expected = rotation.repeat(2, axis=0) @ before.rotation.numpy()
    np.testing.assert_allclose(after.rotation, expected, atol=1e-5)
    alone = turned_as_seen(cold[3:4], seen.select(slice(3, 4)), config)
    assert torch.equal(alone, start[3:4])
    still = replace(config, roll_starts=False)
    assert torch.equal(turned_as_seen(cold, seen, still), cold)


def test_without_hips_or_shoulders_starts_stay(body):
    seen = Observations.of_keypoints(("nose", "left_hip"), np.zeros((2, 2, 2)), np.ones((2, 2)))
    lifted = seen.with_depths(np.zeros((2, 2)), np.ones((2, 2)))
    cold = cold_starts(2, RegistrationConfig(), torch.device("cpu"), torch.float32)
    assert torch.equal(turned_as_seen(cold, lifted, RegistrationConfig()), cold)
