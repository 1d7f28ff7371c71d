"""Rigs folded by usual proportions, and bodies that have them."""

import dataclasses

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.body import Body
from bodyreg.body.proportions import folded_anchors, folded_joints
from bodyreg.body.rotations import rotation_matrices
from bodyreg.errors import UserError


def test_a_folded_rig_moves_as_the_whole_one():
    """Scales μ·S' of the body are scales S' of the folded rig, in every pose. Float64."""
    body, random = Body.default(), torch.Generator().manual_seed(5)
    pose = torch.randn(7, 24, 3, generator=random, dtype=torch.float64)
    usual = torch.rand(24, generator=random, dtype=torch.float64) + 0.6
    scale = torch.rand(7, 24, generator=random, dtype=torch.float64) + 0.5
    joints = torch.from_numpy(body.joints).double()
    points = body.vertex_points().select(np.arange(0, len(body.vertices), 50))
    ids, anchors = points.joint_ids, points.anchors.double()

    def posed(joints, anchors, scale):
        turns = rotation_matrices(pose)
        transforms, places = reference.kinematics(turns, scale, joints, body.parents)
        return reference.lbs(transforms, ids, anchors), places

    folded = folded_joints(joints, usual, body.parents)
    whole = posed(joints, anchors, usual * scale)
    ours = posed(folded, folded_anchors(ids, anchors, joints, folded, usual), scale)
    for one, other in zip(ours, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_body_file_keeps_its_proportions(tmp_path):
    scale = np.random.default_rng().uniform(0.8, 1.2, 24).astype(np.float32)
    body = Body.default().with_proportions(scale)
    body.save(tmp_path / "body.npz")
    np.testing.assert_array_equal(Body.load(tmp_path / "body.npz").proportions, scale)
    assert body.fingerprint == Body.default().fingerprint
    Body.default().save(tmp_path / "body.npz")
    assert Body.load(tmp_path / "body.npz").proportions is None


@pytest.mark.parametrize("value", [0, 0.49, 2.1, -1, np.nan, np.inf])
def test_proportions_that_no_people_have_are_refused(tmp_path, value):
    scale = np.ones(24)
    scale[4] = value
    with pytest.raises(UserError, match=r"the usual scale of segment 'left_knee' is .* 0\.5"):
        Body.default().with_proportions(scale)
    body = dataclasses.replace(Body.default(), proportions=np.float32(scale))
    body.save(tmp_path / "body.npz")
    with pytest.raises(UserError, match=r"body.npz: .*(left_knee|NaN or infinity)"):
        Body.load(tmp_path / "body.npz")


def test_another_number_of_proportions_is_an_error():
    with pytest.raises(ValueError, match=r"segment_scale: expected shape \(24,\), got \(23,\)"):
        Body.default().with_proportions(np.ones(23))
