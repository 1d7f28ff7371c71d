from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.synthetic import render as rendering
from bodyreg.synthetic.cameras import WeakPerspective
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.lens import encode_jpeg
from bodyreg.synthetic.light import Light, ground_shadow, sample_light
from bodyreg.synthetic.looks.look import FARTHEST, look_of
from bodyreg.synthetic.people import sample_person
from bodyreg.synthetic.places.ground_view import ground_view_of
from bodyreg.synthetic.places.occluders import Occluder
from bodyreg.synthetic.places.seats import paint_seat
from bodyreg.synthetic.render import render, render_alone
from tests.synthetic.scenery import near, scene, seated, standing

KEY = (255, 0, 255)


@pytest.fixture
def one_thread():
    yield
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def keyed(monkeypatch):
    """Pictures on a background in a key colour, without effects of light and lens."""

    def background(random, made, *args):
        return np.full((made.height, made.width, 3), KEY, np.float32)

    monkeypatch.setattr(rendering, "paint_background", background)
    monkeypatch.setattr(rendering, "paint_seat", lambda *args: None)
    monkeypatch.setattr(rendering, "ground_shadow", lambda *args: np.float32(0).reshape(1, 1))
    monkeypatch.setattr(rendering, "photograph", lambda random, picture: picture)


def test_the_same_scene_gives_the_same_bytes(one_thread):
    first, other = scene(0, people=2), scene(1, people=1)
    pictures = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        look_of.cache_clear()
        pictures.append(render(first))
        render(other)
        pictures.append(render(scene(0, people=2)))
    assert all(np.array_equal(pictures[0], again) for again in pictures)
    assert not np.array_equal(pictures[0], render(replace(first, seed=[5, 99])))


