"""Left and right of evidence, exchanged."""

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Body, Observations
from bodyreg.body import JOINT_NAMES
from bodyreg.data.sides import KEYPOINTS, POINTS, bits, with_exchanged
from bodyreg.data.skeletons import BLAZEPOSE_33, COCO_17


@pytest.fixture(scope="module")
def people() -> Observations:
    random, body = np.random.default_rng(), Body.default()
    count, points = 5, 40
    names = tuple(f"coco/{name}" for name in COCO_17.joints)
    shape = count, len(names)
    return Observations(
        id=np.arange(count),
        frame=np.tile([100.0, 100.0, 90.0], (count, 1)),
        point_start=points * np.arange(count + 1),
        point_xy=random.uniform(20, 180, (count * points, 2)),
        point_vertex=body.faces[random.integers(len(body.faces), size=count * points)],
        point_barycentric=random.dirichlet(np.ones(3), count * points),
        point_weight=np.ones(count * points),
        keypoint_name=names,
        keypoint_xy=random.uniform(20, 180, (*shape, 2)),
        keypoint_weight=random.uniform(0.1, 1, shape),
        keypoint_depth=random.normal(size=shape),
        body=body.fingerprint,
    )


def test_only_the_groups_of_a_person_are_exchanged(people):
    """Reference: vertex by vertex, and keypoint by keypoint."""
    body, random = Body.default(), np.random.default_rng()
    sets = random.integers(0, 256, len(people)).astype(np.uint8)
    sets[0] = 0
    changed = with_exchanged(people, sets, body)
    for row, person in enumerate(people.point_person.tolist()):
        corner = people.point_barycentric[row].argmax()
        joint = JOINT_NAMES[body.segment[people.point_vertex[row, corner]]]
        kind = joint.removeprefix("left_").removeprefix("right_")
        group = next(place for place, kinds in enumerate(POINTS.values()) if kind in kinds)
        expected = people.point_vertex[row]
        if sets[person] >> group & 1:
            expected = body.mirror_vertices[expected]
        np.testing.assert_array_equal(changed.point_vertex[row], expected)
    for person, column in np.ndindex(people.keypoint_weight.shape):
        name = people.keypoint_name[column]
        limb = next((n for n, words in KEYPOINTS.items() if any(w in name for w in words)), "head")
        group, other = len(POINTS) + list(KEYPOINTS).index(limb), column
        if sets[person] >> group & 1:
            swapped = name.replace("left_", "R").replace("right_", "left_").replace("R", "right_")
            other = people.keypoint_name.index(swapped)
        for array in ("keypoint_xy", "keypoint_weight", "keypoint_depth"):
            before, after = getattr(people, array), getattr(changed, array)
            np.testing.assert_array_equal(after[person, column], before[person, other])
    again = with_exchanged(changed, sets, body)
    np.testing.assert_array_equal(again.point_vertex, people.point_vertex)
    np.testing.assert_array_equal(again.keypoint_xy, people.keypoint_xy)
    np.testing.assert_array_equal(changed.point_xy, people.point_xy)


def test_what_has_no_other_side_stays(people):
    body = Body.default()
    every = np.full(len(people), bits(POINTS, KEYPOINTS), np.uint8)
    assert every[0] == 255
    alone = with_exchanged(people, every, replace(body, mirror_vertices=None))
    np.testing.assert_array_equal(alone.point_vertex, people.point_vertex)
    names = tuple(name.replace("right_", "other_") for name in people.keypoint_name)
    alone = with_exchanged(replace(people, keypoint_name=names), every, body)
    np.testing.assert_array_equal(alone.keypoint_xy, people.keypoint_xy)
    assert with_exchanged(people, None, body) is people
    assert with_exchanged(people, 0 * every, body) is people
    nobody = people.select(np.zeros(0, int))
    assert with_exchanged(nobody, every[:0], body) is nobody


def test_keypoints_of_feet_are_exchanged_with_legs():
    body, names = Body.default(), BLAZEPOSE_33.keypoints
    feet = [i for i, name in enumerate(names) if "foot" in name or "heel" in name]
    xy = np.random.default_rng().uniform(0, 100, (1, len(names), 2))
    people = Observations.of_keypoints(names, xy, np.ones((1, len(names))))
    legs, arms = (
        with_exchanged(people, np.uint8([bits((), (limb,))]), body) for limb in ("legs", "arms")
    )
    assert (legs.keypoint_xy[0, feet] != people.keypoint_xy[0, feet]).all()
    np.testing.assert_array_equal(arms.keypoint_xy[0, feet], people.keypoint_xy[0, feet])
