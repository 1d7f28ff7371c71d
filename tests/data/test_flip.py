"""Flips: two are the identity, one agrees with a mirror, and fits follow."""

import dataclasses

import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES, mirror_name
from bodyreg.data import Fits, Observations, Truth
from bodyreg.data.corr import BACKGROUND, Correspondence
from bodyreg.data.flip import (
    flip_boxes,
    flip_chart_points,
    flip_correspondence,
    flip_fits,
    flip_flow_parts,
    flip_joints,
    flip_keypoints,
    flip_observations,
    flip_points,
    flip_poses,
    flip_truth,
)
from bodyreg.data.frames import image_from_frame
from bodyreg.data.human36m import Poses3D
from bodyreg.data.rejected import DISTANT, bits, parts_of
from bodyreg.data.skeletons import COCO_17, H36M_17, SKELETONS
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig, register

PEOPLE = 8
WIDTH = np.array([640, 500, 700, 640, 640, 333, 480, 427], np.float32)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


@pytest.fixture(scope="module")
def posed() -> Fits:
    """People in random poses that roughly face the viewer."""
    random = np.random.default_rng(0)
    pose = random.normal(0, 0.2, (PEOPLE, 24, 3))
    pose[:, 0] = 0
    yaw = random.uniform(-1, 1, PEOPLE)
    zero, one = np.zeros(PEOPLE), np.ones(PEOPLE)
    rotation = [
        [np.cos(yaw), zero, np.sin(yaw)],
        [zero, one, zero],
        [-np.sin(yaw), zero, np.cos(yaw)],
    ]
    arrays = {
        "frame": np.column_stack([random.uniform(200, 400, (PEOPLE, 2)), np.full(PEOPLE, 140)]),
        "pose": pose,
        "segment_scale": random.uniform(0.9, 1.1, (PEOPLE, 24)),
        "rotation": np.moveaxis(np.array(rotation), 2, 0),
        "scale": np.full(PEOPLE, 0.9),
        "translation": random.normal(0, 0.05, (PEOPLE, 2)),
        "loss": np.zeros(PEOPLE),
        "joint_deviation": random.uniform(0, 99, (PEOPLE, 24, 2)),
    }
    floats = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Fits(id=np.arange(PEOPLE), **floats)


@pytest.fixture(scope="module")
def seen(body, posed) -> Observations:
    """Points on the side that faces the viewer, and keypoints, with a little noise."""
    random = np.random.default_rng(1)
    vertices, points = posed.vertices(body), 40
    corners = vertices[:, body.faces]
    normal = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    face = np.stack([random.choice(np.flatnonzero(n[:, 2] > 0), points) for n in normal])
    vertex = body.faces[face].reshape(-1, 3)
    barycentric = random.dirichlet(np.ones(3), len(vertex))
    person = np.arange(PEOPLE).repeat(points)
    xy = np.einsum("pk,pkc->pc", barycentric, vertices[person[:, None], vertex, :2])
    keypoints = posed.keypoints(body, COCO_17.joints)
    return Observations(
        id=posed.id,
        frame=posed.frame,
        point_start=points * np.arange(PEOPLE + 1),
        point_xy=image_from_frame(xy + random.normal(0, 0.01, xy.shape), posed.frame[person]),
        point_vertex=vertex,
        point_barycentric=barycentric,
        point_weight=np.ones(len(vertex)),
        keypoint_name=COCO_17.joints,
        keypoint_xy=image_from_frame(keypoints[..., :2], posed.frame[:, None]),
        keypoint_weight=random.integers(0, 3, (PEOPLE, 17)),
        keypoint_depth=keypoints[..., 2],
        body=body.fingerprint,
        focal=np.full(PEOPLE, np.inf),
        principal_point=np.where(np.arange(PEOPLE)[:, None] % 2, np.nan, posed.frame[:, :2] + 9),
        picture_size=np.column_stack([WIDTH.astype(int), np.full(PEOPLE, 480)]),
    )


def assert_same(left, right, tolerance: float = 1e-4) -> None:
    """Equal, but for the rounding of x -> width - x."""
    for field in dataclasses.fields(left):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        if isinstance(ours, np.ndarray) and ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, atol=tolerance, err_msg=field.name)
        elif isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
        else:
            assert ours == theirs, field.name


