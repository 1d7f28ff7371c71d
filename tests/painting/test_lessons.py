"""What painters learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.painting.lessons import pictures_of
from bodyreg.transfer import Provenance

from .people import SIDE, lessons_of


@pytest.fixture(scope="module")
def lessons(body):
    return lessons_of(body)


def test_a_lesson(lessons):
    lesson = lessons.lesson(torch.tensor([4, 0]))
    source, target = lessons.pairs.pairs[[4, 0]].T
    for found, numbers in ((lesson.source, source), (lesson.target, target)):
        torch.testing.assert_close((found + 1) * 127.5, lessons.pictures[numbers].float())
    assert lesson.pose.shape == (2, 18, SIDE, SIDE)
    rows, columns = np.indices((SIDE, SIDE)) + 0.5
    for pose, number in zip(lesson.pose.numpy(), target, strict=True):
        for disc, (x, y) in zip(pose, lessons.pairs.joints[number], strict=True):
            np.testing.assert_array_equal(disc > 0, (columns - x) ** 2 + (rows - y) ** 2 <= 4)
    assert (lesson.visibility == 0).any() and (lesson.visibility == 2).any()
    assert lesson.painting is None


def test_mirrored_lessons_show_the_same(lessons):
    """Warped sources, and all else, are mirror images."""
    rows = torch.arange(6)
    plain, mirrored = (lessons.lesson(rows, torch.full((6,), m)) for m in (False, True))
    assert torch.equal(mirrored.target, plain.target.flip(3))
    assert torch.equal(mirrored.visibility, plain.visibility.flip(2))
    warped = [
        ops.warp(lesson.source, lesson.flow, lesson.visibility) for lesson in (plain, mirrored)
    ]
    torch.testing.assert_close(warped[1], warped[0].flip(3), atol=1e-4, rtol=0)
    some = lessons.lesson(rows, torch.arange(6) % 2 == 0)
    assert torch.equal(some.source[1::2], plain.source[1::2])
    assert torch.equal(some.source[::2], mirrored.source[::2])


def test_paintings(lessons):
    """Places that a source shows are painted in its colours, and nothing else in any of them."""
    flat = replace(lessons, pictures=torch.full_like(lessons.pictures, 40))
    painted = flat.painted(np.ones((6, SIDE, SIDE), bool), backdrop=200)
    assert painted.paintings is not None and painted.provenance is not None
    body = painted.provenance != Provenance.BACKGROUND
    assert (painted.paintings.movedim(1, -1)[~body] == 200).all()
    assert ((painted.paintings.movedim(1, -1)[body].int() - 40).abs() <= 1).all()
    lesson = painted.lesson(torch.tensor([3]), torch.tensor([True]))
    assert lesson.provenance is not None and lesson.painting is not None
    assert torch.equal(lesson.provenance[0], painted.provenance[3].flip(1))
    assert torch.equal(pictures_of(lesson.painting)[0], painted.paintings[3].flip(2))
    few = painted.select(np.array([5, 1]))
    assert torch.equal(few.paintings[0], painted.paintings[5]) and len(few) == 2
    assert painted.fingerprint != flat.fingerprint


def test_held_out_people_are_in_no_pair(lessons):
    learnt, held_out = lessons.split(0.5, 1)
    assert len(learnt) == len(held_out) == 3
    assert not set(learnt.pairs.pairs.flat) & set(held_out.pairs.pairs.flat)


def test_pictures_of_another_size_are_refused(lessons):
    with pytest.raises(ValueError, match=r"pictures: expected uint8 of shape \(6, 3, 32, 32\)"):
        replace(lessons, pictures=lessons.pictures[..., :16])
