"""Observations read by people: any slice of a file or folder is that of the whole."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bodyreg.data import Observations, ObservationsInMemory, observation_arrays, open_observations
from bodyreg.data.focal import Focal
from bodyreg.data.stored import (
    ObservationsInPictures,
    ObservationsOfFocal,
    pictures_fingerprint,
)
from bodyreg.errors import UserError
from bodyreg.pictures import encode_picture
from tests.test_pictures import with_exif

from .test_observations import arrays, assert_same, make

PEOPLE = 11


@pytest.fixture
def people() -> Observations:
    return make(PEOPLE, seed=4)


@pytest.fixture(params=["file", "deflated", "folder", "memory"])
def source(request, people, tmp_path):
    if request.param == "memory":
        return ObservationsInMemory(people, "print")
    if request.param == "folder":
        for name, cut in {"b": slice(3, 3), "a": slice(0, 3), "c": slice(3, PEOPLE)}.items():
            people.select(cut).save(tmp_path / "people" / f"{name}.npz")
        people.save(tmp_path / "people" / ".c.half-written.npz")
        return open_observations(tmp_path / "people")
    people.save(tmp_path / "people.npz")
    if request.param == "deflated":
        with np.load(tmp_path / "people.npz") as content:
            np.savez_compressed(tmp_path / "people.npz", **content)
    return open_observations(tmp_path / "people.npz")


@pytest.mark.parametrize("cuts", [[0, 4, 5, 11], [0, 11], [7, 9, 2, 5, 0, 3], [0, 0, 11, 11]])
def test_slices_are_the_whole_cut(source, people, cuts, monkeypatch):
    """In order and out of it; deflated members are then read anew."""
    monkeypatch.setattr(observation_arrays, "STARTS_AT_ONCE", 4)
    assert len(source) == PEOPLE
    np.testing.assert_array_equal(source.ids(), people.id)
    for start, stop in itertools.pairwise(cuts):
        if start <= stop:
            assert_same(source.read(start, stop), people.select(slice(start, stop)))


@pytest.mark.parametrize(("start", "stop"), [(0, PEOPLE), (2, 5), (3, 3), (7, 9)])
def test_names_of_pictures_are_read_alone(source, people, start, stop):
    assert source.pictures(start, stop).tolist() == people.picture[start:stop].tolist()
    told = ObservationsOfFocal(source, Focal(50, "px"))
    assert told.pictures(start, stop).tolist() == people.picture[start:stop].tolist()


def test_pictures_without_names(people, tmp_path):
    replace(people, picture=None).save(tmp_path / "people.npz")
    for source in (open_observations(tmp_path / "people.npz"), open_observations(tmp_path)):
        assert source.pictures(4, 6).tolist() == ["", ""]
    assert ObservationsInMemory(replace(people, picture=None), "").pictures(4, 6).tolist() == [
        "", "",
    ]  # fmt: skip
    values = arrays(people) | {"picture": np.arange(PEOPLE)}
    np.savez(tmp_path / "people.npz", format="bodyreg-observations-1", **values)
    with pytest.raises(UserError, match="expected texts"):
        open_observations(tmp_path / "people.npz").pictures(4, 6)


def test_a_fingerprint_of_pictures(people, tmp_path):
    """Of the headers, or of the whole content; a picture that is missing is no error."""
    people.picture[:] = np.repeat(["1.jpg", "2.jpg", "3.jpg", ""], [4, 3, 2, 2])
    black, white = (np.full((24, 36, 3), colour, np.uint8) for colour in (0, 255))

    def prints(picture: np.ndarray | None, people: Observations = people) -> tuple[str, str]:
        if picture is not None:
            (tmp_path / "2.jpg").write_bytes(encode_picture(picture, ".jpg"))
        source = ObservationsInMemory(people, "print")
        headers, content = (
            pictures_fingerprint(source, tmp_path, content=content) for content in (False, True)
        )
        return headers, content

    (tmp_path / "1.jpg").write_bytes(encode_picture(white, ".jpg"))
    found = [prints(black), prints(white), prints(white[:12])]
    with_exif(tmp_path / "2.jpg", white[:12], ">", {}, {0xA405: 50})
    found.append(prints(None))
    (tmp_path / "2.jpg").unlink()
    found.append(prints(None))
    other = replace(people, picture=np.where(people.picture == "3.jpg", "4.jpg", people.picture))
    found.append(prints(None, other))
    headers, content = zip(*found, strict=True)
    assert headers[0] == headers[1] and len(set(headers)) == 5 and len(set(content)) == 6
    assert prints(black) == found[0] and all(len(name) == 64 for name in headers + content)
    people.picture[2] = "../secret.jpg"
    with pytest.raises(UserError, match="a picture's name"):
        prints(None)


def test_shards_without_depths_have_none_there(people, tmp_path):
    without = people.select(slice(5, PEOPLE)).with_depths(None)
    people.select(slice(0, 5)).save(tmp_path / "0.npz")
    without.save(tmp_path / "1.npz")
    found = open_observations(tmp_path).read(0, PEOPLE)
    np.testing.assert_array_equal(found.keypoint_depth[:5], people.keypoint_depth[:5])
    assert np.isnan(found.keypoint_depth[5:]).all()
    assert np.isnan(found.keypoint_depth_spread[5:]).all()
    assert_same(found.with_depths(None), people.with_depths(None))


def test_pictures_tell_what_files_do_not(people, tmp_path):
    """Sizes of the pictures that are there, and the focal length by EXIF of one."""
    for name in ("1.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(encode_picture(np.zeros((24, 36, 3), np.uint8), ".jpg"))
    with_exif(tmp_path / "5.jpg", np.zeros((24, 36, 3), np.uint8), ">", {}, {0xA405: 50})
    people.picture[7] = ""
    found = ObservationsInPictures(ObservationsInMemory(people, "print"), tmp_path).read(0, PEOPLE)
    size, focal = people.picture_size.copy(), people.focal.copy()
    assert not size[[1, 5, 7]].any() and size[3].all()  # a size that is known stays
    size[[1, 5]] = [36, 24]
    focal[5] = 50
    np.testing.assert_array_equal(found.picture_size, size)
    np.testing.assert_allclose(found.focal, focal, rtol=1e-6)
    alone = ObservationsInPictures(
        ObservationsInMemory(make(PEOPLE, camera=False), "print"), tmp_path
    ).read(0, 2)
    np.testing.assert_array_equal(alone.picture_size, [[0, 0], [36, 24]])
    assert alone.focal is None
    people.picture[2] = "../secret.jpg"
    with pytest.raises(UserError, match="a picture's name"):
        ObservationsInPictures(ObservationsInMemory(people, "print"), tmp_path).read(0, PEOPLE)


def test_a_focal_length_is_told_of_all(source, people):
    told = ObservationsOfFocal(source, Focal(50, "mm"))
    assert len(told) == PEOPLE and told.fingerprint == source.fingerprint
    np.testing.assert_array_equal(told.ids(), people.id)
    assert_same(told.read(3, 8), Focal(50, "mm").told_of(people).select(slice(3, 8)))


def test_a_fingerprint_names_the_content(people, tmp_path):
    prints = set()
    for number, weight in enumerate([1.0, 2.0, 1.0]):
        people.point_weight[:] = weight
        people.save(tmp_path / str(number) / "people.npz")
        prints.add(open_observations(tmp_path / str(number) / "people.npz").fingerprint)
        prints.add(open_observations(tmp_path / str(number)).fingerprint)
    assert len(prints) == 4
    assert all(len(name) == 64 for name in prints)


def test_an_error_names_file_and_person(people, tmp_path):
    people.frame[8, 2] = -1
    people.save(tmp_path / "people.npz")
    source = open_observations(tmp_path / "people.npz")
    assert len(source.read(0, 8)) == 8
    with pytest.raises(UserError, match=rf"people.npz: frame of person {people.id[8]} has no area"):
        source.read(8, PEOPLE)


def test_flipped_bits_are_noticed_when_reading_in_order(people, tmp_path):
    path = tmp_path / "people.npz"
    people.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(people.point_xy[-3:].tobytes())] ^= 1
    path.write_bytes(content)
    source = open_observations(path)
    source.read(0, 5)
    with pytest.raises(UserError, match="CRC"):
        source.read(5, PEOPLE)


def test_columns_side_by_side_are_not_cut(people, tmp_path):
    """NumPy writes a transposed array so; as a whole it is read as ever."""
    values = arrays(people)
    values["frame"] = np.asfortranarray(values["frame"])
    np.savez(tmp_path / "people.npz", format="bodyreg-observations-1", **values)
    source = open_observations(tmp_path / "people.npz")
    assert_same(source.read(0, PEOPLE), people)
    with pytest.raises(UserError, match=r"'frame' lies column by column.*ascontiguousarray"):
        source.read(0, 5)
    assert_same(Observations.load(tmp_path / "people.npz"), people)


def test_people_far_from_the_origin_are_looked_at_one_by_one():
    """Extremes cannot vouch for them, but a pixel of a huge picture is no mistake."""
    people = make(5)
    people.frame[2, :2] += 3e6
    points = people.point_person == 2
    people.point_xy[points] += 3e6
    people.keypoint_xy[2] += 3e6
    people.principal_point[2] += 3e6
    people.check()
    people.point_xy[points] -= 3e6
    if points.any():
        with pytest.raises(UserError, match=f"point_xy of person {people.id[2]} is more than"):
            people.check()
