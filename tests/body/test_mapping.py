"""A body laid over another: SMPL's vertices come to lie where they are known to belong."""

import dataclasses

import numpy as np
import pytest
import trimesh

from bodyreg.body import Body, wrapping
from bodyreg.body.landmarks import vertex_landmark
from bodyreg.body.mapping import map_smpl
from bodyreg.body.nearest import Surface
from bodyreg.body.wrapping import Pins, bend, settle
from bodyreg.cli import main
from bodyreg.errors import UserError
from tests.body.densepose_files import write_uv
from tests.body.test_charts import random_points


@pytest.fixture
def hasty(monkeypatch):
    """Fewer rounds than for a real map."""
    monkeypatch.setattr(wrapping, "ROUNDS", wrapping.ROUNDS[2:8:3])
    monkeypatch.setattr(wrapping, "BENDS", wrapping.BENDS[1::2])


def other_mesh(body: Body, random: np.random.Generator) -> Body:
    """The body with another mesh, twice as fine along some edges, its vertices in another order."""
    split = random.choice(len(body.faces), len(body.faces) // 3, replace=False)
    vertices, faces = trimesh.remesh.subdivide(
        body.vertices.astype(float), body.faces, face_index=split
    )
    near = Surface(body.vertices, body.faces).nearest(
        vertices, trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    )
    weights = (body.dense_weights[body.faces[near.face]] * near.barycentric[..., None]).sum(1)
    order = random.permutation(len(vertices))
    back = np.argsort(order)
    ids = np.argsort(-weights[order], axis=1, kind="stable")[:, :8]
    return Body(
        name="other",
        vertices=vertices[order].astype(np.float32),
        faces=back[faces],
        joints=body.joints,
        weight_joint_ids=ids.astype(np.int32),
        weights=np.take_along_axis(weights[order], ids, 1).astype(np.float32),
    )


def test_a_body_of_another_mesh_and_shape(body, tmp_path, hasty, capsys):
    random = np.random.default_rng(0)
    shape = random.normal(0, 0.3, len(body.shape_names))
    shape[:2] = np.abs(shape[:2])
    shaped = body.with_shape(shape)
    other_mesh(shaped, random).save(tmp_path / "other.npz")
    out = tmp_path / "mapped.npz"
    command = ["make-map", "--template", str(tmp_path / "other.npz"), "--out", str(out)]
    assert main(command) == 0
    assert "millimetres from the surface" in capsys.readouterr().out
    mapped, path = Body.load(out), write_uv(tmp_path / "uv.mat", body)
    vertex, share = mapped.smpl_points(np.arange(6890))
    found = (mapped.vertices[vertex] * share[..., None]).sum(1)
    vertex, share = body.smpl_points(np.arange(6890))
    away = np.linalg.norm(found - (shaped.vertices[vertex] * share[..., None]).sum(1), axis=1)
    assert np.median(away) < 2e-3
    assert np.percentile(away, 95) < 0.012
    # Chart points go the same way.
    part, uv, _ = random_points(body.charts, body, 500, 1)
    places = []
    for figure in (mapped.with_uv(path), shaped.with_uv(path)):
        vertex, share = figure.charts_named("densepose").locate(part, uv)
        places.append((figure.vertices[vertex] * share[..., None]).sum(1))
    assert np.median(np.linalg.norm(places[0] - places[1], axis=1)) < 2e-3


def test_the_built_in_mesh_has_its_table(body):
    bare = dataclasses.replace(body, smpl=None).with_shape(np.full(len(body.shape_names), 0.1))
    mapping = map_smpl(bare)
    np.testing.assert_array_equal(mapping.body.smpl.vertex, body.smpl.vertex)
    assert not mapping.away.any()


def test_smpl_itself_needs_no_map(body):
    like = dataclasses.replace(
        body, vertices=body.vertices[:6890], faces=np.arange(9).reshape(3, 3), smpl=None
    )
    with pytest.raises(UserError, match="has SMPL's vertices"):
        map_smpl(like)


def test_what_is_no_person_is_refused(body, hasty):
    box = trimesh.creation.box((1.5, 1.7, 1.2)).subdivide().subdivide().subdivide()
    count = len(box.vertices)
    thing = dataclasses.replace(
        body,
        name="box",
        vertices=np.asarray(box.vertices, np.float32),
        faces=np.asarray(box.faces, np.int64),
        weight_joint_ids=np.random.default_rng(0).integers(0, 24, (count, 1)).astype(np.int32),
        weights=np.ones((count, 1), np.float32),
        landmarks={},
        smpl=None,
    )
    with pytest.raises(UserError, match="a person in a T-pose"):
        map_smpl(thing)


def test_a_body_inside_out_is_refused(body, hasty):
    other = other_mesh(body, np.random.default_rng(0))
    with pytest.raises(UserError, match="its faces look inward"):
        map_smpl(dataclasses.replace(other, faces=other.faces[:, ::-1].copy()))


def test_a_handful_of_tetrahedra_is_refused(tmp_path, hasty, capsys):
    from tests.cli.conftest import smpl_arrays

    np.savez(tmp_path / "tetrahedra.npz", **smpl_arrays())
    command = ["make-map", "--template", str(tmp_path / "tetrahedra.npz"), "--out"]
    assert main([*command, str(tmp_path / "out.npz")]) == 2
    error = capsys.readouterr().err
    assert "'tetrahedra': a tenth of the built-in body" in error and error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_settling_finds_pose_and_shape(body, hasty):
    """The target is the body itself, bent and reshaped: every vertex has a known place."""
    import torch

    random = np.random.default_rng(4)
    shaped = body.with_shape(random.normal(0, 0.2, len(body.shape_names)).clip(-0.3, 0.3))
    pose = torch.from_numpy(random.normal(0, 0.1, (1, 24, 3)))
    transforms, joints = shaped.pose(pose)
    weights = torch.from_numpy(shaped.dense_weights).double()
    mixed = (weights @ transforms[0].reshape(24, 12)).reshape(-1, 3, 4).numpy()
    right = (mixed[..., :3] @ shaped.vertices[..., None])[..., 0] + mixed[..., 3]
    target = Surface(right, body.faces)
    pinned = random.integers(0, len(body.vertices), 30)
    pins = Pins([vertex_landmark(int(v)) for v in pinned], right[pinned])
    found = settle(body, target, pins, joints=joints[0].numpy())
    away = np.linalg.norm(found - right, axis=1)
    assert np.median(away) < 0.004
    assert np.percentile(away, 99) < 0.02


def test_bending_a_ball_onto_an_egg(hasty):
    ball = trimesh.creation.icosphere(3, 0.5)
    egg = trimesh.creation.icosphere(4, 0.5)
    stretch = np.array([1.04, 0.95, 1.06])
    target = Surface(egg.vertices * stretch, egg.faces)
    pins = Pins([vertex_landmark(7)], ball.vertices[[7]] * stretch)
    found = bend(ball.vertices.copy(), ball.faces, target, pins)
    off = np.abs(np.linalg.norm(found / stretch, axis=1) - 0.5)
    assert np.median(off) < 2e-3  # the egg is made of flat triangles
    assert np.linalg.norm(found - ball.vertices * stretch, axis=1).max() < 0.03
    apart = target.nearest(found, found / np.linalg.norm(found, axis=1, keepdims=True))
    assert np.sqrt(np.median(apart.cost)) < 1e-3
