"""What a network learns from: the right part of each picture, and labels in its frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.pictures import write_picture
from bodyreg.regression.lessons import Lessons, crops_of
from bodyreg.regression.outputs import labels_of

from .people import seen_exactly, some_fits


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
    lessons = Lessons.of(body, pictures, people, wider, 32)
    assert len(lessons) == 5 and lessons.crops.shape == (5, 3, 48, 48)
    for found, expected in zip(lessons.labels, labels_of(fits, body), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    np.testing.assert_array_equal(lessons.people.focal, np.where(np.isnan(focal), np.inf, focal))
    assert lessons.confidence.max() == 1
    own = Lessons.of(body, pictures, people, wider, 32, np.arange(5, dtype=np.float32))
    some = own.select(torch.tensor([4, 2]))
    assert some.people.id.tolist() == [4, 2] and some.confidence.tolist() == [4, 2]
    assert torch.equal(some.crops, own.crops[[4, 2]])
    assert torch.equal(some.labels.pose, own.labels.pose[[4, 2]])


def test_what_cannot_be_learnt_from(pictures, body):
    fits, people = people_of(body)
    with pytest.raises(UserError, match="person 0 names no picture"):
        Lessons.of(body, pictures, replace(people, picture=None), fits, 32)
    with pytest.raises(UserError, match="hold no person 4"):
        Lessons.of(body, pictures, people, fits.select(slice(0, 4)), 32)
    for name in ("9.png", "../0.png"):
        names = people.picture.copy().astype("<U9")
        names[2] = name
        with pytest.raises(UserError, match="picture of person 2"):
            crops_of(pictures, replace(people, picture=names), 32)
