"""Focal lengths that are told of all pictures, and arrays of what is known of some."""

from dataclasses import replace

import numpy as np
import pytest

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.focal import Focal
from bodyreg.errors import UserError

from .test_observations import make


@pytest.mark.parametrize(
    ("text", "length", "unit"),
    [("1145", 1145, "px"), ("1145.5px", 1145.5, "px"), ("35mm", 35, "mm"), (" 4.2 mm ", 4.2, "mm")],
)
def test_texts(text, length, unit):
    assert Focal.of_text(text) == Focal(length, unit)


@pytest.mark.parametrize(
    "text", ["", "mm", "-35mm", "0", "0.5", "0.01mm", "35cm", "nan", "1e3", "35mm f/2"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="focal length"):
        Focal.of_text(text)


def test_millimetres_are_of_35_mm_film():
    """Film is 36 mm x 24 mm: in a picture of its shape, 36 mm are as long as it is wide."""
    people = make(4)
    people.picture_size[:] = [[3000, 2000], [2000, 3000], [0, 0], [600, 800]]
    told = Focal(36, "mm").told_of(people)
    np.testing.assert_allclose(
        told.focal, [3000, 3000, np.nan, 1000 * 36 / np.hypot(36, 24)], rtol=1e-6
    )
    np.testing.assert_array_equal(told.principal_point, people.principal_point)
    np.testing.assert_array_equal(Focal(900, "px").told_of(people).focal, [900] * 4)


def test_pixels_that_are_millimetres_are_refused():
    """A diagonal D is seen in 2 atan(D / 2f): here 140 degrees at f = 0.182 D."""
    people = replace(make(2), picture_size=np.array([[0, 0], [400, 300]], np.int32))
    assert Focal(92, "px").told_of(people).focal.tolist() == [92, 92]
    with pytest.raises(UserError, match="35 px would show 164 degrees in pictures of 400 x 300"):
        Focal(35, "px").told_of(people)
    with pytest.raises(UserError, match="7 mm would show 144 degrees"):
        Focal(7, "mm").told_of(people)


def test_millimetres_tell_nothing_without_sizes():
    told = Focal(35, "mm").told_of(make(3, camera=False))
    np.testing.assert_array_equal(told.focal, np.full(3, np.nan))


def test_what_is_known_of_some():
    known = Camera(900, picture_size=(640, 480))
    found = arrays_of([Camera(), known])
    np.testing.assert_array_equal(found["focal"], np.float32([np.nan, 900]))
    np.testing.assert_array_equal(found["picture_size"], [[0, 0], [640, 480]])
    assert found["principal_point"] is None
    assert set(arrays_of([]).values()) == set(arrays_of([Camera()] * 2).values()) == {None}
