"""What a network learns from: the right part of each picture, and labels in its frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.data import rejected, sides
from bodyreg.data.reading import as_read
from bodyreg.pictures import write_picture
from bodyreg.regression.lessons import Album, Lessons, check_shares, crops_of
from bodyreg.regression.outputs import labels_of
from bodyreg.training.loops import generator

from .people import lessons_of, seen_exactly, some_fits, standing


@pytest.fixture
def pictures(tmp_path):
    """Three pictures; blue is the column, green the row, red the number of the picture."""
    for number in range(3):
        rows, columns = np.mgrid[:240, :250]
        colours = [columns, rows, np.full_like(rows, 100 * number)]
        write_picture(tmp_path / f"{number}.png", np.stack(colours, 2).astype(np.uint8))
    return tmp_path


def people_of(body, count: int = 5):
    fits = some_fits(count, 0)
    fits.frame[:] = [[100, 120, 40], [90, 100, 32], [120, 80, 48], [128, 128, 16], [5, 120, 64]]
    names = np.array(["0.png", "0.png", "1.png", "2.png", "1.png"])
    return fits, replace(seen_exactly(body, fits, 1), picture=names)


@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_crops_are_what_is_in_the_frames(pictures, body, margin):
    _, people = people_of(body)
    crops = crops_of(pictures, people, 32, margin)
    assert crops.shape == (5, 3, 32, 32) and crops.dtype == torch.uint8
    red, green, blue = crops[:4].float().unbind(1)
    expected = torch.tensor([0.0, 0.0, 100.0, 200.0])[:, None, None]
    assert torch.equal(red, expected.expand(4, 32, 32))
    for n, (x, y, half) in enumerate(people.frame[:4] * [1, 1, margin]):
        places = (np.arange(32) + 0.5) / 16 - 1  # the first pixel's middle is at 0.5
        assert np.abs(blue[n].numpy() - (x + half * places - 0.5)).max() <= 1
        assert np.abs(green[n].numpy() - (y + half * places - 0.5)[:, None]).max() <= 1
    assert not crops[4, :, :, :8].any() and crops[4, 0, :, 20:].all()  # outside of the picture


def test_lessons(pictures, body):
    fits, people = people_of(body)
    shuffled = fits.select([3, 1, 4, 0, 2])
    wider = shuffled.in_frames(shuffled.frame * np.array([1, 1, 2], np.float32))
    focal = np.array([np.nan, 300, np.inf, np.nan, 200], np.float32)
    wider = replace(wider, focal=focal[[3, 1, 4, 0, 2]], principal_point=np.full((5, 2), 100.0))
    lessons = Lessons.of(body, Album.of(pictures, people, 32), wider)
    assert len(lessons) == 5 and lessons.crops.shape == (5, 3, 48, 48)
    for found, expected in zip(lessons.labels, labels_of(fits, body), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    np.testing.assert_array_equal(lessons.people.focal, np.where(np.isnan(focal), np.inf, focal))
    assert lessons.confidence.max() == 1
    own = Lessons.of(body, Album.of(pictures, people, 32), wider, np.arange(5, dtype=np.float32))
    assert own.people.id.tolist() == own.confidence.tolist() == [0, 1, 2, 3, 4]


def test_evidence_teaches_as_the_label_has_read_it(pictures, body):
    """With exchanged sides, without what is another person's, and by the label's camera."""
    fits, people = people_of(body)
    exchanged = np.array([0, sides.bits(sides.POINTS, sides.KEYPOINTS), 0, 0, 0], np.uint8)
    left = np.array([0, 0, rejected.bits(["left arm"]), 0, 0], np.uint8)
    fits = replace(fits, exchanged=exchanged, rejected=left)
    sized = replace(people, picture_size=np.full((5, 2), 250, np.int32))
    found = Lessons.of(body, Album.of(pictures, sized, 32), fits).people
    expected = as_read(people, fits, body)
    for name in ("point_vertex", "point_weight", "keypoint_xy", "keypoint_weight"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.keypoint_weight[2] == 0).sum() > (people.keypoint_weight[2] == 0).sum()
    assert (found.keypoint_xy[1] != people.keypoint_xy[1]).any()
    assert np.isinf(found.focal).all()  # fits without perspective


def test_what_cannot_be_learnt_from(pictures, body):
    fits, people = people_of(body)
    with pytest.raises(UserError, match="person 0 names no picture"):
        Album.of(pictures, replace(people, picture=None), 32)
    with pytest.raises(UserError, match="hold no person 4"):
        Lessons.of(body, Album.of(pictures, people, 32), fits.select(slice(0, 4)))
    shaped = replace(fits, shape=np.zeros((5, 18), np.float32))
    with pytest.raises(UserError, match="fits with shapes cannot teach a network"):
        Lessons.of(body, Album.of(pictures, people, 32), shaped)
    for name in ("9.png", "../0.png"):
        names = people.picture.copy().astype("<U9")
        names[2] = name
        with pytest.raises(UserError, match="picture of person 2"):
            crops_of(pictures, replace(people, picture=names), 32)


def test_the_middle_of_a_crop_is_what_is_in_the_frame():
    random = np.random.default_rng(1)
    crops = torch.from_numpy(random.integers(0, 256, (300, 3, 48, 48), dtype=np.uint8))
    album = Album(None, crops)
    assert torch.equal(album.in_frames(32), crops[..., 8:40, 8:40])
    smaller = album.in_frames(16)  # each pixel has its colour from the middle of four
    four = crops[..., 8:40, 8:40].float().unflatten(2, (16, 2)).unflatten(4, (16, 2)).mean((3, 5))
    assert (smaller.float() - four).abs().max() <= 0.5 + 1e-3


def several(body, *counts: int) -> list[Lessons]:
    return [replace(lessons_of(body, standing(n, n), 32), parts=(n,)) for n in counts]


def test_data_sets_that_are_mixed(body):
    """With other keypoints, with and without depths; each person keeps what is known of it."""
    one, two = several(body, 3, 4)
    names = ("coco/nose", "h36m/left_hip", *one.people.keypoint_name[5:])
    extra = two.people.with_keypoints((*two.people.keypoint_name, "h36m/left_hip"))
    columns = [extra.keypoint_name.index(name) for name in names]
    other = replace(
        extra,
        keypoint_name=names,
        keypoint_depth=None,
        **{n: getattr(extra, n)[:, columns] for n in ("keypoint_xy", "keypoint_weight")},
    )
    mixed = Lessons.mixed([one, replace(two, people=other)])
    assert len(mixed) == 7 and mixed.parts == (3, 4) and mixed.shares is None
    assert torch.equal(mixed.crops, torch.cat([one.crops, two.crops]))
    assert torch.equal(mixed.labels.pose[3:], two.labels.pose)
    found = mixed.people
    assert found.keypoint_name == (*one.people.keypoint_name, "h36m/left_hip")
    np.testing.assert_array_equal(found.keypoint_xy[:3, :17], one.people.keypoint_xy)
    np.testing.assert_array_equal(found.keypoint_depth[:3, :17], one.people.keypoint_depth)
    assert not found.keypoint_weight[:3, 17].any() and not found.keypoint_weight[3:, 1:5].any()
    np.testing.assert_array_equal(
        found.keypoint_weight[3:, 5:17], two.people.keypoint_weight[:, 5:]
    )
    assert np.isnan(found.keypoint_depth[3:]).all()
    np.testing.assert_array_equal(found.point_xy[-5:], two.people.point_xy[-5:])
    assert Lessons.mixed([one]) is one


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((), (5, 15)), ((1, 1), (10, 10)), ((0.5, 1.5), (5, 15)), ((0, 1), (0, 15)), ((2, 0), (5, 0))],
)
def test_an_epoch_has_the_shares_of_the_data_sets(body, shares, expected):
    lessons = Lessons.mixed(several(body, 5, 15), shares)
    orders = [lessons.order(generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(*orders[:2]) and not torch.equal(*orders[1:])
    for order in orders:
        seen = np.bincount(order, minlength=20)
        assert (seen[:5].sum(), seen[5:].sum()) == expected
        for part in (seen[:5], seen[5:]):
            assert np.ptp(part) <= 1  # nobody twice before everybody once
    if shares == (1, 1):
        assert (orders[0][:10] < 5).sum() < 10  # mixed, not one after the other


def test_rounded_shares_are_a_whole_epoch(body):
    assert len(Lessons.mixed(several(body, 1, 1, 2), (1, 1, 1)).order(generator(0))) == 4
    few = Lessons.mixed(several(body, 2, 1, 2), (2.3, 0.9, 1.8)).order(generator(0))
    assert len(few) == 5 and (few == 2).sum() == 1  # not lost between two that are rounded up


@pytest.mark.parametrize("shares", [(1,), (0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1)])
def test_shares_that_no_epoch_can_have(shares):
    with pytest.raises(UserError, match="shares"):
        check_shares(shares, 2)
    check_shares((), 2)


def test_a_data_set_without_people_has_no_share(body):
    one, two = several(body, 3, 2)
    none = replace(
        two, crops=two.crops[:0], people=two.people.select([]), parts=(0,),
        labels=two.labels._make(block[:0] for block in two.labels), confidence=two.confidence[:0],
    )  # fmt: skip
    with pytest.raises(UserError, match=r"data set 2 has a share of 0\.5, but no person"):
        Lessons.mixed([one, none], (1, 0.5))
    for shares in ((), (1, 0)):
        assert sorted(Lessons.mixed([one, none], shares).order(generator(0)).tolist()) == [0, 1, 2]
