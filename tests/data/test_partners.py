"""Points and keypoints of two detectors: the same people are found in every picture."""

import dataclasses

import numpy as np
import pytest

from bodyreg.data.observations import Observations
from bodyreg.data.partners import WITHOUT_POINTS, matches, with_keypoints_of
from bodyreg.errors import UserError


def people(centres, pictures, seed=0, **rest) -> Observations:
    """Dense points round these centres, 80 pixels wide and 160 high; ids from 100."""
    random, count = np.random.default_rng(seed), len(centres)
    xy = np.asarray(centres)[:, None] + random.uniform(-1, 1, (count, 30, 2)) * [40, 80]
    return Observations(
        id=100 + np.arange(count),
        frame=np.column_stack([centres, np.full(count, 96.0)]),
        point_start=30 * np.arange(count + 1),
        point_xy=xy.reshape(-1, 2),
        point_vertex=np.zeros((30 * count, 3), int),
        point_barycentric=np.tile([1, 0, 0], (30 * count, 1)),
        point_weight=np.ones(30 * count),
        keypoint_name=(),
        keypoint_xy=np.zeros((count, 0, 2)),
        keypoint_weight=np.zeros((count, 0)),
        picture=None if pictures is None else np.array(pictures),
        **rest,
    )


def keypoints(centres, pictures, seed=0, half=60.0, **rest) -> Observations:
    random, count = np.random.default_rng(seed), len(centres)
    xy = np.asarray(centres)[:, None] + random.uniform(-1, 1, (count, 17, 2)) * [36, 72]
    return Observations.of_keypoints(
        tuple(f"k{n}" for n in range(17)), xy, random.uniform(0.1, 1, (count, 17)),
        frame=np.column_stack([centres, np.full(count, half)]),
        picture=None if pictures is None else np.array(pictures), **rest,
    )  # fmt: skip


def centres_in_a_row(count: int, random: np.random.Generator) -> np.ndarray:
    """Neighbours who hide a part of each other."""
    return np.column_stack([100 + 55.0 * np.arange(count), random.uniform(190, 210, count)])


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_of_all_pictures_are_told_apart(seed):
    random = np.random.default_rng(seed)
    centres = np.concatenate([centres_in_a_row(4, random) for _ in range(6)])
    names = np.repeat([f"{n}.jpg" for n in range(6)], 4)
    order = random.permutation(24)[:19]
    seen = people(centres, names, seed)
    other = keypoints(centres[order], names[order], seed)
    mine, theirs = matches(seen, other)
    assert sorted(theirs.tolist()) == list(range(19))
    assert (order[theirs] == mine).all()
    joined, skipped = with_keypoints_of(seen, other, "k.json")
    assert not skipped and joined.id.tolist() == seen.id.tolist()
    np.testing.assert_array_equal(joined.point_xy, seen.point_xy)
    np.testing.assert_array_equal(joined.keypoint_xy[mine], other.keypoint_xy[theirs])
    np.testing.assert_array_equal(joined.keypoint_weight[mine], other.keypoint_weight[theirs])
    alone = np.setdiff1d(np.arange(24), mine)
    assert len(alone) == 5 and (joined.keypoint_weight[alone] == 0).all()
    joined.check()


def test_names_of_pictures_may_have_folders_and_other_suffixes():
    seen = people([[100, 100.0]] * 3, ["a.png", "b.png", "c.v2.png"])
    names = ["val\\b.jpg", "/data/c.v2.JPEG", "x/a"]
    other = keypoints([[100, 100.0]] * 3, names)
    mine, theirs = matches(seen, other)
    assert dict(zip(mine.tolist(), theirs.tolist(), strict=True)) == {0: 2, 1: 0, 2: 1}


def test_people_far_away_and_in_other_pictures_are_no_partners():
    seen = people([[100, 100.0], [400, 100]], ["a.png", "a.png"])
    other = keypoints([[100, 100.0], [700, 100], [400, 100]], ["b.png", "a.png", "a.png"])
    joined, skipped = with_keypoints_of(seen, other, "k.json")
    assert skipped == {WITHOUT_POINTS: 2}
    assert (joined.keypoint_weight > 0).any(1).tolist() == [False, True]
    np.testing.assert_array_equal(joined.keypoint_xy[1], other.keypoint_xy[2])


def test_depths_change_their_units_and_cameras_are_filled():
    random = np.random.default_rng(4)
    seen = people([[100, 100.0], [400, 100]], ["a.png", "b.png"], focal=np.array([np.nan, 700]))
    other = keypoints([[400, 100.0], [100, 100]], ["b.png", "a.png"], focal=np.array([900, 800]),
                      picture_size=np.array([[640, 480], [320, 240]]))  # fmt: skip
    depth, spread = random.normal(size=(2, 17)), random.uniform(0.1, 1, (2, 17))
    depth[0, 3] = spread[0, 3] = np.nan
    other = dataclasses.replace(other, keypoint_depth=depth, keypoint_depth_spread=spread)
    joined, _ = with_keypoints_of(seen, other, "k.json")
    np.testing.assert_allclose(joined.keypoint_depth, depth[::-1] * 60 / 96, rtol=1e-6)
    np.testing.assert_allclose(joined.keypoint_depth_spread, spread[::-1] * 60 / 96, rtol=1e-6)
    assert joined.focal.tolist() == [800, 700]
    assert joined.picture_size.tolist() == [[320, 240], [640, 480]]


def test_nobody_on_either_side():
    seen, other = people([[9, 9.0]], ["a.png"]), keypoints([[9, 9.0]], ["a.png"])
    joined, skipped = with_keypoints_of(seen, other.select(slice(0, 0)), "k.json")
    assert not skipped and joined.keypoint_weight.shape == (1, 17)
    joined, skipped = with_keypoints_of(seen.select(slice(0, 0)), other, "k.json")
    assert skipped == {WITHOUT_POINTS: 1} and len(joined) == 0


def test_pictures_must_be_named():
    seen, other = people([[9, 9.0]], None), keypoints([[9, 9.0]], ["a.png"])
    for pair in ((seen, other), (other, seen)):
        with pytest.raises(UserError, match=r"k.json: people and keypoints are matched .*--images"):
            with_keypoints_of(*pair, "k.json")


def test_pictures_of_another_data_set_are_refused():
    seen, other = people([[9, 9.0]], ["a.png"]), keypoints([[9, 9.0]] * 2, ["c.png", "b.png"])
    with pytest.raises(
        UserError, match=r"k.json: none of its pictures \(b \.\.\.\) .* \(a \.\.\.\)"
    ):
        with_keypoints_of(seen, other, "k.json")


def test_a_person_without_any_evidence_has_no_partner():
    seen = people([[100, 100.0]], ["a.png"])
    other = keypoints([[100, 100.0]], ["a.png"])
    nothing = dataclasses.replace(other, keypoint_weight=np.zeros((1, 17)))
    assert with_keypoints_of(seen, nothing, "k.json")[1] == {WITHOUT_POINTS: 1}
