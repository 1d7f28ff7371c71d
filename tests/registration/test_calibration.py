"""Landmarks that were moved are found again, from pictures alone."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.body.landmarks import moved
from bodyreg.data import Fits, Observations
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import COCO_17, SMPL_24
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig, calibrate
from bodyreg.registration.calibration import landmark_offsets

PEOPLE, POINTS = 64, 90
MIRROR = np.array([-1, 1, 1])


def planted(random: np.random.Generator, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """An offset for every landmark, mirrored on the other side."""
    offsets = {}
    for name in names:
        if "/right_" not in name:
            offsets[name] = random.uniform(-0.04, 0.04, 3) * [float("/left_" in name), 1, 1]
            offsets[name.replace("/left_", "/right_")] = offsets[name] * (
                MIRROR if "/left_" in name else 1
            )
    return offsets


def truth(random: np.random.Generator) -> Fits:
    """People who walk and gesture, and face all ways."""
    yaw = Rotation.from_euler("y", random.uniform(-180, 180, (PEOPLE, 1)), degrees=True)
    pose = random.normal(0, 0.04, (PEOPLE, 24, 3))
    pose[:, 0] = 0
    pose[:, [16, 17], 2] += random.uniform(-1.3, 0, (PEOPLE, 2)) * [1, -1]  # arms hang, or less
    pose[:, [18, 19], 1] += random.uniform(-1.2, 0, (PEOPLE, 2)) * [1, -1]  # elbows bend
    pose[:, [1, 2], 0] += random.uniform(-0.6, 0.2, (PEOPLE, 2))
    pose[:, [4, 5], 0] += random.uniform(0, 0.8, (PEOPLE, 2))  # and knees
    return Fits(
        id=np.arange(PEOPLE),
        frame=np.tile(np.float32([128, 128, 128]), (PEOPLE, 1)),
        pose=np.float32(pose),
        segment_scale=np.ones((PEOPLE, 24), np.float32),
        rotation=yaw.as_matrix().astype(np.float32),
        scale=np.full(PEOPLE, 0.95, np.float32),
        translation=np.float32(random.normal(0, 0.05, (PEOPLE, 2))),
        loss=None,
    )


def seen(true: Fits, body: Body, fitted: Body, random: np.random.Generator) -> Observations:
    """What pictures show: points of the surface, and the keypoints as `body` has them."""
    vertices = true.vertices(fitted)
    one, two, three = np.moveaxis(vertices[:, fitted.faces], 2, 0)
    front = np.cross(two - one, three - one)[..., 2] > 0
    chosen = np.stack([random.choice(np.flatnonzero(f), POINTS, False) for f in front])
    corners = fitted.faces[chosen]
    xy = np.take_along_axis(vertices[:, :, :2], corners.reshape(PEOPLE, -1)[..., None], 1)
    xy = xy.reshape(PEOPLE, POINTS, 3, 2).mean(2)
    keypoints = true.keypoints(body, COCO_17.keypoints)[..., :2]
    return Observations(
        id=true.id,
        frame=true.frame,
        point_start=POINTS * np.arange(PEOPLE + 1),
        point_xy=image_from_frame(xy, true.frame[:, None]).reshape(-1, 2),
        point_vertex=corners.reshape(-1, 3),
        point_barycentric=np.full((PEOPLE * POINTS, 3), 1 / 3),
        point_weight=np.ones(PEOPLE * POINTS),
        keypoint_name=COCO_17.keypoints,
        keypoint_xy=image_from_frame(keypoints, true.frame[:, None]),
        keypoint_weight=np.ones((PEOPLE, len(COCO_17))),
    )


def test_planted_offsets_are_recovered():
    body, random = Body.default(), np.random.default_rng(11)
    offsets = planted(random, COCO_17.keypoints)
    known = body.named_landmarks
    theirs = body.with_landmarks({n: moved(known[n], d) for n, d in offsets.items()})
    observations = seen(truth(random), theirs, body, random)
    rounds = []
    found = calibrate(body, observations, report=lambda number, move: rounds.append(move))
    assert len(rounds) == found.rounds < 30 and rounds[-1] == found.last < 5e-4
    error = {n: found.shift[n] - offsets[n] for n in offsets}
    assert max(np.abs(e).max() for e in error.values()) < 0.008
    assert np.mean([np.linalg.norm(e) for e in error.values()]) < 0.004
    for name, landmark in found.landmarks.items():
        expected = np.add(known[name].places[0].offset, found.shift[name])
        np.testing.assert_allclose(landmark.places[0].offset, expected, atol=1e-6)


def test_one_round_at_the_true_fit_is_exact():
    """Offsets along the view are seen by others; outliers do not count."""
    body, random = Body.default(), np.random.default_rng()
    offsets = planted(random, COCO_17.keypoints)
    known = body.named_landmarks
    theirs = body.with_landmarks({n: moved(known[n], d) for n, d in offsets.items()})
    true = truth(random)
    observations = seen(true, theirs, body, random)
    observations.keypoint_xy[::8, 3] += 60
    found = landmark_offsets(body, observations, true, list(COCO_17.keypoints))
    for name, offset in offsets.items():
        np.testing.assert_allclose(found[name], offset, atol=2e-3, err_msg=name)


def test_what_no_view_shows_does_not_move():
    """People who all face the camera do not show depth, and absent keypoints show nothing."""
    body, random = Body.default(), np.random.default_rng()
    known = body.named_landmarks
    theirs = body.with_landmarks({n: moved(known[n], [0, 0.02, 0.04]) for n in COCO_17.keypoints})
    front = np.tile(np.eye(3, dtype=np.float32), (PEOPLE, 1, 1))
    true = dataclasses.replace(truth(random), rotation=front)
    true.pose[:] = 0
    observations = seen(true, theirs, body, random)
    observations.keypoint_weight[:, 0] = 0
    found = landmark_offsets(body, observations, true, list(COCO_17.keypoints))
    np.testing.assert_array_equal(found["coco/nose"], 0)
    np.testing.assert_allclose(found["coco/left_knee"], [0, 0.02, 0], atol=1e-3)


def test_perspective_is_told_from_an_offset():
    body, random = Body.default(), np.random.default_rng()
    near = dataclasses.replace(
        truth(random),
        focal=np.full(PEOPLE, 400, np.float32),
        principal_point=np.tile(np.float32([128, 128]), (PEOPLE, 1)),
    )
    observations = seen(near, body, body, random)
    xy = near.seen(near.keypoints(body, COCO_17.keypoints))[..., :2]
    shown = dataclasses.replace(observations, keypoint_xy=image_from_frame(xy, near.frame[:, None]))
    for name, offset in landmark_offsets(body, shown, near, list(COCO_17.keypoints)).items():
        np.testing.assert_allclose(offset, 0, atol=1e-4, err_msg=name)


def test_joints_of_the_rig_are_not_moved():
    body = Body.default()
    xy = np.random.default_rng().uniform(9, 99, (2, 24, 2))
    people = Observations.of_keypoints(SMPL_24.keypoints, xy, np.ones((2, 24)))
    with pytest.raises(UserError, match=r"name keypoints as a convention does \(coco/left_hip\)"):
        calibrate(body, people, RegistrationConfig.preset("accurate"))
