"""Fits against truth and evidence that were made from the very same numbers."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.body.landmarks import Landmark, Place
from bodyreg.body.surface import barycentric_coordinates
from bodyreg.data import Fits, Observations, Truth
from bodyreg.errors import UserError
from bodyreg.metrics import METRICS, evaluate
from bodyreg.metrics.evaluate import SURFACE_POINTS
from bodyreg.metrics.geodesics import BodyGeodesics, spread_vertices
from bodyreg.metrics.gps import kappa_of_vertices
from bodyreg.metrics.reprojection import reprojection_error

PEOPLE = 5
PIXEL = 1 / 128


@pytest.fixture
def fits() -> Fits:
    random = np.random.default_rng(5)
    pose = 0.3 * random.normal(size=(PEOPLE, 24, 3))
    pose[:, 0] = 0
    turns = Rotation.from_rotvec(np.outer(0.5 * np.arange(PEOPLE), [0, 1, 0]))
    return Fits(
        id=np.arange(PEOPLE) + 7,
        frame=np.tile(np.float32([100, 80, 90]), (PEOPLE, 1)),
        pose=pose.astype(np.float32),
        segment_scale=random.uniform(0.9, 1.1, (PEOPLE, 24)).astype(np.float32),
        rotation=turns.as_matrix().astype(np.float32),
        scale=random.uniform(0.7, 1, PEOPLE).astype(np.float32),
        translation=random.normal(0, 0.1, (PEOPLE, 2)).astype(np.float32),
        loss=np.zeros(PEOPLE, np.float32),
        joint_deviation=np.ones((PEOPLE, 24, 2), np.float32),
    )


def truth_of(fits: Fits, body: Body) -> Truth:
    """The truth that these fits are, in metres."""
    vertices, joints = (
        (points - np.pad(fits.translation, ((0, 0), (0, 1)))[:, None]) / fits.scale[:, None, None]
        for points in (fits.vertices(body), fits.joints(body))
    )
    return Truth(
        shape=np.zeros((PEOPLE, len(body.shape_names)), np.float32),
        vertices=vertices,
        joints=joints,
        visible=np.random.default_rng(0).random(vertices.shape[:2]) < 0.5,
        action=np.full(PEOPLE, "Waiting"),
        subject=np.full(PEOPLE, ""),
        camera=np.full(PEOPLE, ""),
        child=np.zeros(PEOPLE, bool),
        cut=np.zeros(PEOPLE, np.float32),
        occluded=np.zeros(PEOPLE, np.float32),
        body=body.fingerprint,
        **{
            name: getattr(fits, name)
            for name in (
                "id", "frame", "pose", "segment_scale", "rotation", "scale", "translation",
                "focal", "principal_point",
            )
        },
    )  # fmt: skip


def near(fits: Fits) -> Fits:
    """The same bodies before a camera that is near, but for the fourth person."""
    focal = np.float32([300, 250, 400, np.nan, 300])
    point = np.where(np.isnan(focal)[:, None], np.nan, np.float32([[150, 40]]))
    return dataclasses.replace(fits, focal=focal, principal_point=np.float32(point))


@pytest.mark.parametrize("camera", [lambda fits: fits, near])
def test_the_truth_has_no_error(fits, body, camera):
    fits = camera(fits)
    errors = evaluate(fits, truth_of(fits, body), body)
    assert tuple(errors) == tuple(METRICS)
    for name, metric in METRICS.items():
        # A point is compared with the vertex nearest to its pixel's centre.
        tolerance = 0.3 if name in ("gps", "gpsm") else 2e-3
        np.testing.assert_allclose(errors[name], metric.best, atol=tolerance, err_msg=name)


def test_perspective_shows_in_pictures_and_not_in_space(fits, body):
    weak, errors = truth_of(fits, body), evaluate(near(fits), truth_of(fits, body), body)
    plain = evaluate(fits, weak, body)
    moved = ~np.isnan(near(fits).focal)
    for name in METRICS:
        if name in ("pixel", "iou"):
            assert (errors[name] != plain[name]).tolist() == moved.tolist(), name
        some = ~moved if name in ("pixel", "pckh", "iou", "gps", "gpsm") else slice(None)
        np.testing.assert_array_equal(errors[name][some], plain[name][some], err_msg=name)


def test_joints_within_one_deviation(fits, body):
    """Errors are those of places relative to the pelvis, in millimetres of the fit's own size."""
    truth = truth_of(fits, body)
    truth.joints[:] += np.float32([0.3, 0.2, 0.1])  # of all joints: makes no error
    truth.joints[1, 1:11] += np.float32([0.006, 0.008, 0])
    truth.joints[2, 1:6] -= np.float32([0, 0, 0.012])
    deviation = np.zeros((PEOPLE, 24, 2), np.float32)
    deviation[..., 0], deviation[..., 1] = 9.9, 11.9
    errors = evaluate(dataclasses.replace(fits, joint_deviation=deviation), truth, body)
    np.testing.assert_allclose(errors["across"], [100, 100 * 13 / 23, 100, 100, 100])
    np.testing.assert_allclose(errors["along"], [100, 100, 100 * 18 / 23, 100, 100])
    wider = dataclasses.replace(fits, joint_deviation=deviation + np.float32(0.2))
    assert (evaluate(wider, truth, body)["across"] == 100).all()
    without = evaluate(dataclasses.replace(fits, joint_deviation=None), truth, body)
    assert set(METRICS) - set(without) == {"across", "along"}
    point = dataclasses.replace(wider, scale=np.zeros(PEOPLE, np.float32))
    np.testing.assert_allclose(evaluate(point, truth, body)["along"], 0)


