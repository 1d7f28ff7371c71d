"""SMPL's parameters: SMPL's own skinning gives the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from smplx.lbs import batch_rodrigues, lbs

from bodyreg.body import PARENTS, Body
from bodyreg.errors import UserError
from bodyreg.exchange import mhr_vertices, motion_of, smpl_parameters, smpl_vertices
from tests.body.smpl_files import smpl_arrays

from .people import random_fits, with_camera


@pytest.fixture
def model(tmp_path) -> tuple[dict[str, np.ndarray], Body]:
    arrays = smpl_arrays(11, vertices=200)
    np.savez(tmp_path / "smpl.npz", **arrays)
    return arrays, Body.load(tmp_path / "smpl.npz")


def in_metres(body: Body, fits, place: np.ndarray) -> np.ndarray:
    metre = abs(fits.scale.astype(np.float64))[:, None, None]
    pelvis = fits.joints(body)[:, :1] / metre
    return fits.vertices(body) / metre - pelvis + place[:, None]


def test_smpl_alone_gives_a_person_of_the_templates_proportions(model):
    arrays, body = model
    random = np.random.default_rng(0)
    fits = with_camera(random_fits(random, 5), random)
    fits = replace(fits, segment_scale=np.ones_like(fits.segment_scale))
    motion = motion_of(body, fits)
    found = {n: torch.from_numpy(a).double() for n, a in smpl_parameters(motion).items()}
    assert {n: tuple(a.shape) for n, a in found.items()} == {
        "global_orient": (5, 3), "body_pose": (5, 69), "betas": (5, 10), "transl": (5, 3),
        "segment_scale": (5, 24),
    }  # fmt: skip
    vertices, _ = lbs(
        found["betas"],
        torch.cat([found["global_orient"], found["body_pose"]], 1),
        torch.from_numpy(arrays["v_template"]),
        torch.zeros(len(arrays["v_template"]), 3, 10).double(),
        torch.zeros(207, 3 * len(arrays["v_template"])).double(),
        torch.from_numpy(arrays["J_regressor"]),
        torch.tensor(PARENTS),
        torch.from_numpy(arrays["weights"]),
    )
    vertices = (vertices + found["transl"][:, None]).numpy()
    np.testing.assert_allclose(vertices, in_metres(body, fits, motion.place), atol=1e-5)


def test_the_translation_is_of_the_bodys_own_origin(model):
    """That of the built-in body is its pelvis; that of SMPL is not."""
    random = np.random.default_rng(4)
    fits = random_fits(random, 3)
    for body in (Body.default(), model[1]):
        motion = motion_of(body, fits)
        found = smpl_parameters(motion)["transl"]
        np.testing.assert_allclose(found + body.joints[0], motion.place, atol=1e-6)
    assert not Body.default().joints[0].any() and body.joints[0].any()


def test_with_segment_scales_it_gives_the_fit(model):
    """SMPL's skinning, with longer bones and scaled rotations, written out."""
    arrays, body = model
    random = np.random.default_rng(1)
    fits = with_camera(random_fits(random, 5), random)
    motion = motion_of(body, fits)
    found = smpl_parameters(motion)
    joints, rest, scale = arrays["J"], arrays["v_template"], found["segment_scale"].astype(float)
    for person in range(5):
        pose = np.concatenate([found["global_orient"][person], found["body_pose"][person]])
        turns = batch_rodrigues(torch.from_numpy(pose.reshape(24, 3)).double()).numpy()
        chain, places = [turns[0]], [joints[0]]
        for k, q in enumerate(PARENTS[1:], 1):
            chain.append(chain[q] @ turns[k])
            places.append(places[q] + chain[q] @ (scale[person, q] * (joints[k] - joints[q])))
        moved = [scale[person, k] * (rest - joints[k]) @ chain[k].T + places[k] for k in range(24)]
        vertices = np.einsum("vk,kvi->vi", arrays["weights"], moved) + found["transl"][person]
        expected = in_metres(body, fits, motion.place)[person]
        np.testing.assert_allclose(vertices, expected, atol=1e-5)


def test_vertices_of_fitted_smpl(tmp_path):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(12, vertices=6890))
    body, random = Body.load(tmp_path / "smpl.npz"), np.random.default_rng(3)
    fits = with_camera(random_fits(random, 2), random)
    motion = motion_of(body, fits)
    expected = in_metres(body, fits, motion.place)
    np.testing.assert_allclose(smpl_vertices(motion), expected, atol=1e-5)


def test_vertices_of_an_unknown_body(model):
    _, body = model
    motion = motion_of(body, random_fits(np.random.default_rng(4), 1))
    with pytest.raises(UserError, match="not known where SMPL's vertices lie"):
        smpl_vertices(motion)


def test_a_mirrored_person_is_refused():
    fits = random_fits(np.random.default_rng(2), 1)
    with pytest.raises(UserError, match="mirrored, which SMPL cannot be"):
        smpl_parameters(motion_of(Body.default(), replace(fits, scale=-fits.scale)))


def test_mhrs_vertices_are_spread_over_the_built_in_body(model):
    """On its two sides alike, from head to toe; on other bodies they are not known."""
    body = Body.default()
    rest = random_fits(np.random.default_rng(6), 1)
    rest = replace(
        rest,
        pose=np.zeros_like(rest.pose),
        segment_scale=np.ones_like(rest.segment_scale),
        rotation=np.eye(3, dtype=np.float32)[None],
        scale=np.ones(1, np.float32),
    )
    (vertices,) = mhr_vertices(motion_of(body, rest))
    assert vertices.shape == (18439, 3)
    size = np.ptp(body.vertices, axis=0)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), size, rtol=0.02)  # toes
    middle = body.vertices[:, 0].mean() + vertices[:, 0] - vertices[:, 0].mean()
    assert abs((middle > 0).mean() - 0.5) < 0.01
    _, other = model
    with pytest.raises(UserError, match="only on the built-in body"):
        mhr_vertices(motion_of(other, random_fits(np.random.default_rng(4), 1)))
