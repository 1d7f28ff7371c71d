"""What flow networks learn from: sizes, shifts, mirrors, true bodies, people who are held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.body import MIRROR_JOINTS
from bodyreg.data import Fits
from bodyreg.data.bodies import zoomed
from bodyreg.data.flip import flip_fits
from bodyreg.data.truth import Truth
from bodyreg.flow import FlowAugmentation, Lessons, between, body_joints, extended
from bodyreg.flow.augmentation import Changes
from bodyreg.flow.bodies import parts
from bodyreg.ops import Flow

from .made import in_pictures

FITTED = (
    *("id", "frame", "pose", "segment_scale", "rotation"),
    *("scale", "translation", "focal", "principal_point"),
)
SIZE = (128, 128)
PAIRS = np.array([[0, 1], [1, 0], [2, 0], [3, 1]])


def some_fits(focal: float | None = None) -> Fits:
    shown = in_pictures(8, 0, SIZE, focal)
    return Fits.concatenate([one.fits for one in shown])


def lessons_of(body, fits: Fits, **more) -> Lessons:
    joints = body_joints(body, fits)
    joints[1, 4] = np.nan
    return Lessons.of(body, fits, joints, PAIRS, SIZE, (64, 64), **more)


@pytest.mark.parametrize("focal", [None, 300.0])
def test_a_lesson_is_what_bodies_say(body, focal):
    fits = some_fits(focal)
    lessons = lessons_of(body, fits, fitted=fits)
    lesson = lessons.lesson(torch.tensor([2, 0]))
    small = zoomed(fits, 0.5)
    right = between(body, small.select([2, 0]), small.select([0, 1]), (64, 64))
    assert torch.equal(lesson.flow, right.flow.permute(0, 3, 1, 2))
    assert torch.equal(lesson.visibility, right.visibility)
    full = extended(right)
    assert torch.equal(lesson.given[0], full.flow.permute(0, 3, 1, 2))
    assert torch.equal(lesson.given[1], right.visibility)
    joints = body_joints(body, fits)[2] / 2
    joints[((joints < 0) | (joints > 64)).any(1)] = np.nan
    np.testing.assert_allclose(lesson.joints[0, 0], joints, atol=1e-4)
    assert lesson.joints[1, 1, 4].isnan().all()
    for seen, pictures in ((lesson.source, [2, 0]), (lesson.target, [0, 1])):
        assert torch.equal(seen, parts(body, small.select(pictures), (64, 64)))
        assert set(seen.unique().tolist()) == set(range(7))
    assert torch.equal(lesson.target > 0, lesson.visibility < 2)
    # In pictures of half the size, flow is half as long.
    large = between(body, fits.select([2]), fits.select([0]), SIZE)
    both = (large.visibility[0, ::2, ::2] < 2) & (right.visibility[0] < 2)
    apart = (large.flow[0, ::2, ::2] / 2 - right.flow[0]).norm(dim=-1)[both]
    assert both.sum() > 200 and apart.median() < 0.6


@pytest.mark.parametrize("focal", [None, 300.0])
def test_targets_that_are_shifted(body, focal):
    fits = some_fits(focal)
    lessons = lessons_of(body, fits, fitted=fits)
    chosen = torch.tensor([0, 3])
    changes = Changes(torch.zeros(2, dtype=torch.bool), torch.tensor([[5, -3], [-40, 0]]))
    plain, moved = lessons.lesson(chosen), lessons.lesson(chosen, changes)
    inside = plain.visibility[0, 3:, :-5], moved.visibility[0, :-3, 5:]
    assert (inside[0] == inside[1]).float().mean() > 0.995
    same = (inside[0] < 2) & (inside[1] < 2)
    shift = torch.tensor([5.0, -3.0])[:, None, None]
    error = (plain.flow[0, :, 3:, :-5] - shift - moved.flow[0, :, :-3, 5:]).norm(dim=0)
    assert error[same].max() < 0.01
    assert torch.equal(plain.source, moved.source)
    joints = plain.joints[:, 1] + changes.shift[:, None]
    gone = moved.joints[:, 1].isnan()
    outside = ((joints < 0) | (joints > 64)).any(-1) | joints.isnan().any(-1)
    assert torch.equal(gone.any(-1), outside) and outside[1].any()
    torch.testing.assert_close(moved.joints[:, 1][~gone], joints[~gone])
    torch.testing.assert_close(moved.joints[:, 0], plain.joints[:, 0], equal_nan=True)


@pytest.mark.parametrize("focal", [None, 300.0])
def test_true_bodies_can_stand_for_fits(body, focal):
    fits = some_fits(focal)
    places = fits.vertices(body)
    places[..., :2] -= fits.translation[:, None]
    count = len(fits)
    known = {name: getattr(fits, name) for name in FITTED}
    truth = Truth(
        **known,
        shape=np.zeros((count, 0), np.float32),
        vertices=places / fits.scale[:, None, None],
        joints=np.zeros((count, 24, 3), np.float32),
        visible=np.ones(places.shape[:2], bool),
        action=np.full(count, ""),
        subject=np.full(count, ""),
        camera=np.full(count, ""),
        child=np.zeros(count, bool),
        cut=np.zeros(count, np.float32),
        occluded=np.zeros(count, np.float32),
        body=body.fingerprint,
    )
    joints = body_joints(body, fits)
    changes = Changes(torch.tensor([True, False]), torch.tensor([[4, 2], [-7, 0]]))
    found, expected = (
        Lessons.of(body, some, joints, PAIRS, SIZE, (64, 64)).lesson(torch.tensor([0, 3]), changes)
        for some in (truth, fits)
    )
    for one, other in ((found.flow, expected.flow), (found.joints, expected.joints)):
        known = (one - other).abs().nan_to_num()
        assert known.median() == 0 and (known > 0.02).float().mean() < 0.002
    for one, other in zip(found[2:5], expected[2:5], strict=True):
        assert (one == other).float().mean() > 0.998


def test_mirrored_lessons_are_those_of_mirrored_bodies(body):
    fits = some_fits()
    lessons, chosen = lessons_of(body, fits, fitted=fits), torch.tensor([0, 2])
    changes = Changes(torch.tensor([True, False]), torch.zeros(2, 2, dtype=torch.int64))
    found, plain = lessons.lesson(chosen, changes), lessons.lesson(chosen)
    expected = lessons_of(body, flip_fits(fits, SIZE[1])).lesson(chosen)
    for one, other in zip(found[:5], plain[:5], strict=True):
        assert torch.equal(one[1].nan_to_num(-1), other[1].nan_to_num(-1))
    assert (found.visibility[0] == expected.visibility[0]).float().mean() > 0.98
    both = (found.visibility[0] == 0) & (expected.visibility[0] == 0)
    assert (found.flow[0] - expected.flow[0]).norm(dim=0)[both].median() < 0.1
    assert (found.target[0] == expected.target[0]).float().mean() > 0.98
    assert (found.source[0] == expected.source[0]).float().mean() > 0.98
    apart = (found.joints[0] - expected.joints[0]).abs().nan_to_num()
    assert apart.max() < 0.01 and found.joints[0].isfinite().float().mean() > 0.8
    twice = found.mirrored.mirrored
    for one, other in zip(twice[:5], found[:5], strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)
    assert MIRROR_JOINTS[16] == 17  # sides are exchanged, so arms' parts are
    assert (found.target[0] == 3).sum() == (plain.target[0] == 4).sum() > 0


def test_flow_reaches_beyond_its_body():
    kind = torch.full((2, 4, 6), 2, dtype=torch.uint8)
    given = Flow(torch.zeros(2, 4, 6, 2), kind)
    kind[1, 1, 1], kind[1, 1, 4] = 0, 1
    given.flow[1, 1, 1], given.flow[1, 1, 4] = torch.tensor([[1.0, 2], [3, 4]])
    found = extended(given)
    assert (found.flow[0] == 0).all()  # there is no body
    assert (found.flow[1, :, :3] == torch.tensor([1.0, 2])).all()
    assert (found.flow[1, :, 3:] == torch.tensor([3.0, 4])).all()
    assert torch.equal(found.visibility, kind) and (given.flow[1, 0] == 0).all()


def test_draws(body):
    random = torch.Generator().manual_seed(0)
    changes = FlowAugmentation(mirror=0.25, across=3, down=0).draw(4000, random)
    assert abs(changes.mirror.float().mean() - 0.25) < 0.03
    assert set(changes.shift[:, 0].tolist()) == {-3, -2, -1, 0, 1, 2}
    assert (changes.shift[:, 1] == 0).all()
    assert torch.equal(changes.select(slice(5, 9)).shift, changes.shift[5:9])
    with pytest.raises(UserError, match="option mirror is -1"):
        FlowAugmentation(mirror=-1)


def test_people_who_are_held_out(body):
    """Whoever is in a picture that a pair shares with another pair is the same person."""
    fits = some_fits()
    many = fits.select(np.arange(40) % 5)
    pairs = np.array(
        [[5 * p + a, 5 * p + b] for p in range(8) for a, b in ((0, 1), (1, 2), (4, 2))]
    )
    lessons = Lessons(body, many, body_joints(body, many), pairs, SIZE)
    taught, held = lessons.split(0.3, 5)
    assert len(taught) == 18 and len(held) == 6
    assert not set(taught.pairs.ravel() // 5) & set(held.pairs.ravel() // 5)
    assert np.array_equal(held.pairs, lessons.split(0.3, 5)[1].pairs)
    assert not np.array_equal(held.pairs, lessons.split(0.3, 6)[1].pairs)
    assert len(lessons.split(0.001, 0)[1]) == 3 and len(lessons.split(0, 0)[1]) == 0
    with pytest.raises(UserError, match="1 of 1 people cannot be held out"):
        replace(lessons, pairs=pairs[:3]).split(0.1, 0)


def test_other_shapes_are_refused(body):
    fits = some_fits()
    with pytest.raises(UserError, match="pictures of 128 x 128 pixels cannot be taught as 64 x 96"):
        Lessons.of(body, fits, body_joints(body, fits), PAIRS, SIZE, (96, 64))
    for picture, size in (((784, 784), (64, 64)), ((400, 600), (56, 84))):  # 64 / 784 * 784 < 64
        found = Lessons.of(body, fits, body_joints(body, fits), PAIRS, picture, size)
        assert found.size == size


def test_fingerprints_tell_lessons_apart(body):
    fits = some_fits()
    lessons = lessons_of(body, fits)
    others = [
        replace(lessons, pairs=PAIRS[:3]),
        replace(lessons, joints=lessons.joints + 1),
        replace(lessons, visible="face"),
        replace(lessons, fitted=fits),
        replace(lessons, right=replace(lessons.right, scale=1.01 * lessons.right.scale)),
    ]
    assert len({one.fingerprint for one in (lessons, *others)}) == 6
    assert lessons_of(body, some_fits()).fingerprint == lessons.fingerprint
