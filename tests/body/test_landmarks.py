"""Landmarks beside other points, and those of the data sets' conventions."""

import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.body import CONVENTIONS, JOINT_NAMES, Body, Landmark, Place
from bodyreg.body.joints import mirror_name
from bodyreg.errors import UserError

REFLECT = np.array([-1, 1, 1])
NAMES = [f"{convention}/{joint}" for convention, joints in CONVENTIONS.items() for joint in joints]


@pytest.fixture
def body() -> Body:
    return Body.default()


def rest(body: Body, *names: str) -> np.ndarray:
    """(K, 3) places in the rest pose."""
    anchors = body.keypoints(names).anchors.sum(1).numpy()
    np.testing.assert_allclose(anchors[:, 3], 1, atol=1e-6)
    return anchors[:, :3]


def joint(body: Body, name: str) -> np.ndarray:
    return body.joints[JOINT_NAMES.index(name)]


def test_every_name_is_a_point_of_the_body(body):
    assert len(rest(body, *NAMES)) == len(NAMES) > 100


def test_sides_mirror_each_other(body):
    np.testing.assert_allclose(
        rest(body, *map(mirror_name, NAMES)), rest(body, *NAMES) * REFLECT, atol=1e-3
    )


def test_landmarks_are_near_the_joints_of_their_names(body):
    """Within 6 cm, except for necks and for Human3.6M's head, which is a joint in the skull."""
    for name in NAMES:
        own = name.split("/")[1]
        known = own in body.joint_names or own in body.landmarks
        if known and name not in ("h36m/neck", "h36m/head_top", "openpose/neck", "lsp/neck"):
            (place,) = rest(body, name)
            np.testing.assert_allclose(place, rest(body, own)[0], atol=0.06, err_msg=name)


def test_what_the_sources_say(body):
    """Lengths of Human3.6M's skeleton, and means that OpenPose and MPII define."""
    at = dict(zip(NAMES, rest(body, *NAMES), strict=True))
    length = lambda one, other: np.linalg.norm(at[f"h36m/{one}"] - at[f"h36m/{other}"])  # noqa: E731
    assert length("left_hip", "right_hip") == pytest.approx(0.98 * 0.2659, abs=2e-3)
    assert length("pelvis", "mid_spine") == pytest.approx(0.98 * 0.2334, abs=2e-3)
    assert length("neck", "neck_nose") == pytest.approx(0.98 * 0.1211, abs=2e-3)
    for neck, convention in (("neck", "openpose"), ("thorax", "mpii")):
        sides = (at[f"{convention}/{side}_shoulder"] for side in ("left", "right"))
        np.testing.assert_allclose(at[f"{convention}/{neck}"], sum(sides) / 2, atol=1e-6)
    shoulder = at["coco/left_shoulder"] - joint(body, "left_shoulder")
    np.testing.assert_allclose(shoulder, [-0.01, 0.04, -0.001], atol=1e-5)


def test_a_place_moves_with_its_segment(body):
    """The shoulder's landmark goes with the collar bone, whatever the arm does."""
    random = np.random.default_rng()
    for name, segment in (
        ("coco/left_shoulder", "left_collar"),
        ("coco/right_ankle", "right_knee"),
    ):
        point = body.keypoints([name])
        assert point.joint_ids.tolist() == [[JOINT_NAMES.index(segment)]]
        pose = torch.from_numpy(random.normal(0, 0.5, (1, 24, 3)).astype(np.float32))
        scale = torch.from_numpy(random.uniform(0.8, 1.2, (1, 24)).astype(np.float32))
        transforms, _ = body.pose(pose, scale)
        moved = ops.lbs(transforms, point.joint_ids, point.anchors)[0, 0].numpy()
        matrix = transforms[0, JOINT_NAMES.index(segment)].numpy()
        expected = matrix[:, :3] @ rest(body, name)[0] + matrix[:, 3]
        np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_offsets_grow_with_the_body(body):
    child = body.with_shape([float(name == "child") for name in body.shape_names])
    ratio = np.ptp(child.vertices[:, 1]) / np.ptp(body.vertices[:, 1])
    assert ratio < 0.9
    offsets = [rest(b, "coco/left_shoulder")[0] - joint(b, "left_shoulder") for b in (body, child)]
    np.testing.assert_allclose(offsets[1], ratio * offsets[0], atol=1e-5)


def test_a_place_without_a_segment_moves_as_its_point(body):
    near = Landmark(places=(Place("left_heel", (0.0, 0.0, -0.02)),))
    body = body.with_landmarks({"behind": near})
    heel, behind = body.keypoints(["left_heel"]), body.keypoints(["behind"])
    np.testing.assert_array_equal(behind.joint_ids, heel.joint_ids)
    weights = heel.anchors[..., 3:].numpy()
    expected = heel.anchors[..., :3].numpy() + weights * np.float32([0, 0, -0.02])
    np.testing.assert_allclose(behind.anchors[..., :3], expected, atol=1e-6)


def test_shares_mix_places(body):
    places = (Place("left_knee", share=0.25), Place("right_knee", (0, 0.1, 0), "pelvis", 0.75))
    body = body.with_landmarks({"between": Landmark(places=places)})
    expected = 0.25 * joint(body, "left_knee") + 0.75 * (
        joint(body, "right_knee") + np.array([0, 0.1, 0])
    )
    np.testing.assert_allclose(rest(body, "between")[0], expected, atol=1e-6)


def test_landmarks_of_the_body_go_before_those_of_a_convention(body):
    nose = body.landmarks["nose"]
    mine = body.with_landmarks(
        {"coco/left_hip": nose, "coco/nose": Landmark(places=(Place("head"),))}
    )
    np.testing.assert_array_equal(rest(mine, "coco/left_hip"), rest(body, "nose"))
    np.testing.assert_allclose(rest(mine, "coco/nose")[0], joint(body, "head"), atol=1e-6)
    np.testing.assert_array_equal(rest(mine, "mpii/left_hip"), rest(body, "mpii/left_hip"))
    # The names without a convention stay what they are.
    names = (*body.joint_names, *body.landmarks)
    for one, other in ((mine, body), (body, mine)):
        assert torch.equal(one.keypoints(names).anchors, other.keypoints(names).anchors)


def test_bad_landmarks_are_refused(body):
    knee = Landmark(places=(Place("left_knee"),))
    with pytest.raises(UserError, match="'left_hip': joints of the rig cannot be moved"):
        body.with_landmarks({"left_hip": knee})
    with pytest.raises(UserError, match="'a': body 'makehuman' has no 'tail'"):
        body.with_landmarks({"a": Landmark(places=(Place("tail"),))})
    with pytest.raises(UserError, match=r"no joint or landmark 'coco/tail'.*coco, openpose, halpe"):
        body.keypoints(["coco/tail"])
