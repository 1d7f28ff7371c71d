"""IUV maps: two orders of channels, several people, arrays, and what is refused."""

import cv2
import numpy as np
import pytest
from PIL import Image

from bodyreg.body import Body
from bodyreg.data.dense_maps import NO_PART
from bodyreg.data.iuv import read_iuv
from bodyreg.errors import UserError
from bodyreg.pictures import encode_picture, png_texts, with_png_text

from .test_damaged import ROUNDS, attempt

SIDE = 64

# A command's user sees one line, so nothing may be warned of beside it.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def person(seed=0, low=4, high=60) -> np.ndarray:
    """(64, 64, 3) uint8 I, U, V: three parts, and the background round them."""
    random = np.random.default_rng(seed)
    iuv = np.zeros((SIDE, SIDE, 3), np.uint8)
    third = (high - low) // 3
    for number, part in enumerate(random.choice(np.arange(1, 25), 3, replace=False)):
        rows = slice(low + number * third, low + (number + 1) * third)
        iuv[rows, low:high, 0] = part
        iuv[rows, low:high, 1:] = random.integers(0, 256, (third, high - low, 2))
    return iuv


def save(path, iuv, order="blue", charts="makehuman-24") -> None:
    data = encode_picture(iuv if order == "blue" else iuv[..., ::-1], ".png")
    path.write_bytes(with_png_text(data, "charts", charts) if charts else data)


def expected(body, iuv, xy):
    """The points of the body at pixels."""
    column, row = np.floor(xy).astype(int).T
    uv = np.minimum((iuv[row, column, 1:] + 0.5) / 255, 1)
    return body.charts.locate(iuv[row, column, 0], uv)


@pytest.mark.parametrize("order", ["blue", "red"])
def test_both_orders_of_channels(tmp_path, body, order):
    maps = {name: person(seed) for seed, name in enumerate("ab")}
    for name, iuv in maps.items():
        save(tmp_path / f"{name}_IUV.png", iuv, order)
    people, skipped = read_iuv(tmp_path, body, points=90)
    assert not skipped and people.id.tolist() == [0, 1] and people.picture is None
    assert people.point_count.tolist() == [90, 90]
    for row, iuv in enumerate(maps.values()):
        own = people.points_of(row)
        vertex, barycentric = expected(body, iuv, people.point_xy[own])
        np.testing.assert_array_equal(people.point_vertex[own], vertex)
        np.testing.assert_allclose(people.point_barycentric[own], barycentric, atol=1e-6)
        assert (people.point_xy[own] % 1 == 0.5).all()
    np.testing.assert_allclose(people.frame, [[32, 32, 0.6 * 56]] * 2, rtol=0.05)
    assert people.picture_size.tolist() == [[SIDE, SIDE]] * 2


def test_a_folder_decides_for_maps_that_do_not_tell(tmp_path, body):
    both = np.zeros((SIDE, SIDE, 3), np.uint8)
    both[10:50, 10:50] = 9, 40, 11  # 11 may be a part, too
    save(tmp_path / "a_IUV.png", both)
    with pytest.raises(UserError, match=r"a_IUV.png: the part may be in its blue or in its red"):
        read_iuv(tmp_path, body)
    told, _ = read_iuv(tmp_path, body, channel="blue", points=20)
    save(tmp_path / "b_IUV.png", person())
    save(tmp_path / "c_IUV.png", np.zeros_like(both))  # shows nobody
    people, _ = read_iuv(tmp_path, body, points=20)
    np.testing.assert_array_equal(people.id, [0, 1])
    np.testing.assert_array_equal(people.point_vertex[:20], told.point_vertex)
    other, _ = read_iuv(tmp_path / "a_IUV.png", body, channel="red", points=20)
    assert (other.point_vertex != told.point_vertex).any()


def test_maps_that_contradict_each_other(tmp_path, body):
    save(tmp_path / "a_IUV.png", person(0), "red")
    save(tmp_path / "b_IUV.png", person(1), "blue")
    with pytest.raises(UserError, match=r"b_IUV.png: its part is in the blue .* folders of their"):
        read_iuv(tmp_path, body)
    with pytest.raises(UserError, match=r"a_IUV.png: its blue channel is no part"):
        read_iuv(tmp_path, body, channel="blue")


