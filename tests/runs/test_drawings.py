"""What a run draws: meshes in metres, whatever the camera, and the people of the sheet."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from bodyreg.body import Body
from bodyreg.data import Fits, Observations, stored
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.pictures import write_picture
from bodyreg.registration import RegistrationConfig
from bodyreg.runs.drawings import chosen, write_meshes
from bodyreg.runs.job import Job, Request, evenly


@pytest.mark.parametrize("scale", [1.0, 0.37, -6e-9, 0.0])
def test_a_mesh_does_not_depend_on_the_camera(tmp_path, scale):
    """As a fit of all joints on one pixel ends: the camera's scale keeps no digit of the body."""
    random, body = np.random.default_rng(0), Body.default()
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0].astype(np.float32)
    fits = Fits(
        id=np.array([5, 9]),
        frame=np.full((2, 3), 90, np.float32),
        pose=random.normal(0, 0.2, (2, 24, 3)).astype(np.float32),
        segment_scale=np.ones((2, 24), np.float32),
        rotation=np.stack([turn, turn.T]),
        scale=np.full(2, scale, np.float32),
        translation=random.normal(size=(2, 2)).astype(np.float32),
    )
    sign = np.full(2, -1 if scale < 0 else 1, np.float32)
    one = replace(fits, scale=sign, translation=np.zeros((2, 2), np.float32))
    request = SimpleNamespace(out=tmp_path, meshes="ply")
    job = SimpleNamespace(request=request, body=body, shards=SimpleNamespace(folder=tmp_path))
    write_meshes(job, fits)
    for number, expected in zip((5, 9), one.vertices(body), strict=True):
        mesh = trimesh.load(tmp_path / "meshes" / f"{number}.ply", process=False)
        np.testing.assert_allclose(mesh.vertices, expected, atol=1e-6)
        assert 1 < np.ptp(mesh.vertices, axis=0).max() < 2.5
        assert mesh.volume > 0.01  # its faces look outward, also where the turn is a reflection


def test_pictures_are_looked_at_before_the_fits(tmp_path, monkeypatch):
    """Of some people, up to the first one that can be read, also if none is drawn."""
    people = Observations.of_keypoints(
        ("left_hip", "right_hip", "left_knee"),
        np.tile(np.array([[20, 30], [60, 40], [50, 90]], float), (9, 1, 1)),
        np.ones((9, 3)),
        id=np.arange(9),
        frame=np.full((9, 3), 50.0),
        picture=np.array([f"{number}.png" for number in range(9)]),
    )
    people.save(tmp_path / "people.npz")
    for number in range(9):
        write_picture(tmp_path / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    opened, read_header = [], stored.read_header
    monkeypatch.setattr(stored, "read_header", lambda p: opened.append(p.stem) or read_header(p))
    source = Source("observations", tmp_path / "people.npz", tmp_path)
    request = Request(tmp_path / "out", source, RegistrationConfig(), "accurate")
    Job.open(request)
    assert opened == ["0"]
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    Job.open(request)
    assert opened[:3] == ["0", "0", "1"] and opened[-1] == "8"
    (tmp_path / "8.png").unlink()
    with pytest.raises(UserError, match=r"0.png: no readable picture of person 0 "):
        Job.open(request)


def test_people_are_chosen_evenly():
    assert evenly(9, 3).tolist() == [0, 4, 8]
    assert evenly(1, 5).tolist() == [0]
    assert evenly(7, 10**12).tolist() == list(range(7))  # and no memory is taken for 10^12


def test_doubtful_people_are_drawn_first():
    doubt = np.float32([0, 2, 0.5, 7, 0.1, 1, 3, 0.9])
    assert chosen(doubt, 4).tolist() == [0, 3, 6, 7]  # two of three doubtful ones, and two others
    assert chosen(doubt, 1).tolist() == [3]
    assert chosen(doubt, 100).tolist() == list(range(8))
    assert set(chosen(doubt, 7)) >= {1, 3, 6} and len(chosen(doubt, 7)) == 7
    assert chosen(np.float32([2, 3]), 2).tolist() == [0, 1]
    assert chosen(np.zeros(9, np.float32), 3).tolist() == evenly(9, 3).tolist()
