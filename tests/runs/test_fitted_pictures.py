"""Pictures are found by their names, and in each of them its largest person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodyreg import Body, UserError
from bodyreg.data import Observations
from bodyreg.data.source import Source
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.record import BodyFiles


def saved(path: Path, names: list[str] | None, sides: list[float]) -> Path:
    """A file of people with the same three joints, in crops of these half sides."""
    count = len(sides)
    xy = np.tile(np.array([[20, 30], [60, 40], [50, 90]], float), (count, 1, 1))
    people = Observations.of_keypoints(
        ("left_hip", "right_hip", "left_knee"),
        xy,
        np.ones((count, 3)),
        id=np.arange(70, 70 + count),
        frame=np.column_stack([np.full((count, 2), 50.0), sides]),
        picture=None if names is None else np.array(names),
    )
    people.save(path)
    return path


def opened(path: Path) -> FittedPictures:
    return FittedPictures.to_register(Source(format="observations", path=path), BodyFiles())


def test_names(tmp_path):
    names = ["one/a.jpg", "one/a.jpg", "two\\a.jpg", "b.png", "", "one/a.jpg"]
    found = opened(saved(tmp_path / "people.npz", names, [40, 60, 90, 40, 95, 60]))
    assert found.row("one/a.jpg") == found.row("one/a") == found.row("one\\a") == 1
    assert found.row("two/a") == found.row("two\\a.jpg") == 2
    assert found.row("b") == 3 and found.row("a") is found.row("b.jpg") is None
    assert found.names == names and (found.sizes == 0).all()
    size, far = (100, 120), Path("/anywhere/one/a.png")
    assert found.fit(far, size).id == [71] and found.fit(Path("b.jpg"), size).id == [73]
    with pytest.raises(UserError, match=r"knows no person in 'a.jpg'; .* named one/a.jpg, two"):
        found.fit(Path("/anywhere/a.jpg"), size)


def test_pictures_whose_names_differ_in_the_suffix_alone(tmp_path):
    """Each is found by its name, also where the other one shows a larger person."""
    names = ["in/a.jpg", "in/a.png", "b.png"]
    found = opened(saved(tmp_path / "people.npz", names, [90, 40, 60]))
    for name, person in (("a.jpg", 70), ("a.png", 71), ("a", 70), ("a.webp", 70)):
        assert found.fit(Path("/anywhere/in") / name, (100, 120)).id == [person]
    assert found.fit(Path("b.jpg"), (100, 120)).id == [72]


def test_people_without_names(tmp_path):
    found = opened(saved(tmp_path / "people.npz", None, [40, 60]))
    assert found.row("70") == 0 and found.row("71") == 1
    assert found.fit(Path("71.jpg"), (100, 100)).id == [71]
    unnamed = opened(saved(tmp_path / "unnamed.npz", ["", ""], [40, 60]))
    with pytest.raises(UserError, match=r"it names no pictures \(--images\)"):
        unnamed.fit(Path("a.jpg"), (100, 100))
    assert found.body.fingerprint == Body.default().fingerprint


def test_a_picture_of_another_size(tmp_path):
    """A reduced copy of the picture: the fit's pixels are not its own."""
    path = saved(tmp_path / "people.npz", ["a.jpg"], [40])
    people = Observations.load(path)
    replace(people, picture_size=np.array([[100, 120]], np.int32)).save(path)
    assert opened(path).fit(Path("a.jpg"), (100, 120)).id == [70]
    with pytest.raises(UserError, match=r"has 50 x 60 pixels, but .* its person in 100 x 120"):
        opened(path).fit(Path("a.jpg"), (50, 60))