def test_numbers_of_people(tmp_path, body):
    """DensePose counts from 0, so one of two people has the background's number."""
    iuv = np.maximum(person(3, 4, 34), 0)
    second = person(4, 34, 58)
    iuv[second[..., 0] > 0] = second[second[..., 0] > 0]
    numbers = np.zeros((SIDE, SIDE), np.uint8)
    numbers[second[..., 0] > 0] = 2
    numbers[0, :3] = 7  # where no part is, nobody is
    iuv[1, 1] = 5, 1, 1
    numbers[1, 1] = 4  # a person of one pixel
    save(tmp_path / "a_IUV.png", iuv)
    cv2.imwrite(str(tmp_path / "a_INDS.png"), numbers)
    people, skipped = read_iuv(tmp_path, body, points=50)
    assert skipped == {NO_PART: 1}
    assert people.id.tolist() == [0, 1] and people.point_count.tolist() == [50, 50]
    assert (people.point_xy[:50] < 34).all() and (people.point_xy[50:] >= 34).all()
    (tmp_path / "a_INDS.png").rename(tmp_path / "a_inds.PNG")
    assert len(read_iuv(tmp_path, body)[0]) == 2
    (tmp_path / "a_inds.PNG").unlink()
    assert len(read_iuv(tmp_path, body)[0]) == 1
    (tmp_path / "a_INDS.png").symlink_to("nowhere.png")
    with pytest.raises(UserError, match=r"a_INDS.png: no INDS map here"):
        read_iuv(tmp_path, body)  # two people would become one
    (tmp_path / "a_INDS.png").unlink()
    cv2.imwrite(str(tmp_path / "a_INDS.png"), numbers[:9])
    with pytest.raises(UserError, match=r"a_INDS.png: has another size than a_IUV.png"):
        read_iuv(tmp_path, body)


def test_numbers_that_a_picture_would_change(tmp_path, body):
    """16 bits would keep their upper half, and a palette gives colours, not numbers."""
    save(tmp_path / "a_IUV.png", person(1))
    numbers = np.zeros((64, 64), np.uint16)
    cv2.imwrite(str(tmp_path / "a_INDS.png"), numbers + 1)
    with pytest.raises(UserError, match=r"a_INDS.png: has 16 bits a channel; write an INDS map"):
        read_iuv(tmp_path, body)
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "a_INDS.png", bits=8)
    with pytest.raises(UserError, match=r"a_INDS.png: has a palette; write an INDS map"):
        read_iuv(tmp_path, body)
    cv2.imwrite(str(tmp_path / "a_IUV.png"), person(1).astype(np.uint16))
    with pytest.raises(UserError, match=r"a_IUV.png: has 16 bits a channel; write an IUV map"):
        read_iuv(tmp_path, body)


def test_pictures_are_found_by_name(tmp_path, body):
    (tmp_path / "maps").mkdir()
    (tmp_path / "images").mkdir()
    save(tmp_path / "maps" / "a_IUV.png", person())
    save(tmp_path / "maps" / "b_iuv.PNG", person())
    for name in ("a.JPG", "b.png"):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((SIDE, SIDE, 3), np.uint8))
    people, _ = read_iuv(tmp_path / "maps", body, tmp_path / "images")
    assert people.picture.tolist() == ["a.JPG", "b.png"]
    cv2.imwrite(str(tmp_path / "images" / "b.png"), np.zeros((SIDE, 2 * SIDE, 3), np.uint8))
    with pytest.raises(UserError, match=r"b_iuv.PNG: is 64 x 64, its picture 128 x 64"):
        read_iuv(tmp_path / "maps", body, tmp_path / "images")
    (tmp_path / "images" / "b.png").write_bytes(b"damaged; the map has its size")
    assert len(read_iuv(tmp_path / "maps", body, tmp_path / "images")[0]) == len(people)
    (tmp_path / "images" / "b.png").unlink()
    with pytest.raises(UserError, match="no picture b "):
        read_iuv(tmp_path / "maps", body, tmp_path / "images")


def test_arrays(tmp_path, body):
    iuv = person(5)
    save(tmp_path / "a_IUV.png", iuv)
    right, _ = read_iuv(tmp_path / "a_IUV.png", body, points=40)
    np.savez(tmp_path / "a.npz", iuv=iuv, charts="makehuman-24")
    fine = iuv.astype(np.float32)
    fine[..., 1:] = np.minimum((fine[..., 1:] + 0.5) / 255, 1)
    np.savez_compressed(tmp_path / "b.npz", anything=fine, charts="makehuman-24")
    for name in "ab":
        people, _ = read_iuv(tmp_path / f"{name}.npz", body, points=40)
        np.testing.assert_array_equal(people.point_xy, right.point_xy)
        np.testing.assert_array_equal(people.point_vertex, right.point_vertex)
        np.testing.assert_allclose(people.point_barycentric, right.point_barycentric, atol=1e-3)


