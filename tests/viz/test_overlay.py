"""Pictures: bodies are where the frame says, covered pixels blend, sheets hold every tile."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from bodyreg.data import Fits, Observations
from bodyreg.data.crops import crop
from bodyreg.viz.grounds import GROUND, plain_ground, silhouette_ground
from bodyreg.viz.overlay import (
    KEYPOINT,
    POINT,
    draw_evidence,
    fit_tile,
    fit_tiles,
    legend,
    overlay,
    sheet,
    side_view,
)
from bodyreg.viz.shading import render_body


@pytest.fixture(scope="module")
def ball():
    sphere = trimesh.creation.icosphere(3, 1.0)
    return np.array(sphere.vertices, np.float32), np.array(sphere.faces)


def test_a_ball_is_a_disc_where_the_frame_puts_it(ball):
    """Coverage against the disc's closed-form area and centre."""
    vertices, faces = ball
    side, radius, centre = 120, 0.4, np.array([0.3, 0.2, 0])
    colour, coverage = render_body(radius * vertices + centre, faces, side)
    assert coverage.sum() == pytest.approx(np.pi * (radius * side / 2) ** 2, rel=0.03)
    rows, columns = np.indices((side, side)) + 0.5
    x = (coverage[..., 0] * columns).sum() / coverage.sum()
    y = (coverage[..., 0] * rows).sum() / coverage.sum()
    assert (x, y) == pytest.approx((1.3 * side / 2, 0.8 * side / 2), abs=0.3)
    assert np.isfinite(colour).all()
    assert (colour <= 255.5 * coverage).all()
    assert colour.min() >= 0


def test_light_comes_from_above(ball):
    colour, _ = render_body(0.8 * ball[0], ball[1], 100)
    assert colour[25:35, 40:60].mean() > colour[65:75, 40:60].mean()


def test_a_near_body_hides_a_far_one(ball):
    """Two balls on one line of sight: only the near one's colour may show in its disc."""
    vertices, faces = ball
    near = 0.3 * vertices + [0, 0, 1]
    both = np.concatenate([0.6 * vertices + [0.2, 0, -1], near]).astype(np.float32)
    both_faces = np.concatenate([faces, faces + len(vertices)])
    alone, _ = render_body(near, faces, 100)
    together, _ = render_body(both, both_faces, 100)
    np.testing.assert_allclose(together[45:55, 45:55], alone[45:55, 45:55], atol=30)
    assert np.abs(together - alone).max() > 50


@pytest.mark.parametrize("scale", [0.8, -0.8])
def test_a_mirrored_body_shows_its_outside(body, scale):
    """The body is its own mirror image, so it looks the same."""
    plain = Fits(
        id=np.array([0]),
        frame=np.float32([[50, 50, 50]]),
        pose=np.zeros((1, 24, 3), np.float32),
        segment_scale=np.ones((1, 24), np.float32),
        rotation=np.eye(3, dtype=np.float32)[None],
        scale=np.float32([0.8]),
        translation=np.zeros((1, 2), np.float32),
    )
    mirror = np.diag(np.float32([-1, 1, 1]))[None] * np.sign(np.float32(scale))
    mirrored = replace(plain, rotation=mirror, scale=np.float32([scale]))
    nobody = Observations.of_keypoints(
        ("neck",), np.zeros((1, 1, 2)), np.zeros((1, 1)), id=plain.id, frame=plain.frame
    )
    one, other = (fit_tiles(body, f, nobody, None, 120)[0].astype(int) for f in (plain, mirrored))
    assert (np.abs(one - other).max(-1) > 20).mean() < 0.002
    assert mirrored.mirrored[0] and (np.abs(one - GROUND).max(-1) > 20).mean() > 0.05


def test_overlay_leaves_the_rest_of_the_picture(ball):
    ground = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    painted = overlay(ground, 0.5 * ball[0], ball[1])
    np.testing.assert_array_equal(painted[:15], ground[:15])
    assert (painted[40, 40] != ground[40, 40]).any()


def test_a_body_outside_of_the_frame_paints_nothing(ball):
    painted = overlay(plain_ground(50), 0.2 * ball[0] + [4, 0, 0], ball[1])
    np.testing.assert_array_equal(painted, plain_ground(50))


def test_dots_lie_where_the_evidence_is():
    picture = draw_evidence(plain_ground(100), np.zeros((0, 2)), np.array([[0.5, 0.5]]))
    changed = np.argwhere((picture != plain_ground(100)).any(-1))
    np.testing.assert_allclose(changed.mean(0), [24.5, 74.5], atol=0.6)


def test_the_side_view_turns_the_front_to_the_left():
    """Seen from the picture's left, points near the viewer are on the right."""
    points = np.array([[0, 0, 0.5], [0, 0, -0.5], [0.4, 0.8, 0], [-0.4, 0, 0]], np.float32)
    turned = side_view(points)
    assert turned[0, 0] > turned[1, 0]  # near the viewer -> right
    assert turned[3, 2] > turned[2, 2]  # on the left -> near
    np.testing.assert_allclose(turned[2, 1], 0.8)
    assert np.abs(side_view(4 * points)[:, :2]).max() <= 0.95 + 1e-6  # too large: shrunk


