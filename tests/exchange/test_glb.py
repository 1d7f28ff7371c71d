"""GLB files, opened again by other programs."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from bodyreg.body import Body
from bodyreg.data.frames import image_from_frame
from bodyreg.errors import UserError
from bodyreg.exchange import motion_of, to_glb
from tests.body.smpl_files import smpl_arrays

from .people import Glb, from_pelvis, random_fits, with_camera

FLOAT = 1e-5


@pytest.fixture(scope="module", params=["default", "smpl"])
def body(request, tmp_path_factory) -> Body:
    """The built-in body, and one whose vertices have up to eleven influences."""
    if request.param == "default":
        return Body.default()
    path = tmp_path_factory.mktemp("body") / "smpl.npz"
    np.savez(path, **smpl_arrays(5))
    return Body.load(path)


@pytest.mark.parametrize("seed", range(3))
def test_a_body_stands_as_in_its_fit(body, seed):
    random = np.random.default_rng(seed)
    fits = random_fits(random, 1)
    glb = Glb(to_glb(motion_of(body, fits)))
    vertices, joints = from_pelvis(body, fits)
    np.testing.assert_allclose(glb.joints(), joints[0], atol=FLOAT)
    np.testing.assert_allclose(glb.vertices(), vertices[0], atol=FLOAT)
    assert [glb.gltf.nodes[j].name for j in glb.gltf.skins[0].joints] == list(body.joint_names)
    assert not glb.gltf.animations


@pytest.mark.parametrize("seed", range(3))
def test_an_animation_has_every_pose(body, seed):
    random = np.random.default_rng(10 + seed)
    fits = random_fits(random, 7)
    motion = motion_of(body, fits)
    glb = Glb(to_glb(motion, 25.0))
    vertices, joints = from_pelvis(body, fits)
    for key in range(len(fits)):
        place = motion.place[key]
        np.testing.assert_allclose(glb.joints(key), joints[key] + place, atol=FLOAT)
        np.testing.assert_allclose(glb.vertices(key), vertices[key] + place, atol=FLOAT)
    times = glb.array(glb.gltf.animations[0].samplers[0].input)
    np.testing.assert_allclose(times, np.arange(7) / 25)
    # Between keys a program turns the shorter way.
    for (_, path), values in glb.channels().items():
        if path == "rotation":
            assert ((values[1:] * values[:-1]).sum(1) >= 0).all()


def test_a_camera_at_the_origin_sees_the_picture(body):
    random = np.random.default_rng(4)
    fits = with_camera(random_fits(random, 5), random)
    glb = Glb(to_glb(motion_of(body, fits)))
    seen = image_from_frame(fits.seen(fits.vertices(body))[..., :2], fits.frame[:, None])
    for key in range(len(fits)):
        x, y, z = glb.vertices(key).T
        far = z < -0.2 * fits.focal[key] / (fits.scale[key] * fits.frame[key, 2])
        pixels = fits.principal_point[key] + fits.focal[key] * np.stack([x, -y], 1) / -z[:, None]
        assert far.any()
        np.testing.assert_allclose(pixels[far], seen[key][far], atol=0.05)


@pytest.mark.parametrize("how", ["reflection", "negative scale", "both"])
def test_a_mirrored_person(how):
    body, random = Body.default(), np.random.default_rng(5)
    fits = random_fits(random, 3)
    if how != "negative scale":
        fits = replace(fits, rotation=fits.rotation * np.float32([-1, 1, 1]))
    if how != "reflection":
        fits = replace(fits, scale=-fits.scale)
    motion = motion_of(body, fits)
    assert motion.mirrored == (how != "both")
    glb = Glb(to_glb(motion))
    vertices, _ = from_pelvis(body, fits)
    for key in range(3):
        np.testing.assert_allclose(glb.vertices(key) - motion.place[key], vertices[key], atol=FLOAT)


def test_trimesh_opens_it():
    body, random = Body.default(), np.random.default_rng(6)
    data = to_glb(motion_of(body, random_fits(random, 2)))
    scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    (mesh,) = scene.geometry.values()
    np.testing.assert_array_equal(mesh.faces, body.faces)
    np.testing.assert_allclose(mesh.vertices, body.vertices, atol=1e-7)
    assert set(body.joint_names) <= set(scene.graph.nodes)


def test_what_gltf_demands_of_a_skin(body):
    data = to_glb(motion_of(body, random_fits(np.random.default_rng(7), 2)))
    glb = Glb(data)
    attributes = glb.gltf.meshes[0].primitives[0].attributes
    sets = -(-body.weights.shape[1] // 4)
    weights = [glb.array(getattr(attributes, f"WEIGHTS_{n}")) for n in range(sets)]
    joints = [glb.array(getattr(attributes, f"JOINTS_{n}")) for n in range(sets)]
    weights, joints = np.concatenate(weights, 1), np.concatenate(joints, 1)
    np.testing.assert_allclose(weights.sum(1), 1, atol=2e-6)
    assert (weights >= 0).all() and (joints[weights == 0] == 0).all()
    assert (np.diff(weights) <= 0).all()  # the first set has the largest
    for accessor in (attributes.POSITION, glb.gltf.animations[0].samplers[0].input):
        array = glb.array(accessor).reshape(glb.gltf.accessors[accessor].count, -1)
        np.testing.assert_array_equal(glb.gltf.accessors[accessor].min, array.min(0))
        np.testing.assert_array_equal(glb.gltf.accessors[accessor].max, array.max(0))
    assert all(view.byteOffset % 4 == 0 for view in glb.gltf.bufferViews)
    assert len(data) == int.from_bytes(data[8:12], "little") and len(data) % 4 == 0
    again = to_glb(motion_of(body, random_fits(np.random.default_rng(7), 2)))
    assert data == again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_scale": np.zeros((2, 24), np.float32)}, "a segment scale is not positive"),
        ({"scale": np.zeros(2, np.float32)}, "the scale is 0"),
        ({"rotation": np.zeros((2, 3, 3), np.float32)}, "the rotation is not orthonormal"),
        ({"scale": np.float32([1, -1])}, "mirrored"),
    ],
)
def test_fits_that_no_skeleton_can_show(change, message):
    fits = replace(random_fits(np.random.default_rng(8), 2), **change)
    with pytest.raises(UserError, match=message):
        motion_of(Body.default(), fits)


def test_missing_poses_are_between_their_neighbours():
    body, random = Body.default(), np.random.default_rng(9)
    fits = random_fits(random, 3)
    motion = motion_of(body, fits, np.array([4, 5, 9]))
    assert len(motion) == 6
    known = motion_of(body, fits)
    np.testing.assert_allclose(motion.rotations[[0, 1, 5]], known.rotations, atol=1e-6)
    np.testing.assert_allclose(motion.place[3], (known.place[1] + known.place[2]) / 2)
    one, half, two = known.rotations[1], motion.rotations[3], known.rotations[2]
    np.testing.assert_allclose(one.swapaxes(1, 2) @ half, half.swapaxes(1, 2) @ two, atol=1e-6)
