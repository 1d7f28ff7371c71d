"""Files of pairs: splits, and what is wrong with others."""

import json

import pytest

from bodyreg.data.pairs import Match, match_names, match_pairs, read_pairs, read_split
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


def test_a_split_of_a_file(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps({"train": [["a", "b"]], "test": [["b", "a"]], "none": []}))
    assert read_split(path, "test") == [("b", "a")]
    assert read_split(path, None) == [("a", "b"), ("b", "a")]
    with pytest.raises(UserError, match="no split 'val' here; it has train, test, none"):
        read_split(path, "val")
    with pytest.raises(UserError, match="holds no pairs"):
        read_split(path, "none")


MARKET = ("0002_c1s1_000451_03", "0002_c1s1_000551_01")


@pytest.mark.parametrize(
    ("name", "truth", "expected"),
    [
        ("b", "b", ("b", "")),
        ("b_vis", "b", ("b", "")),
        ("b_vis", "b_vis", ("b_vis", "")),
        ("a_b", "b", ("b", "a")),
        ("a_b_vis", "b", ("b", "a")),
        ("a.jpg___b.jpg_vis", "b", ("b", "a")),
        ("a.png___b.png", "b", ("b", "a")),
        ("_".join(MARKET), MARKET[1], (MARKET[1], MARKET[0])),
        ("a_2_b", "b", ("b", "a_2")),
        ("_b", "b", None),
        ("ab", "b", None),
        ("a_bb", "b", None),
        ("a_b_c", "b", None),
    ],
)
def test_names_of_generated_pictures(name, truth, expected):
    matches, lacking, missing = match_names([name], {truth: "file"})
    if expected is None:
        assert (matches, lacking, missing) == ([], [name], [truth])
    else:
        assert (matches, lacking, missing) == ([Match(name, *expected)], [], [])


def test_the_longest_target_is_taken():
    assert match_names(["s_a_b"], ["b", "a_b"])[0] == [Match("s_a_b", "a_b", "s")]


def test_missing_pictures_are_named():
    truth = ["a", "b", "c"]
    assert match_names(["b", "z"], truth) == ([Match("b", "b", "")], ["z"], ["a", "c"])
    # Pictures of other names may be sources alone.
    assert match_names(["a_b"], truth) == ([Match("a_b", "b", "a")], [], [])


def test_pictures_of_a_list():
    pairs = [("a", "b"), ("b.jpg", "a.jpg"), ("a", "c"), MARKET, ("a", "d"), ("a.jpg", "b.jpg")]
    generated = ["a_b", "b.jpg___a.jpg_vis", "_".join(MARKET), "a_d", "other"]
    matches, lacking, missing = match_pairs(pairs, generated, {"a", "b", "c", MARKET[1]})
    assert matches == [
        Match("a_b", "b", "a"),
        Match("b.jpg___a.jpg_vis", "a", "b"),
        Match("_".join(MARKET), MARKET[1], MARKET[0]),
    ]
    assert (lacking, missing) == (["a_d"], ["a_c"])
