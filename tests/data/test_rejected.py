"""Evidence that is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Body, Observations, register
from bodyreg.data import Fits
from bodyreg.data.reading import FAR, as_read
from bodyreg.data.rejected import DISTANT, LIMBS, PARTS, bits, limb_columns, parts_of
from bodyreg.data.skeletons import COCO_17, SKELETONS


@pytest.fixture(scope="module")
def people() -> Observations:
    random, body = np.random.default_rng(), Body.default()
    count, points = 4, 30
    names = COCO_17.keypoints
    return Observations(
        id=np.arange(count),
        frame=np.tile([100.0, 100.0, 90.0], (count, 1)),
        point_start=points * np.arange(count + 1),
        point_xy=random.uniform(20, 180, (count * points, 2)),
        point_vertex=body.faces[random.integers(len(body.faces), size=count * points)],
        point_barycentric=random.dirichlet(np.ones(3), count * points),
        point_weight=random.uniform(0.1, 1, count * points),
        keypoint_name=names,
        keypoint_xy=random.uniform(20, 180, (count, len(names), 2)),
        keypoint_weight=random.uniform(0.1, 1, (count, len(names))),
        body=body.fingerprint,
    )


@pytest.fixture(scope="module")
def fits(people) -> Fits:
    return register(Body.default(), people)


def test_sets_have_names():
    for chosen in range(1 << len(PARTS)):
        assert bits(parts_of(chosen)) == chosen
    assert parts_of(0) == [] and parts_of(bits(PARTS)) == list(PARTS)


@pytest.mark.parametrize("name", SKELETONS)
def test_limbs_begin_below_shoulders_and_hips(name):
    names = SKELETONS[name].keypoints
    columns = limb_columns(names)
    assert (columns.sum(0) <= 1).all()
    for limb, own in zip(LIMBS, columns, strict=True):
        side, kind = limb.split()
        least = {"arm": ("elbow", "wrist"), "leg": ("knee", "ankle")}[kind]
        found = [n for n, mine in zip(names, own, strict=True) if mine]
        assert all(any(n.endswith(f"{side}_{joint}") for n in found) for joint in least)
    kept = " ".join(n for n, column in zip(names, columns.T, strict=True) if not column.any())
    assert "shoulder" in kept and "hip" in kept


def test_rejected_parts_are_not_read(people, fits):
    """Reference: keypoint by keypoint, and point by point."""
    body, random = Body.default(), np.random.default_rng()
    sets = random.integers(0, 1 << len(PARTS), len(people)).astype(np.uint8)
    sets[:2] = 0, bits(PARTS)
    fits = replace(fits, exchanged=np.zeros(len(people), np.uint8), rejected=sets)
    read = as_read(people, fits, body)
    seen, at = fits.seen(fits.vertices(body)), people.points_in_frame()
    for row, person in enumerate(people.point_person.tolist()):
        corners = seen[person, people.point_vertex[row], :2].astype(float)
        apart = np.linalg.norm(people.point_barycentric[row] @ corners - at[row])
        gone = DISTANT in parts_of(sets[person]) and apart > FAR
        if abs(apart - FAR) > 1e-4:
            assert read.point_weight[row] == (0 if gone else people.point_weight[row])
    for person, column in np.ndindex(people.keypoint_weight.shape):
        side, _, joint = people.keypoint_name[column].rpartition("/")[2].partition("_")
        limb = {"elbow": "arm", "wrist": "arm", "knee": "leg", "ankle": "leg"}.get(joint)
        gone = f"{side} {limb}" in parts_of(sets[person])
        expected = 0 if gone else people.keypoint_weight[person, column]
        assert read.keypoint_weight[person, column] == expected
    np.testing.assert_array_equal(read.point_xy, people.point_xy)


def test_nothing_rejected_is_the_same(people, fits):
    for rejected in (None, np.zeros(len(people), np.uint8)):
        some = replace(fits, exchanged=None, rejected=rejected)
        assert as_read(people, some, Body.default()) is people


def test_reasons_name_the_parts(people, fits):
    rejected = np.full(len(people), bits(["left arm", DISTANT]), np.uint8)
    doubts = {"foreign": np.full(len(people), 2.0, np.float32)}
    reasons = replace(fits, rejected=rejected, doubts=doubts).reasons(0)
    words = "parts of the evidence may be another person's"
    assert reasons == [f"{words}; left out: left arm, distant points"]
    assert replace(fits, rejected=None, doubts=doubts).reasons(0) == [words]