def mirrored(body: Body, points: np.ndarray) -> np.ndarray:
    """Posed vertices (N, V, 3) in frame axes as the mirror shows them."""
    return points[:, body.mirror_vertices] * [-1, 1, 1]


def test_points_and_boxes():
    np.testing.assert_array_equal(
        flip_points(np.array([[0.0, 5], [10, 6]]), 640), [[640, 5], [630, 6]]
    )
    np.testing.assert_array_equal(flip_boxes(np.array([10.0, 20, 30, 40]), 640), [600, 20, 30, 40])
    boxes = np.random.default_rng(0).uniform(0, 100, (5, 4))
    np.testing.assert_allclose(flip_boxes(flip_boxes(boxes, 640), 640), boxes)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_keypoints_of_every_skeleton(skeleton):
    random = np.random.default_rng(0)
    keypoints = random.uniform(1, 600, (4, len(skeleton), 3))
    keypoints[1, 0] = 0  # absent
    keypoints[2, -1] = np.nan
    flipped = flip_keypoints(skeleton, keypoints, np.full(4, 640))
    np.testing.assert_allclose(flip_keypoints(skeleton, flipped, 640), keypoints)
    for joint, name in enumerate(skeleton.joints):
        other = skeleton.joints.index(mirror_name(name))
        np.testing.assert_allclose(
            flipped[0, joint], keypoints[0, other] * [-1, 1, 1] + [640, 0, 0]
        )
    np.testing.assert_array_equal(flipped[1, skeleton.flip[0]], 0)
    assert np.isnan(flipped[2, skeleton.flip[-1]]).all()
    plane = flip_keypoints(skeleton, keypoints[..., :2], 640)
    np.testing.assert_array_equal(plane[0], flipped[0, :, :2])


def test_joints_in_space():
    joints = np.random.default_rng(0).normal(size=(3, 17, 3))
    flipped = flip_joints(H36M_17, joints)
    np.testing.assert_array_equal(flip_joints(H36M_17, flipped), joints)
    np.testing.assert_array_equal(flipped[:, 11], joints[:, 14] * [-1, 1, 1])


def test_human36ms_people(seen):
    random = np.random.default_rng(0)
    some = dataclasses.replace(
        seen.select(np.arange(3)),
        point_start=np.zeros(4, np.int64),
        **{name: getattr(seen, name)[:0] for name in ("point_xy", "point_vertex")},
        **{name: getattr(seen, name)[:0] for name in ("point_barycentric", "point_weight")},
    )
    text = np.array(["a", "b", "c"])
    joints = random.normal(size=(3, 17, 3)).astype(np.float32)
    poses = Poses3D(some, joints, text, text, text, np.arange(3))
    flipped = flip_poses(poses, WIDTH[:3])
    np.testing.assert_array_equal(flipped.joints[:, 1], joints[:, 4] * [-1, 1, 1])
    left, right = (COCO_17.joints.index(f"{side}_knee") for side in ("left", "right"))
    there = some.keypoint_weight[:, left] > 0
    np.testing.assert_allclose(
        flipped.observations.keypoint_xy[there, right, 0],
        WIDTH[:3][there] - some.keypoint_xy[there, left, 0],
        rtol=1e-6,
    )
    again = flip_poses(flipped, WIDTH[:3])
    np.testing.assert_array_equal(again.joints, joints)
    assert_same(again.observations, some)


