"""Joints of any data set's keypoints, in units of the people's own size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import Body, Observations, UserError, ops
from bodyreg.data.flip import flip_observations
from bodyreg.data.skeletons import BODY_25, COCO_17, H36M_17, LSP_14, MPII_16, SMPL_24, SPIN_24
from bodyreg.lifting.joints import (
    BONES,
    JOINTS,
    MIRROR,
    PAIRED_BONES,
    bone_lengths,
    columns,
    poses_of,
    usual_lengths,
)

from .people import PIXELS_PER_METRE, people


def at(name: str) -> int:
    return JOINTS.index(name)


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16, H36M_17, BODY_25, LSP_14, SPIN_24, SMPL_24])
def test_all_skeletons_show_the_same_joints(skeleton):
    """Joints of data sets lie some centimetres apart; those of another name would be farther."""
    coco = poses_of(people(20, 0)[0])
    other = poses_of(people(20, 0, skeleton=skeleton)[0])
    both = coco.present * other.present
    assert (both.sum(1) >= len(JOINTS) - (2 if skeleton is SMPL_24 else 1)).all()
    apart = (coco.xy - other.xy).norm(dim=2) * both
    assert apart.max() < 0.2


def test_people_of_two_data_sets_keep_all_their_joints():
    """Whichever columns come first."""
    several = [
        people(4, seed, skeleton=skeleton)[0] for seed, skeleton in enumerate((COCO_17, MPII_16))
    ]
    alone = [poses_of(one) for one in several]
    for order in ((0, 1), (1, 0)):
        names = dict.fromkeys(name for n in order for name in several[n].keypoint_name)
        mixed = Observations.concatenate([one.with_keypoints(tuple(names)) for one in several])
        found = poses_of(mixed)
        for n, some in enumerate((slice(0, 4), slice(4, 8))):
            assert torch.equal(found.present[some], alone[n].present)
            assert torch.equal(found.xy[some], alone[n].xy)


def test_middles_and_units():
    seen, _ = people(9, 1)
    poses = poses_of(seen)
    half_side = seen.frame[:, 2]
    xy = seen.keypoint_xy * [1, -1] / half_side[:, None, None]
    name = seen.keypoint_name.index
    hips = (xy[:, name("coco/left_hip")] + xy[:, name("coco/right_hip")]) / 2
    knee = xy[:, name("coco/left_knee")] - hips
    size = poses.size.numpy()[:, None]
    np.testing.assert_allclose(poses.xy[:, at("left_knee")].numpy() * size, knee, atol=1e-5)
    assert not poses.xy[:, at("pelvis")].any()
    for middle, end in (("pelvis", "hip"), ("thorax", "shoulder")):
        ends = (poses.xy[:, at(f"left_{end}")] + poses.xy[:, at(f"right_{end}")]) / 2
        np.testing.assert_allclose(poses.xy[:, at(middle)], ends, atol=1e-6)


def test_a_person_in_the_picture_s_plane_has_the_true_size():
    random, body = np.random.default_rng(0), Body.default()
    points = body.keypoints(COCO_17.keypoints)
    transforms, _ = body.pose(torch.zeros(1, 24, 3), torch.ones(1, 24))
    rest = ops.lbs(transforms, points.joint_ids, points.anchors)[0].numpy()
    scale = random.uniform(50, 200, 5)
    xy = 400 + scale[:, None, None] * rest[:, :2] * [1, -1]
    seen = Observations.of_keypoints(COCO_17.keypoints, xy, np.ones((5, 17)))
    poses = poses_of(seen)
    np.testing.assert_allclose(poses.size.numpy() * seen.frame[:, 2], scale, rtol=0.03)


def test_foreshortening_hardly_changes_a_size():
    seen, _ = people(200, 3)
    ratio = poses_of(seen).size.numpy() * seen.frame[:, 2] / PIXELS_PER_METRE
    assert 0.7 < ratio.min() and ratio.max() < 1.3
    # The usual normalisation, by the mean distance from the pelvis, varies far more.
    xy = seen.keypoints_in_frame() * seen.frame[:, None, 2:] / PIXELS_PER_METRE
    mean = np.linalg.norm(xy - xy[:, [11]], axis=2).mean(1)
    assert np.log(mean).std() > 1.5 * np.log(ratio).std()


def test_absent_keypoints_are_absent_and_change_nothing():
    seen, _ = people(6, 4)
    weight = seen.keypoint_weight.copy()
    names = [name.rpartition("/")[2] for name in seen.keypoint_name]
    weight[0, names.index("left_hip")] = 0
    weight[1, [names.index("left_ear"), names.index("right_ear")]] = 0
    weight[2] = 0
    xy = seen.keypoint_xy.copy()
    xy[weight == 0] = np.nan
    poses = poses_of(replace(seen, keypoint_weight=weight, keypoint_xy=xy))
    assert [int(n) for n in len(JOINTS) - poses.present.sum(1)] == [2, 1, len(JOINTS), 0, 0, 0]
    assert not poses.present[0, [at("left_hip"), at("pelvis")]].any()
    assert not poses.present[1, at("head")]
    assert poses.size[2] == 0 and poses.xy.isfinite().all()
    assert not poses.xy[poses.present == 0].any()
    whole = poses_of(seen)
    assert torch.equal(poses.xy[3:], whole.xy[3:])


def test_a_known_camera_is_in_units_of_the_person():
    seen, _ = people(2, 5)
    focal, point = np.float32([900, np.nan]), np.float32([[350, 250], [np.nan, np.nan]])
    poses = poses_of(replace(seen, focal=focal, principal_point=point))
    assert not poses.camera[1].any()
    inverse, *offset = poses.camera[0].tolist()
    pixels = float(poses.size[0] * seen.frame[0, 2])  # of a unit
    hips = [seen.keypoint_name.index(f"coco/{side}_hip") for side in ("left", "right")]
    root = seen.keypoint_xy[0, hips].mean(0)
    assert inverse == pytest.approx(pixels / 900, rel=1e-5)
    expected = (point[0] - root) * [1, -1] / 900
    assert offset == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_mirror_image_is_that_of_the_flipped_annotation(body):
    seen, _ = people(7, 6)
    focal = np.full(7, 800, np.float32)
    seen = replace(seen, focal=focal, principal_point=np.tile(np.float32([280, 310]), (7, 1)))
    flipped = poses_of(flip_observations(seen, body, 600))
    mirrored = poses_of(seen).mirrored()
    for name in ("xy", "present", "size", "camera"):
        np.testing.assert_allclose(getattr(flipped, name), getattr(mirrored, name), atol=2e-5)
    twice = mirrored.mirrored()
    assert torch.equal(twice.xy, poses_of(seen).xy)


def test_bones():
    assert len(BONES) == len({frozenset(bone) for bone in BONES}) == 14
    assert [MIRROR[MIRROR[j]] for j in range(len(JOINTS))] == list(range(len(JOINTS)))
    usual = usual_lengths()
    left, right = PAIRED_BONES
    np.testing.assert_allclose(usual[left], usual[right], atol=1e-3)
    assert 0.35 < usual[BONES.index(("left_hip", "left_knee"))] < 0.45
    points = torch.randn(3, len(JOINTS), 3, generator=torch.Generator().manual_seed(0))
    a, b = points[:, at("left_knee")], points[:, at("left_ankle")]
    found = bone_lengths(points)[:, BONES.index(("left_knee", "left_ankle"))]
    np.testing.assert_allclose(found, (a - b).norm(dim=1), rtol=1e-5)


def test_keypoints_that_are_lifted():
    found = columns(("coco/left_eye", "openpose/neck", "lsp/neck", "left_knee", "mpii/thorax"))
    assert found == {1: at("thorax"), 3: at("left_knee"), 4: at("thorax")}
    seen, _ = people(2, 0)
    with pytest.raises(UserError, match="no keypoint can be lifted"):
        poses_of(replace(seen, keypoint_name=tuple(f"a{k}" for k in range(17))))