def test_invisible_people_have_joints_but_no_pixels(fits, body):
    truth = truth_of(fits, body)
    truth.visible[2] = False
    errors = evaluate(fits, truth, body)
    for name, values in errors.items():
        expected = name in ("pixel", "gps", "gpsm")
        assert np.isnan(values).tolist() == [False, False, expected, False, False], name


def test_points_are_taken_for_what_the_fit_shows_there(fits, body):
    """GPS of one fit, pixel by pixel: the nearest of the faces that hold the pixel's centre."""
    fit = fits.select([1])
    truth = truth_of(fits, body).select(np.array([1]))
    moved = dataclasses.replace(fit, translation=fit.translation + np.float32([0.05, 0.02]))
    find, kappa = BodyGeodesics(body), kappa_of_vertices(body)

    def shown(vertices, place):
        column, row = np.floor((place * [1, -1] + 1) * 128).astype(int)
        centre = (np.array([column, row]) + 0.5) / 128 - 1
        corners = vertices[body.faces]
        shares = barycentric_coordinates(corners[..., :2], np.tile(centre * [1, -1], (13994, 1)))
        depth = np.where((shares >= 0).all(axis=1), (shares * corners[..., 2]).sum(axis=1), -9)
        best = depth.argmax()
        return None if depth[best] == -9 else body.faces[best, shares[best].argmax()]

    def distance(vertex, other):
        return np.inf if other is None else find(np.array([vertex]), np.array([other]))[0]

    own, theirs = fit.vertices(body)[0].astype(float), moved.vertices(body)[0].astype(float)
    bells = []
    for point in spread_vertices(body.vertices, SURFACE_POINTS):
        place = own[point, :2]
        if truth.visible[0, point] and distance(point, shown(own, place)) <= 0.03:
            far = distance(point, shown(theirs, place))
            bells.append(np.exp(-(far**2) / (2 * kappa[point] ** 2)))
    assert 80 < len(bells) < 256
    error = evaluate(moved, truth, body)["gps"][0]
    assert error < 95
    assert error == pytest.approx(100 * np.mean(bells), abs=0.5)


def test_distances_of_ones_own_are_used(fits, body):
    """Where everything is far from everything else, only points at their place count."""
    errors = evaluate(
        fits, truth_of(fits, body), body, lambda one, other: np.where(one == other, 0, 1e3)
    )
    np.testing.assert_allclose(errors["gps"], 100)


def test_people_are_matched_by_id_and_frames_converted(fits, body):
    truth = truth_of(fits, body).select(np.array([3, 0, 4, 2, 1]))
    other_crop = fits.in_frames(fits.frame * np.float32([1.1, 0.9, 1.3]))
    errors = evaluate(other_crop.select([1, 4]), truth, body)
    np.testing.assert_allclose(errors["pixel"], 0, atol=2e-3)
    np.testing.assert_allclose(errors["mpjpe"], 0, atol=2e-3)


