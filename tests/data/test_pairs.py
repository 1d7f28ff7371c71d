"""Files of pairs: splits, and what is wrong with others."""

import json

import pytest

from bodyreg.data.pairs import read_pairs
from bodyreg.errors import UserError


def test_splits(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps({"train": [["a", "b"], ["b", "a"]], "test": []}))
    assert read_pairs(path) == {"train": [("a", "b"), ("b", "a")], "test": []}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (7, "expected an object of splits, each a list of pairs"),
        ({"test": {}}, "test is not a list of pairs"),
        ({"test": [["a", "b"], ["a"]]}, r"test\[1\] is not a pair of names"),
        ({"test": [["a", 3]]}, r"test\[0\] is not a pair of names"),
        ([["a", "b"]], "expected an object of splits, each a list of pairs"),
    ],
)
def test_other_content(tmp_path, content, expected):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=expected):
        read_pairs(path)