ODD_ARRAYS = {
    "a shape": (np.zeros((5, 5)), r"has the shape \(5, 5\), expected \(H, W, 3\)"),
    "no pixels": (np.zeros((0, 5, 3)), r"has the shape \(0, 5, 3\)"),
    "a part of 25": (np.full((5, 5, 3), 25, np.uint8), "its first channel is no part"),
    "half a part": (np.full((5, 5, 3), 0.5), "its first channel is no part"),
    "infinity": (np.full((5, 5, 3), np.inf), "its first channel is no part"),
    "no number": (np.full((5, 5, 3), np.nan), "its first channel is no part"),
    "u of 255": (np.full((5, 5, 3), 24.0), r"U or V is not in 0\.\.1"),
    "u is no number": (np.dstack([np.ones((5, 5))] + [np.full((5, 5), np.nan)] * 2), "U or V"),
    "texts": (np.full((5, 5, 3), "a"), "has the type"),
    "complex": (np.ones((5, 5, 3), complex), "has the type"),
}


@pytest.mark.parametrize(("array", "words"), ODD_ARRAYS.values(), ids=ODD_ARRAYS)
def test_arrays_that_are_no_maps(tmp_path, body, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=words) as caught:
        read_iuv(tmp_path, body)
    assert "a.npy" in str(caught.value) and "\n" not in str(caught.value)


def test_pickled_arrays_are_refused(tmp_path, body):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="pickled"):
        read_iuv(tmp_path, body)


def test_other_pictures_are_refused(tmp_path, body):
    """A photograph, a drawing of parts, a file that JPEG has changed, damaged ones."""
    random = np.random.default_rng(0)
    (tmp_path / "a_IUV.png").write_bytes(
        encode_picture(random.integers(0, 256, (9, 9, 3)).astype(np.uint8), ".png")
    )
    with pytest.raises(UserError, match=r"is no IUV map: neither blue nor red is a part"):
        read_iuv(tmp_path, body)
    (tmp_path / "a_IUV.png").write_bytes(encode_picture(person(), ".jpg"))
    with pytest.raises(UserError, match=r"is no PNG file"):
        read_iuv(tmp_path, body)
    good = encode_picture(person(), ".png")
    for data in (b"", good[:30], good[: len(good) // 2], b"\x89PNG\r\n\x1a\n" + bytes(100)):
        (tmp_path / "a_IUV.png").write_bytes(data)
        with pytest.raises(UserError, match=r"a_IUV\.png") as caught:
            read_iuv(tmp_path, body)
        assert "\n" not in str(caught.value)
    # A header that claims 2^31 x 2^31 pixels takes no memory.
    huge = good[:16] + b"\x7f\xff\xff\xff" * 2 + good[24:]
    (tmp_path / "a_IUV.png").write_bytes(huge)
    with pytest.raises(UserError, match="the limit is"):
        read_iuv(tmp_path, body)


def test_a_folder_without_maps(tmp_path, body):
    with pytest.raises(UserError, match=r"no maps \(\*_IUV.png, or .npy and .npz arrays\)"):
        read_iuv(tmp_path, body)
    with pytest.raises(UserError, match="none: cannot be read"):
        read_iuv(tmp_path / "none", body)


def test_maps_belong_to_their_charts(tmp_path, body):
    """A map that says nothing has DensePose's charts, which this body does not have."""
    save(tmp_path / "a_IUV.png", person(), charts="")
    with pytest.raises(UserError, match="its points lie in the charts 'densepose'"):
        read_iuv(tmp_path, body)
    save(tmp_path / "a_IUV.png", person(), charts="other" * 100)
    with pytest.raises(UserError, match=r"the charts '(other){12}\.\.\.'") as caught:
        read_iuv(tmp_path, body)
    assert "other" * 13 not in str(caught.value)


def test_texts_of_png_files():
    data = encode_picture(person(), ".png")
    assert png_texts(data) == {}
    texted = with_png_text(data, "charts", "makehuman-24")
    assert png_texts(texted) == {"charts": "makehuman-24"}
    image = cv2.imdecode(np.frombuffer(texted, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(image, person())
    assert png_texts(b"") == png_texts(b"no PNG file") == {}
    assert png_texts(texted[:50]) == {}  # the text is not whole


@pytest.mark.parametrize("suffix", ["png", "npz", "npy"])
def test_bytes_changed_and_ends_cut(tmp_path, body, suffix):
    random, path = np.random.default_rng(11), tmp_path / f"a.{suffix}"
    if suffix == "png":
        save(path, person())
    elif suffix == "npz":
        np.savez_compressed(path, iuv=person(), charts="makehuman-24")
    else:
        np.save(path, person())
    good, refused = path.read_bytes(), 0
    for _ in range(ROUNDS):
        data = bytearray(good)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(len(data) // 2, 2 * len(data))])
        refused += attempt(lambda: read_iuv(tmp_path, body), str(tmp_path))
    assert refused > ROUNDS // 3