def test_each_mistake_shows_where_it_should(fits, body):
    truth = truth_of(fits, body)
    shifted = dataclasses.replace(
        fits, translation=fits.translation + np.float32([3 * PIXEL, 4 * PIXEL])
    )
    errors = evaluate(shifted, truth, body)
    np.testing.assert_allclose(errors["pixel"], 5, rtol=1e-3)
    for name in ("vertex", "mpjpe", "bone_mpjpe", "n_mpjpe", "pa_mpjpe", "pa_mpjpe_14"):
        np.testing.assert_allclose(errors[name], 0, atol=2e-3)
    assert (errors["iou"] < 97).all()

    turned = dataclasses.replace(fits, rotation=fits.rotation @ np.float32(np.diag([-1, 1, -1])))
    errors = evaluate(turned, truth, body)
    assert errors["turned_away"].all()
    assert not errors["reflected"].any()
    np.testing.assert_allclose(errors["vertex"], 0, atol=2e-3)
    assert (errors["gps"] < 60).all()

    mirrored = dataclasses.replace(fits, rotation=np.float32(np.diag([1, 1, -1])) @ fits.rotation)
    errors = evaluate(mirrored, truth, body)
    assert errors["reflected"].all()
    for name in ("pixel", "iou", "pckh"):
        np.testing.assert_allclose(errors[name], METRICS[name].best, atol=2e-3)
    assert (errors["vertex"] > 10).all()

    larger = dataclasses.replace(fits, scale=1.1 * fits.scale)
    errors = evaluate(larger, truth, body)
    for name in ("vertex", "bone_mpjpe", "n_mpjpe", "pa_mpjpe"):
        np.testing.assert_allclose(errors[name], 0, atol=2e-3)
    distance = np.linalg.norm(truth.joints - truth.joints[:, :1], axis=2).mean(axis=1)
    np.testing.assert_allclose(errors["mpjpe"], 100 * distance, rtol=1e-4)


def test_the_truth_must_be_of_the_same_people_and_mesh(fits, body):
    truth = truth_of(fits, body)
    with pytest.raises(UserError, match="no person 11"):
        evaluate(fits, truth.select(np.arange(4)), body)
    truth.body = "another"
    with pytest.raises(UserError, match="made from body another"):
        evaluate(fits, truth, body)


@pytest.mark.parametrize("camera", [lambda fits: fits, near])
def test_reprojection_is_the_distance_to_the_evidence(fits, body, camera):
    """Evidence is 5 pixels off; points of no weight and people without evidence do not count."""
    fits, random = camera(fits), np.random.default_rng(1)
    names = ("pelvis", "left_wrist", "nose")
    counts = np.array([3, 0, 4, 2, 6])
    person = np.repeat(np.arange(PEOPLE), counts)
    vertex = random.integers(0, len(body.vertices), (len(person), 3))
    barycentric = random.dirichlet(np.ones(3), len(person))
    corners = fits.vertices(body)[person[:, None], vertex]
    points = np.einsum("pk,pkc->pc", barycentric, corners)
    own = [fits.select([number]) for number in person]
    points = np.stack(
        [fit.seen(at[None, None])[0, 0, :2] for fit, at in zip(own, points, strict=True)]
    )
    keypoints = fits.seen(fits.keypoints(body, names))[..., :2]
    off = np.array([3 * PIXEL, 4 * PIXEL])

    def pixels(xy):
        return [100, 80] + (xy + off) * [90, -90]

    weight = np.ones((PEOPLE, 3))
    weight[2] = 0
    weight[0, 1] = 0
    keypoint_xy = pixels(keypoints)
    keypoint_xy[0, 1] = 0
    observations = Observations(
        id=fits.id,
        frame=fits.frame,
        point_start=np.cumsum([0, *counts]),
        point_xy=pixels(points),
        point_vertex=vertex,
        point_barycentric=barycentric,
        point_weight=np.ones(len(person)),
        keypoint_name=names,
        keypoint_xy=keypoint_xy,
        keypoint_weight=weight,
    )
    errors = reprojection_error(fits, observations, body)
    np.testing.assert_allclose(errors["dense points"], [5, np.nan, 5, 5, 5], rtol=1e-3)
    np.testing.assert_allclose(errors["keypoints"], [5, 5, np.nan, 5, 5], rtol=1e-3)


def test_a_top_of_the_head_beside_a_joint_is_not_compared(fits, body):
    """The truth has a mesh, so the top is a vertex of it, whatever keypoints mean by the name."""
    own = body.with_landmarks({"head_top": Landmark(places=(Place("head", (0, 0.1, 0)),))})
    truth = truth_of(fits, body)
    found, expected = (evaluate(fits, truth, some) for some in (own, body))
    for name in ("bone_mpjpe", "pa_mpjpe_14", "pckh"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
