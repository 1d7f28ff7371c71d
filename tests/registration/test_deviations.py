"""The deviations of a fit's joints: as large as its errors are, and fit for what they are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bodyreg import Body, Observations, RegistrationConfig, register
from bodyreg.data import Fits, Truth, read_densepose_coco
from bodyreg.metrics.pose import within_deviation
from bodyreg.registration.deviations import MOST
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.faults import Faults
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from bodyreg.synthetic.observe import Noise

BODY = Body.default()
FULL = RegistrationConfig()


def people_of(folder: Path, count: int, seed: int, noise: Noise, **camera):
    pictures, truth = make_dataset(BODY, count, seed, noise, **camera)
    write_densepose_coco(folder / "people.json", pictures, BODY.charts.name)
    seen, _ = read_densepose_coco(folder / "people.json", BODY)
    seen = seen.select(np.flatnonzero((seen.keypoint_weight > 0).sum(1) >= 3))
    row = {person: place for place, person in enumerate(truth.id.tolist())}
    return seen, truth.select(np.array([row[person] for person in seen.id.tolist()]))


@pytest.fixture(scope="module")
def near(tmp_path_factory) -> tuple[Observations, Truth]:
    """As detectors see people in near pictures."""
    folder = tmp_path_factory.mktemp("near")
    return people_of(folder, 96, 31, Noise(faults=Faults()), distance=(2.0, 5.0))


@pytest.fixture(scope="module")
def far(tmp_path_factory) -> tuple[Observations, Truth]:
    """As annotators see distant people."""
    return people_of(tmp_path_factory.mktemp("far"), 96, 32, Noise())


def keypoints_alone(seen: Observations) -> Observations:
    return replace(
        seen.with_depths(None), point_start=np.zeros_like(seen.point_start),
        point_xy=seen.point_xy[:0], point_vertex=seen.point_vertex[:0],
        point_barycentric=seen.point_barycentric[:0], point_weight=seen.point_weight[:0],
    )  # fmt: skip


EVIDENCE = {
    "with depths": lambda seen: seen,
    "without depths": lambda seen: seen.with_depths(None),
    "keypoints alone": keypoints_alone,
}


def shares(fits: Fits, truth: Truth) -> np.ndarray:
    """(N, 2) of joints within one deviation, across and along the view."""
    truth, size = truth.in_frames(fits.frame), 1000 / fits.scale[:, None, None]
    joints, true = fits.joints(BODY), truth.placed(truth.joints)
    return within_deviation(size * joints, size * true, fits.joint_deviation)


@pytest.mark.parametrize("evidence", EVIDENCE)
@pytest.mark.parametrize("people", ["near", "far"])
def test_two_of_three_joints_are_within_one_deviation(people, evidence, request):
    """0.68 is right. The band holds what 96 people leave open."""
    seen, truth = request.getfixturevalue(people)
    fits = register(BODY, EVIDENCE[evidence](seen))
    across, along = shares(fits, truth).mean(0)
    assert 0.58 < across < 0.78
    assert 0.58 < along < 0.78


def test_limbs_that_no_point_shows_are_less_certain(near):
    seen, _ = near
    some = seen.select(np.arange(24)).with_depths(None)
    leg = [i for i, name in enumerate(some.keypoint_name) if name.endswith(("knee", "ankle"))]
    weight = some.keypoint_weight.copy()
    weight[:, leg] = 0
    cut = replace(keypoints_alone(some), keypoint_weight=weight)
    whole, cut = (register(BODY, s) for s in (keypoints_alone(some), cut))
    joints = [BODY.joint_names.index(f"{side}_ankle") for side in ("left", "right")]
    present = (some.keypoint_weight[:, leg] > 0).all(1)
    before, after = (fits.joint_deviation[present][:, joints, 0] for fits in (whole, cut))
    assert present.sum() > 5
    assert (after > 2 * before).all()


def test_depths_make_places_along_the_view_certain(near):
    seen, _ = near
    some = seen.select(np.arange(24))
    known, unknown = (register(BODY, s) for s in (some, some.with_depths(None)))
    ratio = known.joint_deviation[:, 1:, 1] / unknown.joint_deviation[:, 1:, 1]
    assert np.median(ratio) < 0.75


@pytest.mark.parametrize("solver", ["adam", "lm"])
@pytest.mark.parametrize("preset", ["accurate", "paper"])
def test_a_person_does_not_depend_on_the_others(near, preset, solver):
    seen = near[0].select(np.arange(20))
    config = replace(RegistrationConfig.preset(preset), solver=solver)
    together = register(BODY, seen, config)
    for people in ([3], [19, 0, 7]):
        alone = register(BODY, seen.select(people), config)
        np.testing.assert_array_equal(alone.joint_deviation, together.joint_deviation[people])
    found = together.joint_deviation
    assert found.dtype == np.float32 and found.shape == (20, 24, 2)
    assert (found[:, 0] == 0).all()
    assert ((found[:, 1:] > 5) & (found[:, 1:] <= MOST)).all()


def test_engines_and_warm_fits_have_deviations(near):
    seen = near[0].select(np.arange(4))
    fits = register(BODY, seen, dtype=torch.float64)
    again = register(BODY, seen, replace(FULL, warm_iterations=0), initial=fits)
    np.testing.assert_allclose(again.joint_deviation, fits.joint_deviation, rtol=0.02)
    composed = register(BODY, seen, replace(FULL, iterations=30), engine="ops")
    assert (composed.joint_deviation[:, 1:] > 0).all()
    assert len(register(BODY, seen.select([]))) == 0


def test_points_of_weight_0_tell_nothing(near):
    seen = near[0].select(np.arange(6))
    without = replace(seen, point_weight=seen.point_weight * np.float32(seen.point_person % 2))
    found = register(BODY, without).joint_deviation
    np.testing.assert_array_equal(found[1::2], register(BODY, seen).joint_deviation[1::2])
    alone = replace(keypoints_alone(seen), keypoint_depth=seen.keypoint_depth)
    np.testing.assert_array_equal(found[::2], register(BODY, alone).joint_deviation[::2])


def test_a_single_keypoint_leaves_all_in_doubt(near):
    """It tells no size, so an exact fit to it is no better than any other."""
    seen = keypoints_alone(near[0].select(np.arange(3)))
    weight = np.zeros_like(seen.keypoint_weight)
    weight[np.arange(3), (seen.keypoint_weight > 0).argmax(1)] = 1
    lone = replace(seen, keypoint_weight=weight)
    without = {n: 0.0 for n in FULL.__dict__ if n.endswith(("_weight", "_weight_start"))}
    for changes in ({}, without | {"keypoint_weight": 0.5}):
        found = register(BODY, lone, replace(FULL, **changes)).joint_deviation
        assert np.isfinite(found).all()
        assert (found[:, 1:] == MOST).all() and (found[:, 0] == 0).all()
