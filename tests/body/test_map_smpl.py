"""The tool that made the table of SMPL's vertices, on meshes with known results."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bodyreg.body import rotation_matrices

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from body_maker import fingers


@pytest.fixture(scope="module")
def hand(body):
    wrist = body.joints[body.joint_names.index("left_wrist")]
    vertices = body.vertices.astype(np.float64)
    return fingers.find(vertices, body.faces, fingers.tips_by_shape(vertices, body.faces, wrist))


def test_the_fingers_of_the_built_in_body(body, hand):
    tips, webs = body.vertices[hand.tips], body.vertices[hand.webs]
    assert (tips[:, 0] > 0.74).all()
    assert (np.diff(tips[:, 2]) < -0.01).all()  # from the thumb, in front, to the little finger
    assert tips[2, 0] == body.vertices[:, 0].max()  # the middle finger is the longest
    assert (webs[:, 0] < tips[:4, 0]).all()
    for finger in range(5):
        members = body.vertices[hand.finger == finger]
        assert 15 < len(members) < 120
        # A finger is thin and long.
        spread = np.linalg.svd(members - members.mean(0), compute_uv=False)
        assert spread[0] > 2 * spread[1]
        assert hand.finger[hand.tips[finger]] == finger
    assert (hand.finger[body.vertices[:, 0] < 0.6] == -1).all()


def test_moved_hands_have_the_same_fingers(body, hand):
    import torch

    turn = rotation_matrices(torch.tensor([[0.3, -1.1, 0.7]])).numpy()[0]
    moved = body.vertices.astype(np.float64) @ turn.T + [1, 2, 3]
    again = fingers.find(moved, body.faces, hand.tips)
    np.testing.assert_array_equal(again.webs, hand.webs)
    np.testing.assert_array_equal(again.finger, hand.finger)


def test_distances_along_a_strip():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0]])
    faces = np.array([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]])
    away, before = fingers.along_surface(vertices, faces, np.array([0]))
    np.testing.assert_allclose(away[0], [0, 1, 2, 1, 2**0.5, 1 + 2**0.5])
    assert before[0, 2] == 1