def test_observations_twice_are_themselves(body, seen):
    flipped = flip_observations(seen, body, WIDTH)
    flipped.check(body)
    assert_same(flip_observations(flipped, body, WIDTH), seen)
    left, right = (COCO_17.joints.index(f"{side}_wrist") for side in ("left", "right"))
    np.testing.assert_allclose(
        flipped.keypoint_xy[:, left],
        np.where(
            seen.keypoint_weight[:, right, None] > 0,
            flip_points(seen.keypoint_xy[:, right], WIDTH),
            0,
        ),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(flipped.keypoint_depth[:, left], seen.keypoint_depth[:, right])
    point = flip_points(seen.principal_point, WIDTH)
    np.testing.assert_array_equal(flipped.principal_point, point)
    sides = np.array([name.startswith("left") for name in JOINT_NAMES])
    legs = sides[body.segment[seen.point_vertex]]
    mirrored_legs = sides[body.segment[flipped.point_vertex]]
    assert legs.any()
    assert not (legs & mirrored_legs).any()


def test_keypoints_of_one_side_change_their_names(body, seen):
    columns = [COCO_17.joints.index(name) for name in ("nose", "left_wrist")]
    some = dataclasses.replace(
        seen,
        keypoint_name=("nose", "left_wrist"),
        keypoint_xy=seen.keypoint_xy[:, columns],
        keypoint_weight=np.ones((PEOPLE, 2)),
        keypoint_depth=None,
    )
    flipped = flip_observations(some, body, 640)
    assert flipped.keypoint_name == ("nose", "right_wrist")
    assert_same(flip_observations(flipped, body, 640), some)


def test_fits_twice_are_themselves_and_once_the_mirror_image(body, posed):
    parts = (["left arm"], ["right leg", DISTANT])
    rejected = np.resize(np.array([bits(some) for some in parts], np.uint8), len(posed))
    posed = dataclasses.replace(posed, rejected=rejected)
    flipped = flip_fits(posed, WIDTH)
    assert_same(flip_fits(flipped, WIDTH), posed)
    np.testing.assert_allclose(
        flipped.vertices(body), mirrored(body, posed.vertices(body)), atol=1e-6
    )
    assert parts_of(flipped.rejected[0]) == ["right arm"]
    assert parts_of(flipped.rejected[1]) == ["left leg", DISTANT]
    frame = flip_points(posed.frame[:, :2], WIDTH)
    np.testing.assert_allclose(flipped.frame[:, :2], frame)
    assert (np.linalg.det(flipped.rotation) > 0).all()


def test_truth_twice_is_itself_and_once_the_mirror_image(body, posed):
    vertices, joints = posed.vertices(body), posed.joints(body)
    texts = {name: np.array(["a"] * PEOPLE) for name in ("action", "subject", "camera")}
    shares = {name: np.zeros(PEOPLE, np.float32) for name in ("cut", "occluded")}
    pose = {n: getattr(posed, n) for n in ("id", "frame", "pose", "segment_scale", "rotation")}
    truth = Truth(
        **pose, **texts, **shares,
        shape=np.zeros((PEOPLE, 3), np.float32), scale=posed.scale, translation=posed.translation,
        vertices=vertices, joints=joints, child=np.zeros(PEOPLE, bool), body=body.fingerprint,
        visible=np.random.default_rng(0).uniform(size=vertices.shape[:2]) < 0.5,
    )  # fmt: skip
    flipped = flip_truth(truth, body, WIDTH)
    assert_same(flip_truth(flipped, body, WIDTH), truth)
    fits = flip_fits(posed, WIDTH)
    np.testing.assert_allclose(flipped.vertices, fits.vertices(body), atol=1e-6)
    np.testing.assert_allclose(flipped.joints, fits.joints(body), atol=1e-6)
    np.testing.assert_array_equal(flipped.visible[:, body.mirror_vertices], truth.visible)


@pytest.mark.parametrize(
    "fields",
    [{"preset": "paper"}, {"preset": "accurate", "solver": "lm", "visibility_weight": 0.0}],
)
def test_the_mirror_image_has_the_flipped_fit(body, seen, fields):
    """A fit knows no left and right: that of the flipped person is the flipped fit.

    To rounding, which optimisers make grow: so the fits are made in float64.

    The term left out looks at samples of the surface's normals, which have no exact mirror image.
    """
    fields = dict(fields)
    config = RegistrationConfig.preset(fields.pop("preset"), **fields)
    fits = register(body, seen, config, dtype=torch.float64)
    of_flipped = register(body, flip_observations(seen, body, WIDTH), config, dtype=torch.float64)
    expected = flip_fits(fits, WIDTH)
    np.testing.assert_array_equal(of_flipped.frame, expected.frame)
    difference = np.abs(of_flipped.vertices(body) - expected.vertices(body)).max((1, 2))
    # Rounding may grow for a person near a watershed of the objective.
    assert np.median(difference) < 1e-5
    np.testing.assert_allclose(of_flipped.loss, expected.loss, rtol=0.02)


def test_chart_points_twice_are_themselves(body):
    charts, random = body.charts, np.random.default_rng(0)
    face = random.integers(0, len(charts.faces), 2000)
    share = random.dirichlet(np.ones(3), len(face)).clip(1e-3)
    share /= share.sum(1, keepdims=True)
    part = charts.part[face]
    uv = np.einsum("pk,pkc->pc", share, charts.uv[charts.faces[face]])
    other, flipped = flip_chart_points(body, part, uv)
    again, back = flip_chart_points(body, other, flipped)
    np.testing.assert_array_equal(again, part)
    np.testing.assert_allclose(back, uv, atol=2e-6)
    # Left hand, foot, upper leg ... of the other side; torso and head stay or change halves.
    changed = {part: other for part, other in zip(part.tolist(), other.tolist(), strict=True)}
    assert changed == {
        1: 1, 2: 2, 3: 4, 4: 3, 5: 6, 6: 5, 7: 8, 8: 7, 9: 10, 10: 9, 11: 12, 12: 11, 13: 14,
        14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 19: 20, 20: 19, 21: 22, 22: 21, 23: 24, 24: 23,
    }  # fmt: skip

    def places(part, uv):
        vertex, barycentric = charts.locate(part, uv)
        return np.einsum("pk,pkc->pc", barycentric, body.vertices[vertex])

    np.testing.assert_allclose(places(other, flipped), places(part, uv) * [-1, 1, 1], atol=1e-4)


def test_chart_coordinates_undo_locate(body):
    charts, random = body.charts, np.random.default_rng(1)
    part, uv = random.integers(1, 25, 500), random.uniform(0, 1, (500, 2))
    vertex, barycentric = charts.locate(part, uv)
    outside = barycentric.min(1) == 0  # moved to the border
    found = charts.coordinates(part, vertex, barycentric)
    assert outside.any()
    assert not outside.all()
    np.testing.assert_allclose(found[~outside], uv[~outside], atol=2e-6)
    again, share = charts.locate(part[outside], found[outside])
    np.testing.assert_allclose(
        np.einsum("pk,pkc->pc", share, body.vertices[again]),
        np.einsum("pk,pkc->pc", barycentric[outside], body.vertices[vertex[outside]]),
        atol=1e-5,
    )
    with pytest.raises(UserError, match="point 0: part 5 of"):
        charts.coordinates(
            [5], [[*body.faces[body.segment[body.faces[:, 0]] == 15][0]]], [[1, 0, 0]]
        )


def test_a_body_without_a_mirror_is_refused(body, seen):
    lopsided = dataclasses.replace(body, mirror_vertices=None)
    with pytest.raises(UserError, match="vert_sym_idxs"):
        flip_observations(seen, lopsided, 640)
    with pytest.raises(UserError, match="vert_sym_idxs"):
        flip_chart_points(lopsided, np.array([1]), np.array([[0.5, 0.5]]))
    with pytest.raises(UserError, match="no charts"):
        flip_chart_points(dataclasses.replace(body, charts=None), np.array([1]), np.zeros((1, 2)))


def test_appearance_flows_parts_and_correspondences():
    random = np.random.default_rng(0)
    parts = random.integers(0, 7, (5, 8)).astype(np.uint8)
    flipped = flip_flow_parts(parts)
    np.testing.assert_array_equal(flip_flow_parts(flipped), parts)
    np.testing.assert_array_equal(flipped[:, ::-1] == 3, parts == 4)
    kind = random.integers(0, 3, (5, 8)).astype(np.uint8)
    place = random.uniform(0, 9, (5, 8, 2)).astype(np.float32)
    place[kind == BACKGROUND] = 0
    first = Correspondence(place, kind)
    mirror = flip_correspondence(first, 10)
    assert_same(flip_correspondence(mirror, 10), first)
    shown = kind[2, 0] != BACKGROUND
    expected = [9 - place[2, 0, 0], place[2, 0, 1]] if shown else [0, 0]
    np.testing.assert_allclose(mirror.place[2, -1], expected)