@pytest.mark.parametrize("number", range(4))
def test_people_are_where_the_layout_says(keyed, number):
    made = scene(number, side=160, people=2)
    if number == 3:
        made.figures[0] = near(made.figures[0], 160)
    bare = lay_out(made).owner >= 0
    shown = np.abs(render(made) - KEY).max(2) > 1
    # Clothes add some thickness; smoothing removes less than that.
    reach = int(
        np.ceil(FARTHEST * 1.2 * max(f.camera.weak().pixels_per_metre for f in made.figures))
    )
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 3, 2 * reach + 3))
    assert shown[~cv2.dilate(bare.astype(np.uint8), disc).astype(bool)].sum() == 0
    inner = cv2.erode(bare.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert shown[inner].all()
    assert (bare & shown).sum() > 0.75 * (bare | shown).sum()


def test_the_nearest_figure_agrees_with_the_layout(keyed):
    """Each figure's uncovered pixels look as if it were alone."""
    made = scene(2, side=128, people=2, size=0.5)
    layout, both = lay_out(made), render(made)
    for number, figure in enumerate(made.figures):
        single = render(replace(made, figures=[figure]))
        own = cv2.erode((layout.owner == number).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        covered = cv2.dilate(((layout.owner != number) & (layout.owner >= 0)).astype(np.uint8),
                             np.ones((9, 9), np.uint8)) > 0  # fmt: skip
        own &= ~covered
        assert own.sum() > 100
        assert np.abs(single - both)[own].max() < 1e-3


def test_objects_are_in_front_of_people(keyed):
    made = scene(1, people=1)
    square = np.array([[30, 20], [70, 20], [70, 80], [30, 80]], np.float32)
    hidden = render(replace(made, occluders=[Occluder("box", square, 4)]))
    empty = render(replace(made, figures=[], occluders=[Occluder("box", square, 4)]))
    assert np.abs(hidden - empty)[22:78, 32:68].max() < 1e-3


@pytest.mark.parametrize(("width", "height"), [(1, 1), (37, 91), (130, 48)])
def test_any_size(width, height):
    made = scene(3, people=1)
    picture = render(replace(made, width=width, height=height))
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8


def test_people_outside_the_picture_and_no_people():
    made = scene(3, people=1)
    away = replace(made.figures[0], camera=WeakPerspective(40, np.array([-500.0, 900])))
    render(replace(made, figures=[away]))
    assert render(replace(made, figures=[])).std() > 1


def test_a_near_camera_sees_the_person(keyed):
    made = scene(0, side=128, people=1)
    made.figures[0] = near(made.figures[0], 128)
    assert (np.abs(render(made) - KEY).max(2) > 1).mean() > 0.05


def test_jpeg_keeps_the_picture():
    picture = render(scene(0))
    data = encode_jpeg(picture, np.random.default_rng(0))
    assert data == encode_jpeg(picture, np.random.default_rng(0))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == picture.shape
    assert np.abs(back.astype(int) - picture).mean() < 12


def test_light_comes_from_above_and_is_finite():
    for number in range(50):
        random = np.random.default_rng(number)
        up = random.normal([0, 5, 0], 1)
        up = (up / np.linalg.norm(up)).astype(np.float32)
        light: Light = sample_light(random, up, number % 2 == 0)
        assert light.direction @ up > 0.4 and abs(np.linalg.norm(light.direction) - 1) < 1e-5
        assert (np.stack([light.key, light.sky, light.ground]) > 0).all()


def test_the_horizon_is_above_the_feet_and_moves_with_the_camera():
    made = scene(0, people=1)
    figure = made.figures[0]
    rows = []
    for tilt in (-0.1, 0.0, 0.1):
        up = np.array([0, np.cos(tilt), np.sin(tilt)], np.float32)
        view = ground_view_of(replace(made, figures=[replace(figure, up=up)]))
        assert view.horizon < view.feet
        assert abs(view.metre_at(view.feet) - figure.camera.pixels_per_metre) < 1e-6
        rows.append(view.horizon)
    # Looking down, the horizon rises.
    assert rows[2] < rows[1] <= rows[0]


def test_what_is_behind_a_near_camera_stands_still():
    made = scene(0, people=1)
    first = near(made.figures[0], made.width)
    camera = first.camera
    # A person a metre to the side and nearer, on the same ground.
    moved = camera.pelvis + np.array([1, 0, 0.5])
    moved -= first.up * (first.up @ (moved - camera.pelvis))
    second = replace(first, camera=replace(camera, pelvis=moved))
    views = [ground_view_of(replace(made, figures=[figure])) for figure in (first, second)]
    assert vars(views[0]) == vars(views[1])


def test_sitting_people_get_a_seat():
    person = sample_person(Body.default(), 1, 0)
    camera = WeakPerspective(60, np.array([64.0, 64]))
    for figure, expected in ((seated(person, camera), True), (standing(person, camera), False)):
        picture = np.full((128, 128, 3), 200, np.float32)
        light = sample_light(np.random.default_rng(0), figure.up, False)
        paint_seat(np.random.default_rng(0), picture, figure, light)
        assert (picture != 200).any() == expected
        assert np.isfinite(picture).all()


def test_shadows_fall_on_the_ground_beside_the_feet():
    person = sample_person(Body.default(), 1, 0)
    far = standing(person, WeakPerspective(60, np.array([64.0, 64])))
    for figure in (far, near(far, 128)):
        light = sample_light(np.random.default_rng(1), figure.up, True)
        shadow = ground_shadow(figure, figure.vertices, light, 128, 128)
        assert shadow.shape == (128, 128) and 0 <= shadow.min() <= shadow.max() <= 1
        low = figure.vertices[(figure.vertices @ figure.up).argmin()]
        column, row = figure.project(low)[:2].astype(int)
        assert shadow[row - 3 : row + 4, column - 3 : column + 4].max() > 0.4
        # No ground pixel is as high in the picture as the head.
        assert shadow[: int(figure.project(figure.joints[15])[1])].max() < 0.2


def test_people_alone_are_those_of_the_whole_picture(keyed):
    """Before their backdrop; the share of a pixel that they cover says how much of it shows."""
    made = scene(3, people=2)
    alone, share = render_alone(made, backdrop=0)
    behind = np.float32(KEY) * (1 - share[..., None])
    whole = render(replace(made, occluders=[])).astype(np.float32)
    np.testing.assert_allclose(alone + behind, whole, atol=1)
    assert 0.02 < (share > 0.5).mean() < 0.9 and share.min() == 0 and share.max() == 1
    white, again = render_alone(made)
    np.testing.assert_array_equal(share, again)
    assert (white[share == 0] == 255).all()
