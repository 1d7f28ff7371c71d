"""The built-in body agrees with its documentation."""

import numpy as np
import pytest
import torch

from bodyreg.body import JOINT_NAMES, LANDMARK_NAMES, MIRROR_JOINTS, PARENTS, Body
from bodyreg.body.body import DEFAULT_BODY
from bodyreg.body.joints import mirror_name
from bodyreg.body.surface import face_normals

REFLECT = np.array([-1.0, 1.0, 1.0])


def edges_of(faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return np.unique(edges, axis=0, return_counts=True)


def test_size(body):
    assert 6500 <= len(body.vertices) <= 7500
    assert DEFAULT_BODY.stat().st_size < 1_200_000
    assert body.vertices.dtype == np.float32
    assert body.faces.dtype == np.int64


def test_default_is_loaded_once():
    assert Body.default() is Body.default()


def test_t_pose(body):
    assert np.ptp(body.vertices[:, 1]) == pytest.approx(1.70, abs=1e-3)
    joint = dict(zip(JOINT_NAMES, body.joints, strict=True))
    np.testing.assert_allclose(joint["pelvis"], 0, atol=1e-6)
    for side, sign in (("left", 1), ("right", -1)):
        arm = np.stack([joint[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand")])
        np.testing.assert_allclose(arm[:, 1:], arm[:1, 1:].repeat(4, 0), atol=1e-5)
        assert (np.diff(arm[:, 0] * sign) > 0.05).all()
        leg = np.stack([joint[f"{side}_{n}"] for n in ("hip", "knee", "ankle")])
        np.testing.assert_allclose(leg[:, [0, 2]], leg[:1, [0, 2]].repeat(3, 0), atol=1e-5)
        assert (np.diff(leg[:, 1]) < -0.3).all()
        assert joint[f"{side}_foot"][2] > joint[f"{side}_ankle"][2] + 0.05
    palm = body.vertex_normals[body.segment == JOINT_NAMES.index("left_wrist")]
    assert np.abs(palm[:, 1]).mean() > np.abs(palm[:, 2]).mean()  # hands lie flat


def test_surface_is_closed_and_faces_outward(body):
    _, count = edges_of(body.faces)
    assert (count == 2).all()  # no boundary, no edge of three faces
    directed = np.concatenate([body.faces[:, [i, (i + 1) % 3]] for i in range(3)])
    assert len(np.unique(directed, axis=0)) == len(directed)  # neighbours agree on the outside
    assert len(body.vertices) - len(count) + len(body.faces) == 2  # a sphere, Euler says
    assert (np.unique(body.faces) == np.arange(len(body.vertices))).all()
    a, b, c = body.vertices.astype(np.float64)[body.faces.T]
    volume = (np.cross(a, b) * c).sum() / 6
    assert 0.05 < volume < 0.09  # cubic metres; a person of 1.70 m


def test_triangles_are_even(body):
    edges, _ = edges_of(body.faces)
    length = np.linalg.norm(np.diff(body.vertices[edges], axis=1)[:, 0], axis=1)
    low, high = np.percentile(length, [5, 95])
    assert high / low < 4  # fingers and face are finer on purpose; measured 3.5
    trunk_and_limbs = np.isin(body.segment, [0, 1, 2, 3, 4, 5, 6, 9, 16, 17])[edges].all(1)
    low, high = np.percentile(length[trunk_and_limbs], [5, 95])
    assert high / low < 2.5
    _, area = face_normals(body.vertices, body.faces)
    assert area.min() > 1e-7  # square metres
    corners = body.vertices[body.faces]
    sides = ((corners - np.roll(corners, 1, 1)) ** 2).sum((1, 2))
    quality = 4 * np.sqrt(3) * area / sides
    assert quality.min() > 0.05
    assert np.percentile(quality, 1) > 0.45
    share = np.bincount(body.segment, minlength=24) / len(body.vertices)
    assert share[15] < 0.15  # the head
    assert share[[20, 22]].sum() < 0.08  # a hand


def test_weights(body):
    assert body.weights.shape[1] <= 4
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-6)
    assert (body.weights >= 0).all()
    assert (np.diff(body.weights, axis=1) <= 0).all()
    assert set(body.segment) == set(range(24))


def test_segments_lie_around_their_joints(body):
    for joint in range(24):
        centre = body.vertices[body.segment == joint].mean(0)
        assert np.linalg.norm(centre - body.joints[joint]) < 0.3


def test_mirror(body):
    mirror = body.mirror_vertices
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    error = np.abs(body.vertices[mirror] * REFLECT - body.vertices).max()
    assert error < 1e-3
    np.testing.assert_allclose(body.joints[list(MIRROR_JOINTS)] * REFLECT, body.joints, atol=1e-5)
    np.testing.assert_allclose(
        body.dense_weights[mirror][:, list(MIRROR_JOINTS)], body.dense_weights, atol=1e-6
    )
    faces = {tuple(sorted(face)) for face in body.faces.tolist()}
    assert faces == {tuple(sorted(face)) for face in mirror[body.faces].tolist()}


def test_landmarks(body):
    assert tuple(body.landmarks) == LANDMARK_NAMES
    at = {n: x.weights @ body.vertices[x.vertices] for n, x in body.landmarks.items()}
    for name, point in at.items():
        np.testing.assert_allclose(at[mirror_name(name)] * REFLECT, point, atol=1e-3)
    head = body.joints[JOINT_NAMES.index("head")]
    assert at["head_top"][1] == pytest.approx(body.vertices[:, 1].max(), abs=1e-3)
    assert at["nose"][2] > at["left_eye"][2] > at["left_ear"][2] > head[2] - 0.05
    assert at["left_ear"][0] > at["left_eye"][0] > 0
    assert at["left_toe"][2] == pytest.approx(body.vertices[:, 2].max(), abs=0.02)
    assert at["left_heel"][2] < body.joints[JOINT_NAMES.index("left_ankle")][2]
    assert max(at["left_toe"][1], at["left_heel"][1]) < body.vertices[:, 1].min() + 0.06
    assert body.joint_names == JOINT_NAMES
    assert body.parents == PARENTS


def test_shape_directions(body):
    names = body.shape_names
    assert len(names) >= 10
    assert {"child", "old", "sex", "weight", "height", "muscle"} <= set(names)
    assert body.shape_directions.shape == (len(names), len(body.vertices), 3)
    mirrored = body.shape_directions[:, body.mirror_vertices] * REFLECT
    np.testing.assert_allclose(mirrored, body.shape_directions, atol=5e-4)
    largest = np.abs(body.shape_directions).max((1, 2))
    assert (largest > 0.003).all()
    np.testing.assert_allclose(body.shape_joint_directions[:, 0], 0, atol=1e-4)  # pelvis at 0


def shaped(body, **coefficients):
    return body.with_shape([coefficients.get(name, 0.0) for name in body.shape_names])


def test_shapes_are_people(body):
    child, man, woman = shaped(body, child=1), shaped(body, sex=1), shaped(body, sex=-1)
    height = {k: np.ptp(b.vertices[:, 1]) for k, b in dict(c=child, m=man, w=woman).items()}
    assert 0.9 < height["c"] < 1.3
    assert height["m"] > height["w"] + 0.05
    # A child's head is a larger share of it, and its joints moved along with its mesh.
    head = [b.vertices[:, 1].max() - b.joints[12, 1] for b in (child, body)]
    assert head[0] / height["c"] > 1.1 * head[1] / 1.7
    assert child.joints[4, 1] == pytest.approx(body.joints[4, 1] * height["c"] / 1.7, rel=0.2)
    thin, heavy = shaped(body, weight=-1), shaped(body, weight=1)
    waist = [np.ptp(b.vertices[body.segment == 3][:, 2]) for b in (thin, heavy)]
    assert waist[1] > waist[0] + 0.02
    for other in (child, man, woman, heavy):
        arm = other.joints[[16, 18, 20, 22]]
        np.testing.assert_allclose(arm[:, 1:], arm[:1, 1:].repeat(4, 0), atol=1e-3)


def test_random_people_keep_their_skin(body):
    """No triangle turns inside out when directions are combined."""
    rng = np.random.default_rng(4)
    normals, _ = face_normals(body.vertices, body.faces)
    for _ in range(10):
        coefficients = np.clip(rng.normal(0, 0.5, len(body.shape_names)), -1, 1)
        coefficients[0] = abs(coefficients[0])
        person = body.with_shape(coefficients)
        turned = (face_normals(person.vertices, body.faces)[0] * normals).sum(1)
        assert (turned < 0).mean() < 0.01
        assert 0.8 < np.ptp(person.vertices[:, 1]) < 2.3


def test_surface_samples(body):
    normals, shares = body.surface_samples(32)
    assert normals.shape == (24, 32, 3)
    assert shares.shape == (24, 32)
    torch.testing.assert_close(normals.norm(dim=2), torch.ones(24, 32))
    torch.testing.assert_close(shares.sum(1), torch.ones(24))
    again, _ = body.surface_samples(32)
    assert torch.equal(normals, again)
    # They stand for the segment: the visible share of a segment, against all of its faces.
    face_n, area = face_normals(body.vertices, body.faces)
    owner = body.dense_weights[body.faces].sum(1).argmax(1)
    rng = np.random.default_rng(0)
    for joint in range(24):
        mine = owner == joint
        for view in rng.normal(size=(5, 3)):
            view = view / np.linalg.norm(view)
            exact = (area[mine] * np.maximum(face_n[mine] @ view, 0)).sum() / area[mine].sum()
            few = (shares[joint] * (normals[joint] @ torch.tensor(view).float()).clamp(0)).sum()
            assert few.item() == pytest.approx(exact, abs=0.02)


def test_surface_samples_of_small_and_empty_segments(body):
    one_face = Body(
        "tiny", body.vertices, body.faces[:1], body.joints, body.weight_joint_ids, body.weights
    )
    normals, shares = one_face.surface_samples(4)
    assert sorted(shares.sum(1).tolist()) == [0.0] * 23 + [1.0]
    torch.testing.assert_close(normals.norm(dim=2), torch.ones(24, 4))
