"""The live viewer: its page is served, and its controls change what the browser shows."""

import re
import socket
import sys
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from bodyreg.cli import main
from bodyreg.cli.view import Options, serve
from bodyreg.errors import UserError
from bodyreg.runs.finished import FinishedRun
from bodyreg.viz.doubt import uncertain_joints, vertex_doubt
from bodyreg.viz.grounds import GROUND
from bodyreg.viz.viewer import CERTAIN, Shown, Viewer

from .browser import chromium, console_errors, picture

viser = pytest.importorskip("viser", reason="viser (the extra 'view') is not installed")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def run(demo):
    return FinishedRun.open(demo)


@pytest.fixture(scope="module")
def served(run):
    server, viewer = serve(run, Options(run=run.folder, port=free_port(), person=2))
    yield server, viewer
    server.stop()


@pytest.fixture
def viewer(served):
    """The viewer at its start, with the second person."""
    _, viewer = served
    viewer.person.value = "2"
    for control, value in ((viewer.colour, "plain"), (viewer.rest, False), (viewer.mirrored, True)):
        control.value = value
    viewer.show()
    return viewer


def eventually(holds):
    """Whether a condition becomes true within some seconds."""
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_it_says_that_a_fit_has_no_loss(run, viewer, monkeypatch):
    words = uncertain_joints(run.body, run.fits.read(1, 2).joint_deviation[0])[0]
    assert re.fullmatch(rf"loss 0\.\d+\n\nleast certain: {words}", viewer.about.content)
    load = viewer._load

    def predicted(row):
        shown = load(row)
        return shown._replace(fit=replace(shown.fit, loss=None, joint_deviation=None))

    monkeypatch.setattr(viewer, "_load", predicted)
    viewer.show()
    assert viewer.about.content == "no loss"


def as_fitted(run, row, **changes):
    return replace(run.fits.read(row, row + 1), **changes).vertices(run.body)[0]


def test_a_near_camera_sees_body_and_picture_in_one(run, viewer, monkeypatch):
    """From where the viewer stands, a point and its place in the picture are on one line."""
    load = viewer._load

    def without_camera(row):
        shown = load(row)
        return shown._replace(fit=replace(shown.fit, focal=None, principal_point=None))

    def near(row):
        shown = load(row)
        frame = shown.fit.frame
        return shown._replace(
            fit=replace(shown.fit, focal=3 * frame[:, 2], principal_point=frame[:, :2] + [20, 10])
        )

    monkeypatch.setattr(viewer, "_load", without_camera)
    viewer.show()
    np.testing.assert_allclose(viewer._server.initial_camera.position, [0, 0, 14])
    away = np.float32([0, -0.22, 0.3])  # SMPL's pelvis is not at the origin
    body = replace(run.body, vertices=run.body.vertices + away, joints=run.body.joints + away)
    monkeypatch.setattr(viewer, "_load", near)
    monkeypatch.setattr(viewer, "_body", body)
    viewer.show()
    fit = viewer._shown.fit
    eye, side = viewer._server.initial_camera.position, fit.frame[0, 2]
    np.testing.assert_allclose(eye, [20 / side, -10 / side, 3], rtol=1e-5)
    picture = viewer._server.scene.get_handle_by_name("/picture")
    unit = picture.render_width / 2
    placed = viewer.vertices
    share = (eye[2] - picture.position[2]) / (eye[2] - placed[:, 2])
    hit = eye[:2] + (placed[:, :2] - eye[:2]) * share[:, None]
    seen = fit.seen(fit.vertices(body))[0, :, :2]
    np.testing.assert_allclose((hit - picture.position[:2]) / unit, seen, atol=1e-4)
    monkeypatch.setattr(viewer, "_load", without_camera)
    viewer.show()
    np.testing.assert_allclose(viewer._server.initial_camera.position, [0, 0, 14])
    fit = viewer._shown.fit
    pelvis = fit.vertices(body)[0] - viewer.vertices
    np.testing.assert_allclose(pelvis - [0, 0, fit.joints(body)[0, 0, 2]], 0, atol=1e-6)
    monkeypatch.undo()
    viewer.show()


def test_a_mirrored_body_shows_its_outside(viewer, monkeypatch):
    load = viewer._load

    def mirrored(row):
        fit, picture = load(row)
        return Shown(replace(fit, rotation=np.diag(np.float32([-1, 1, 1])) @ fit.rotation), picture)

    assert {mesh.side for mesh in viewer._meshes} == {"front"}
    monkeypatch.setattr(viewer, "_load", mirrored)
    viewer.show()
    assert {mesh.side for mesh in viewer._meshes} == {"double"}


def test_pictures_that_cannot_be_read(run, tmp_path, capsys):
    """People are shown before a plain ground, and a line tells."""
    gone = replace(run, source=replace(run.source, images=tmp_path))
    server, viewer = serve(gone, Options(run=run.folder, port=free_port()))
    try:
        capsys.readouterr()
        viewer.person.value = "3"
        np.testing.assert_allclose(viewer.vertices, as_fitted(run, 2), atol=1e-6)
        assert (viewer._shown.picture == GROUND[::-1]).all()
        warning = f"warning: 1 of 1 person shown without picture; {tmp_path}"
        assert capsys.readouterr().err.startswith(warning)
    finally:
        server.stop()


