"""Fits against measured joints: those of the very same body, moved, and by hand."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.data import Fits
from bodyreg.data.skeletons import H36M_17, LSP_14
from bodyreg.metrics.pose import BONES, CANONICAL_BONE_SUM
from bodyreg.metrics.poses import POSE_METRICS, evaluate_poses

PEOPLE = 4


@pytest.fixture
def fits() -> Fits:
    random = np.random.default_rng(8)
    return Fits(
        id=np.arange(PEOPLE),
        frame=np.ones((PEOPLE, 3), np.float32),
        pose=np.float32(0.3 * random.normal(size=(PEOPLE, 24, 3))),
        segment_scale=np.float32(random.uniform(0.9, 1.1, (PEOPLE, 24))),
        rotation=Rotation.random(PEOPLE, rng=random).as_matrix().astype(np.float32),
        scale=np.float32(random.uniform(0.2, 1, PEOPLE)),
        translation=np.float32(random.normal(size=(PEOPLE, 2))),
        loss=np.zeros(PEOPLE, np.float32),
    )


def canonical(joints: np.ndarray) -> np.ndarray:
    """Each person separately, in metres, with bones of the canonical sum."""
    sized = []
    for person in joints.astype(float):
        at = dict(zip(H36M_17.joints, person, strict=True))
        total = sum(np.linalg.norm(at[one] - at[other]) for one, other in BONES)
        sized.append(person / total * CANONICAL_BONE_SUM / 1000)
    return np.array(sized)


def test_the_same_body_has_no_error_at_any_size(fits, body):
    true = canonical(fits.keypoints(body, H36M_17.keypoints))
    errors = evaluate_poses(fits, true + 5, body)
    assert tuple(errors) == tuple(POSE_METRICS)
    for name, values in errors.items():
        np.testing.assert_allclose(values, 0, atol=1e-2, err_msg=name)
    # A tenth too large: the best scale removes the error, the canonical scale does not.
    errors = evaluate_poses(fits, 1.1 * true, body)
    for name in ("n_mpjpe", "pa_mpjpe", "pa_mpjpe_14"):
        np.testing.assert_allclose(errors[name], 0, atol=1e-2, err_msg=name)
    assert (errors["bone_mpjpe"] > 20).all()


def test_a_turn_counts_where_cameras_are_known(fits, body):
    true = canonical(fits.keypoints(body, H36M_17.keypoints))
    turn = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    turned = dataclasses.replace(fits, rotation=(turn @ fits.rotation).astype(np.float32))
    errors = evaluate_poses(turned, true, body)
    assert (errors["bone_mpjpe"] > 100).all()
    assert (errors["n_mpjpe"] > 100).all()
    np.testing.assert_allclose(errors["pa_mpjpe"], 0, atol=1e-2)
    world = evaluate_poses(turned, true, body, camera=False)
    assert list(world) == ["pa_mpjpe", "pa_mpjpe_14"]


def test_the_fourteen_leave_out_what_only_human36m_has(fits, body):
    true = canonical(fits.keypoints(body, H36M_17.keypoints))
    others = [H36M_17.joints.index(name) for name in {*H36M_17.joints} - {*LSP_14.joints}]
    assert len(others) == 3
    true[:, others] += 0.2
    errors = evaluate_poses(fits, true, body)
    assert (errors["pa_mpjpe"] > 10).all()
    np.testing.assert_allclose(errors["pa_mpjpe_14"], 0, atol=1e-2)


def test_people_without_a_joint_have_no_number(fits, body):
    true = canonical(fits.keypoints(body, H36M_17.keypoints))
    true[1, 9] = np.nan
    true[3] = np.nan
    for name, values in evaluate_poses(fits, true, body).items():
        assert np.isnan(values).tolist() == [False, True, False, True], name
