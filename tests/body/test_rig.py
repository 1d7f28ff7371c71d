"""Rig points: contracting and then posing agrees with posing the mesh and then mixing."""

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.body import JOINT_NAMES, Body, mirror_pose
from bodyreg.body.rig import RigPoints
from bodyreg.errors import UserError


def random_pose(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pose = 0.6 * torch.randn(count, 24, 3, generator=generator, dtype=torch.float64)
    scale = torch.exp(0.1 * torch.randn(count, 24, generator=generator, dtype=torch.float64))
    return pose, scale


def skinned(body, transforms, vertices):
    """The definition in NumPy: every joint moves every vertex."""
    transforms = transforms.numpy()
    homogeneous = np.concatenate([vertices, np.ones((len(vertices), 1))], 1)
    moved = np.einsum("njrc,vc->nvjr", transforms, homogeneous)
    return np.einsum("vj,nvjr->nvr", body.dense_weights.astype(np.float64), moved)


def test_vertex_points_are_linear_blend_skinning(body):
    transforms, _ = body.pose(*random_pose(2))
    points = body.vertex_points().to(dtype=torch.float64)
    posed = reference.lbs(transforms, points.joint_ids, points.anchors)
    expected = skinned(body, transforms, body.vertices.astype(np.float64))
    np.testing.assert_allclose(posed.numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(points.normals.numpy(), body.vertex_normals)
    assert len(points) == len(body.vertices)


@pytest.mark.parametrize("count", [0, 1, 31, 257, 20000])
def test_surface_points_mix_skinned_vertices(body, count):
    rng = np.random.default_rng(count)
    vertex = body.faces[rng.integers(0, len(body.faces), count)]
    barycentric = rng.dirichlet([1, 1, 1], count)
    barycentric[::3] = [1, 0, 0]
    points = body.surface_points(vertex, barycentric)
    assert len(points) == count
    transforms, _ = body.pose(*random_pose(2, seed=1))
    posed = reference.lbs(transforms, points.joint_ids, points.anchors.double())
    mesh = skinned(body, transforms, body.vertices.astype(np.float64))
    expected = (mesh[:, vertex] * barycentric[..., None]).sum(2)
    np.testing.assert_allclose(posed.numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(points.normals.norm(dim=1).numpy(), 1, atol=1e-6)
    assert points.joint_ids.shape[1] <= 12
    assert points.joint_ids.dtype == torch.int32


def test_vertices_far_apart_and_any_weights():
    """Independent of the mesh: random bodies with many influences, negative shares."""
    rng = np.random.default_rng(3)
    vertices, joints = rng.normal(size=(40, 3)), 24
    dense = rng.random((40, joints)) * (rng.random((40, joints)) < 0.4)
    dense[:, 0] += 0.01
    vertex = rng.integers(0, 40, (33, 5))
    mix = rng.normal(size=(33, 5))
    homogeneous = np.concatenate([vertices, np.ones((40, 1))], 1)
    every = np.tile(np.arange(joints, dtype=np.int32), (40, 1))
    table = RigPoints(
        torch.from_numpy(every), torch.from_numpy(dense[..., None] * homogeneous[:, None])
    )
    points = table.mix(vertex, mix)
    assert (np.diff(points.joint_ids.numpy()) > 0).any() and points.anchors.dtype == torch.float64
    transforms = torch.from_numpy(rng.normal(size=(2, joints, 3, 4)))
    posed = reference.lbs(transforms, points.joint_ids, points.anchors).numpy()
    mesh = np.einsum("vj,njrc,vc->nvr", dense, transforms.numpy(), homogeneous)
    np.testing.assert_allclose(posed, np.einsum("pi,npir->npr", mix, mesh[:, vertex]), atol=1e-12)


def test_joints_as_keypoints(body):
    transforms, positions = body.pose(*random_pose(3, seed=2))
    points = body.keypoints(JOINT_NAMES)
    posed = reference.lbs(transforms, points.joint_ids, points.anchors.double())
    torch.testing.assert_close(posed, positions, atol=1e-6, rtol=0)


def test_landmarks_as_keypoints(body):
    points = body.keypoints(["nose", "left_wrist", "right_heel"])
    transforms, positions = body.pose(*random_pose(2, seed=4))
    posed = reference.lbs(transforms, points.joint_ids, points.anchors.double()).numpy()
    mesh = skinned(body, transforms, body.vertices.astype(np.float64))
    for column, name in ((0, "nose"), (2, "right_heel")):
        landmark = body.landmarks[name]
        expected = (mesh[:, landmark.vertices] * landmark.weights[:, None]).sum(1)
        np.testing.assert_allclose(posed[:, column], expected, atol=2e-6)
    np.testing.assert_allclose(
        posed[:, 1], positions[:, JOINT_NAMES.index("left_wrist")], atol=1e-6
    )
    assert len(body.keypoints([])) == 0


def test_rest_pose_is_the_template(body):
    transforms, positions = body.pose(torch.zeros(1, 24, 3), torch.ones(1, 24))
    points = body.vertex_points()
    posed = reference.lbs(transforms, points.joint_ids, points.anchors)
    np.testing.assert_allclose(posed[0].numpy(), body.vertices, atol=1e-6)
    np.testing.assert_allclose(positions[0].numpy(), body.joints, atol=1e-6)


def test_pose_has_gradients_at_rest(body):
    pose = torch.zeros(1, 24, 3, requires_grad=True)
    body.pose(pose)[1].pow(2).sum().backward()
    assert torch.isfinite(pose.grad).all()
    assert pose.grad.abs().max() > 0


def test_a_mirrored_pose_mirrors_the_body(body):
    pose, scale = random_pose(2, seed=5)
    points = body.vertex_points().to(dtype=torch.float64)
    posed = [
        reference.lbs(body.pose(p, s)[0], points.joint_ids, points.anchors)
        for p, s in ((pose, scale), (mirror_pose(pose), scale[:, list(body.mirror_joints)]))
    ]
    reflected = posed[0][:, torch.from_numpy(body.mirror_vertices)] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(posed[1], reflected, atol=1e-3, rtol=0)
    torch.testing.assert_close(mirror_pose(mirror_pose(pose)), pose)


def test_shaped_bodies_skin_well(body):
    """A bent elbow, an arm that hangs and a lifted leg keep triangles near their size."""
    pose = torch.zeros(1, 24, 3)
    for name, vector in (
        ("left_shoulder", (0, 0, -1.2)), ("right_shoulder", (0, 0, 1.2)),
        ("left_elbow", (0, -1.2, 0)), ("left_hip", (-1.2, 0, 0)), ("left_knee", (1.2, 0, 0)),
    ):  # fmt: skip
        pose[0, JOINT_NAMES.index(name)] = torch.tensor(vector)
    for name, value in (("child", 1.0), ("weight", 1.0), ("sex", -1.0), ("old", 1.0)):
        person = body.with_shape([value * (n == name) for n in body.shape_names])
        points = person.vertex_points()
        mesh = reference.lbs(person.pose(pose)[0], points.joint_ids, points.anchors)[0].numpy()
        assert np.isfinite(mesh).all()
        corners = [v[person.faces] for v in (person.vertices, mesh)]
        lengths = [np.linalg.norm(c - np.roll(c, 1, 1), axis=2) for c in corners]
        ratio = lengths[1] / lengths[0]
        assert np.percentile(ratio, 1) > 0.4
        assert np.percentile(ratio, 99) < 1.8


def test_select_pad_and_convert(body):
    points = body.vertex_points()
    some = points.select([5, 3])
    assert torch.equal(some.anchors, points.anchors[[5, 3]])
    mask = torch.zeros(len(points), dtype=torch.bool)
    mask[:7] = True
    assert len(points.select(mask)) == len(points.select(slice(0, 7))) == 7
    padded = some.pad_to(9)
    assert padded.joint_ids.shape == (2, 9)
    assert not padded.anchors[:, 4:].any()
    assert padded.to(dtype=torch.float64).normals.dtype == torch.float64
    with pytest.raises(ValueError, match="slots"):
        points.pad_to(1)


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_vertices_the_body_does_not_have(body, bad):
    with pytest.raises(UserError, match="point 1"):
        body.surface_points([[0, 1, 2], [0, bad, 2]], [[1, 0, 0], [1, 0, 0]])


def test_names_the_body_does_not_have(body):
    with pytest.raises(UserError, match="left_tail"):
        body.keypoints(["nose", "left_tail"])


def test_wrong_number_of_shape_coefficients(body):
    with pytest.raises(UserError, match="child"):
        body.with_shape([0.0])
    bare = Body("bare", body.vertices, body.faces, body.joints, body.weight_joint_ids, body.weights)
    with pytest.raises(UserError, match="none"):
        bare.with_shape([1.0])