@pytest.mark.parametrize("half_side", [30.0, 87.3, 211.7])
def test_a_picture_is_cropped_where_the_frame_says(half_side):
    """The picture's colours are its coordinates, at pixel centres (column + 0.5, row + 0.5)."""
    rows, columns = np.indices((500, 600), np.float32) + 0.5
    picture = np.stack([columns, rows, np.ones_like(rows)], -1)
    low, side = np.array([41.37, 23.81]), 120
    cropped = crop(picture, low, low + 2 * half_side, side)
    centres = (np.arange(side) + 0.5) * 2 * half_side / side
    x, y = np.broadcast_arrays(low[0] + centres, (low[1] + centres)[:, None])
    pixel = side / (2 * half_side)
    np.testing.assert_allclose(cropped[..., 0] * pixel, x * pixel, atol=0.01)
    np.testing.assert_allclose(cropped[..., 1] * pixel, y * pixel, atol=0.01)


def test_outside_of_the_picture_is_the_border():
    cropped = crop(np.zeros((50, 50, 3), np.uint8), np.array([-50.0, 0]), np.array([50.0, 100]), 20)
    assert (cropped == 0).all()
    colour = (10, 20, 30)
    cropped = crop(
        np.full((50, 50, 3), 200, np.uint8), np.array([-50.0, 0]), np.array([50.0, 100]), 20, colour
    )
    np.testing.assert_array_equal(cropped[:9, 11:], np.full((9, 9, 3), 200))
    np.testing.assert_array_equal(cropped[11:], np.broadcast_to(colour, (9, 20, 3)))


def test_a_dot_a_mask_and_a_picture_agree_where_a_point_is():
    """A blob in the picture, a disc in the masks and a dot, all round one point."""
    frame, centre, box = np.array([150.3, 120.6, 88.8]), np.array([171.4, 98.7]), 64.0
    rows, columns = np.indices((240, 320)) + 0.5
    distance = np.hypot(columns - centre[0], rows - centre[1])
    picture = np.exp(-np.square(distance / 9) / 2).astype(np.float32)
    corner = centre - 30.2
    places = corner + (np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1) + 0.5) * box / 256
    parts = (np.hypot(*(places - centre).transpose(2, 0, 1)) < 12).astype(np.uint8)

    def middle(picture):
        rows, columns = np.indices(picture.shape) + 0.5
        return [(picture * columns).sum() / picture.sum(), (picture * rows).sum() / picture.sum()]

    low, side = frame[:2] - frame[2], 200
    expected = (centre - low) * side / (2 * frame[2])
    cropped = crop(picture, low, low + 2 * frame[2], side)
    np.testing.assert_allclose(middle(cropped), expected, atol=0.01)
    masked = silhouette_ground(parts, np.array([*corner, box, box]), frame, side)
    darker = np.abs(masked.astype(float) - GROUND).sum(-1)
    np.testing.assert_allclose(middle(darker), expected, atol=0.05)  # 256 pixels make no disc
    dot = (expected / side * 2 - 1) * [1, -1]
    dotted = draw_evidence(plain_ground(side), np.zeros((0, 2)), dot[None])
    changed = np.abs(dotted.astype(float) - GROUND).sum(-1)
    np.testing.assert_allclose(middle(changed), expected, atol=0.05)  # circles lie on 1/32 pixel


def test_masks_land_on_their_box():
    parts = np.zeros((256, 256), np.uint8)
    parts[:128] = 3  # the upper half of the box
    ground = silhouette_ground(parts, np.array([20.0, 10, 40, 80]), np.array([50.0, 50, 50]), 100)
    dark = np.argwhere((ground != GROUND).any(-1))
    np.testing.assert_allclose(dark.min(0), [10, 20], atol=1)
    np.testing.assert_allclose(dark.max(0), [49, 59], atol=1)


def test_a_sheet_holds_its_tiles(ball):
    nowhere = np.zeros((1, 2))
    tile = fit_tile(0.5 * ball[0], 0.5 * ball[0], ball[1], plain_ground(60), nowhere, nowhere)
    assert tile.shape == (60, 120, 3)
    page = sheet([tile] * 5, [("left", "right")] * 5, "title", columns=2)
    assert page.shape[1] > 2 * 120
    assert page.shape[0] > 3 * 60


def test_long_captions_do_not_meet(ball):
    """The right caption is whole; the left one is cut before it."""
    tile = plain_ground(300)
    name = 30 * "name " + ".jpg"
    page, short, alone = (
        sheet([tile], [captions], "title", columns=1).astype(int)
        for captions in ((name, "far from the points"), ("n", "far from the points"), (name, ""))
    )
    right = page[-40:, -160:]
    np.testing.assert_array_equal(right, short[-40:, -160:])
    assert np.abs(page - short)[-40:, :-160].max() > 50 and np.abs(right - alone[-40:, -160:]).any()


def test_a_legend_shows_the_colours_that_are_there():
    everything, keypoints = legend(530, True, True, True), legend(530, False, True, False)
    for colour, in_both in ((KEYPOINT, True), (POINT, False), ((84, 158, 250), False)):
        assert (np.abs(everything.astype(int) - colour).max(-1) < 12).any()
        assert (np.abs(keypoints.astype(int) - colour).max(-1) < 12).any() == in_both
    assert legend(60, True, True, True).shape == (76, 60, 3)  # cut, not refused


@pytest.mark.parametrize("name", ["\udcff.jpg", "人 ü.jpg", "a\nb.jpg", ""])
def test_any_name_is_a_caption(name):
    assert sheet([plain_ground(200)], [(name, name)], name, columns=1).shape[2] == 3