def test_the_page_is_served(served):
    server, _ = served
    with urllib.request.urlopen(f"http://127.0.0.1:{server.get_port()}") as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()


def test_it_begins_with_the_person_as_fitted(run, viewer):
    np.testing.assert_allclose(viewer.vertices, as_fitted(run, 1), atol=1e-6)
    viewer.person.value = "3"
    expected = as_fitted(run, 2)
    np.testing.assert_allclose(viewer.vertices, expected, atol=1e-6)


def test_a_slider_resizes_a_segment_and_its_mirror(run, viewer):
    before = viewer.vertices
    viewer.scales["left_knee"].value = 1.5
    assert viewer.scales["right_knee"].value == 1.5
    scale = run.fits.read(1, 2).segment_scale.copy()
    scale[:, [4, 5]] = 1.5
    expected = as_fitted(run, 1, segment_scale=scale)
    np.testing.assert_allclose(viewer.vertices, expected, atol=1e-6)
    assert np.abs(viewer.vertices - before).max() > 0.05
    viewer.reset()
    viewer.show()
    np.testing.assert_allclose(viewer.vertices, before, atol=1e-6)


def test_one_side_alone(viewer):
    viewer.mirrored.value = False
    right = viewer.scales["right_elbow"].value
    before = viewer.vertices
    viewer.scales["left_elbow"].value = 1.7
    assert np.abs(viewer.vertices - before).max() > 0.01
    assert viewer.scales["right_elbow"].value == right


@pytest.mark.parametrize("colour", ["segments", "charts"])
def test_pieces_of_one_colour_make_the_whole_body(viewer, colour):
    before = viewer.vertices
    viewer.colour.value = colour
    assert len(viewer._meshes) == 24
    np.testing.assert_array_equal(viewer.vertices, before)
    faces = sum(len(mesh.faces) for mesh in viewer._meshes)
    assert faces == len(viewer._body.faces)


def test_what_is_in_doubt_has_other_colours(run, viewer):
    """From the colour of a sure vertex to that of one in doubt; also where nothing is known."""
    before = viewer.vertices
    viewer.colour.value = CERTAIN
    np.testing.assert_array_equal(viewer.vertices, before)
    assert sum(len(mesh.faces) for mesh in viewer._meshes) == len(run.body.faces)
    doubt = vertex_doubt(run.body, run.fits.read(1, 2).joint_deviation[0])
    pairs = zip(viewer._patches[CERTAIN], viewer._meshes, strict=True)
    redness = {mesh.color[0]: doubt[patch.vertices].mean() for patch, mesh in pairs}
    assert len(redness) > 2
    assert [redness[red] for red in sorted(redness)] == sorted(redness.values())


def test_the_t_pose(run, viewer):
    viewer.rest.value = True
    flat = {"pose": np.zeros((1, 24, 3), np.float32), "rotation": np.eye(3, dtype=np.float32)[None]}
    expected = as_fitted(run, 1, **flat)
    np.testing.assert_allclose(viewer.vertices, expected, atol=1e-6)


def test_a_browser_draws_it_anew(served, viewer, tmp_path):
    server, _ = served
    with chromium(tmp_path / "profile", 900, 600) as page:
        page.get(f"http://127.0.0.1:{server.get_port()}")
        assert eventually(lambda: page.find_elements("css selector", "canvas"))
        canvas = page.find_element("css selector", "canvas")
        assert eventually(lambda: len(np.unique(picture(canvas) // 8)) > 12)
        time.sleep(1)
        before = picture(canvas)
        viewer.scales["left_knee"].value = 1.9
        changed = lambda: (np.abs(picture(canvas) - before).sum(-1) > 60).mean()  # noqa: E731
        assert eventually(lambda: changed() > 0.01)
        assert console_errors(page) == []


def test_people_with_the_same_id(run):
    """Each of them can be chosen."""
    shown = [Shown(run.fits.read(row, row + 1), np.zeros((4, 4, 3), np.uint8)) for row in range(4)]
    server = viser.ViserServer(host="127.0.0.1", port=free_port(), verbose=False)
    try:
        viewer = Viewer(server, run.body, ["7", "7", "8", "9"], shown.__getitem__, first=3)
        assert viewer.person.options == ("7", "7 (2)", "8", "9") and viewer.person.value == "9"
        np.testing.assert_allclose(viewer.vertices, as_fitted(run, 3), atol=1e-6)
        viewer.person.value = "7 (2)"
        np.testing.assert_allclose(viewer.vertices, as_fitted(run, 1), atol=1e-6)
    finally:
        server.stop()


def test_no_person_has_the_id(run):
    with pytest.raises(UserError, match="--person 77: no person in"):
        serve(run, Options(run=run.folder, person=77))


def test_without_viser_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(run.folder)]) == 2
    error = capsys.readouterr().err
    assert 'pip install "bodyreg[view]"' in error and error.count("\n") == 1
