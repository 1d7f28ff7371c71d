"""What commands say of their progress."""

import pytest

from bodyreg.runs.progress import counted


@pytest.mark.parametrize(
    ("number", "things", "words"),
    [
        (0, "people", "0 people"),
        (1, "people", "1 person"),
        (1, "pictures", "1 picture"),
        (39_210, "pictures", "39,210 pictures"),
    ],
)
def test_one_thing_is_no_plural(number, things, words):
    assert counted(number, things) == words
