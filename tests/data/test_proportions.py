"""Files of proportions: written, read, and refused."""

import json

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import read_proportions, write_proportions
from bodyreg.errors import UserError

FORMAT = "bodyreg-proportions-1"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proportions.json"


def content(**changes) -> str:
    body = {"name": "makehuman", "fingerprint": Body.default().fingerprint}
    return json.dumps({"format": FORMAT, "body": body, "segment_scale": {}} | changes)


def test_what_is_written_is_read(path):
    scale = np.random.default_rng().uniform(0.7, 1.4, 24).astype(np.float32)
    write_proportions(path, scale, Body.default(), people=3)
    assert json.loads(path.read_text())["people"] == 3
    np.testing.assert_allclose(read_proportions(path, Body.default()), scale, atol=1e-6)


def test_segments_that_are_left_out_are_the_template(path):
    path.write_text(content(segment_scale={"left_knee": 0.9}))
    found = read_proportions(path, Body.default())
    np.testing.assert_array_equal(found, np.where(np.arange(24) == 4, np.float32(0.9), 1))


BAD = [
    ({"format": "bodyreg-proportions-2"}, "expected an object with 'format': 'bodyreg-prop"),
    ({"body": None}, "has the proportions of another body, not of this body 'makehuman'"),
    ({"body": {"name": "smpl", "fingerprint": "0"}}, "has the proportions of body 'smpl', not of"),
    ({"segment_scale": [1]}, "'segment_scale' is not an object of joints and numbers"),
    ({"segment_scale": {"tail": 1}}, "segment_scale: 'tail' is no joint of the rig"),
    ({"segment_scale": {"head": "1"}}, "segment_scale: head is missing or not a list of numbers"),
    ({"segment_scale": {"head": None}}, "segment_scale: head is missing or not a list of numbers"),
    ({"segment_scale": {"head": float("nan")}}, "segment_scale: head is not finite"),
    ({"segment_scale": {"head": 1e300}}, "the usual scale of segment 'head' is 1e"),
    ({"segment_scale": {"head": 0.2}}, "the usual scale of segment 'head' is 0.2; it must be 0.5"),
]


@pytest.mark.parametrize(("changes", "expected"), BAD)
def test_bad_proportions_are_refused(path, changes, expected):
    path.write_text(content(**changes))
    with pytest.raises(UserError, match=expected) as caught:
        read_proportions(path, Body.default())
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{}", "3", "{"])
def test_other_files_are_refused(path, text):
    path.write_text(text)
    with pytest.raises(UserError, match=r"expected an object with 'format'|not readable JSON"):
        read_proportions(path, Body.default())
