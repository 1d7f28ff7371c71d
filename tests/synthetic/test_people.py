"""People: everyday shapes and statures, and the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.synthetic.people import sample_person, sample_shape


@pytest.fixture(scope="module")
def people():
    return [sample_person(Body.default(), 6, number) for number in range(250)]


def stature(person) -> float:
    """Metres from the soles to the crown."""
    scale = torch.from_numpy(person.segment_scale)[None]
    transforms, _ = person.body.pose(torch.zeros(1, 24, 3), scale)
    points = person.body.vertex_points()
    return float(np.ptp(ops.lbs(transforms, points.joint_ids, points.anchors)[0, :, 1].numpy()))


def test_shapes_go_by_their_names():
    names = ("child", "old", "sex", "weight", "sex_weight", "leg_length", "else")
    drawn = np.array([sample_shape(np.random.default_rng(i), names) for i in range(2000)])
    assert np.abs(drawn).max() <= 1
    assert set(drawn[:, 2]) == {-1.0, 1.0}
    np.testing.assert_array_equal(drawn[:, 4], drawn[:, 2] * drawn[:, 3])
    assert (drawn[:, 0] > 0).mean() == pytest.approx(0.17, abs=0.03)
    assert (drawn[:, :2] >= 0).all()
    assert not ((drawn[:, 0] > 0) & (drawn[:, 1] > 0)).any()


def test_statures_are_those_of_people(people):
    """Men about 1.77 m, women about 1.63 m, with sd 0.07; children from six years on."""
    names = Body.default().shape_names
    tall = np.array([stature(person) for person in people])
    sex = np.array([person.shape[names.index("sex")] for person in people])
    child = np.array([person.child for person in people])
    age = np.array([person.shape[names.index("child")] for person in people])
    np.testing.assert_array_equal(child, age > 0)
    assert 0.1 < child.mean() < 0.25
    for own, mean in ((1, 1.77), (-1, 1.63)):
        grown = tall[~child & (sex == own)]
        assert grown.mean() == pytest.approx(mean, abs=0.03)
        assert grown.std() == pytest.approx(0.07, abs=0.02)
    assert 0.85 < tall[child].min() < 1.25
    assert np.corrcoef(tall[child], age[child])[0, 1] < -0.7


def test_segments_match_their_neighbours_and_the_other_side(people):
    body = Body.default()
    scale = np.array([person.segment_scale for person in people])
    np.testing.assert_array_equal(scale, scale[:, list(body.mirror_joints)])
    np.testing.assert_allclose(scale.mean(1), 1, atol=1e-6)
    assert 0.75 < scale.min() < 0.9
    assert 1.1 < scale.max() < 1.25
    limbs = [(parent, joint) for joint, parent in enumerate(body.parents) if parent > 0]
    near = np.mean([np.corrcoef(scale[:, a], scale[:, b])[0, 1] for a, b in limbs])
    assert near > 0.5


def test_a_person_is_the_same_whenever_it_is_made(people):
    again = sample_person(Body.default(), 6, 41)
    for name in ("number", "child", "look"):
        assert getattr(again, name) == getattr(people[41], name)
    for name in ("shape", "segment_scale"):
        np.testing.assert_array_equal(getattr(again, name), getattr(people[41], name))
    assert len({person.look for person in people}) == len(people)
    assert sample_person(Body.default(), 7, 41).look != again.look
