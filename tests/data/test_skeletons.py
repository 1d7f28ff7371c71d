"""The orders of joints, against what the data sets' papers and tools say of them."""

import numpy as np
import pytest

from bodyreg.body import CONVENTIONS, JOINT_NAMES, Body
from bodyreg.data.skeletons import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    COCO_18,
    H36M_17,
    H36M_17_OF_32,
    H36M_17_OF_SPIN,
    H36M_32,
    HALPE_26,
    MPII_16,
    SKELETONS,
    SPIN_24,
    WHOLE_BODY_23,
)

SIZES = {
    "COCO-17": 17, "COCO-18": 18, "BODY_25": 25, "MPII-16": 16, "LSP-14": 14, "H36M-17": 17,
    "H36M-32": 32, "SPIN-24": 24, "SMPL-24": 24, "BlazePose-33": 33,
    "Halpe-26": 26, "COCO-WholeBody-23": 23,
}  # fmt: skip


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_joint_is_a_point_of_the_body(skeleton):
    assert len(set(skeleton.joints)) == len(skeleton) == SIZES[skeleton.name]
    assert len(Body.default().keypoints(skeleton.keypoints)) == len(skeleton)
    known = CONVENTIONS[skeleton.convention] if skeleton.convention else JOINT_NAMES
    assert set(skeleton.joints) <= set(known)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_evidence_has_every_place_once(skeleton):
    body = Body.default()
    places = body.keypoints(skeleton.keypoints).anchors.sum(1).numpy()
    once = body.keypoints(skeleton.evidence_keypoints).anchors.sum(1).numpy()
    np.testing.assert_array_equal(once, places[list(skeleton.evidence)])
    assert len(np.unique(once, axis=0)) == len(once) == len(np.unique(places, axis=0))


def test_joints_of_human36m_that_lie_at_others_are_no_evidence():
    left_out = set(range(32)) - set(H36M_32.evidence)
    assert {H36M_32.joints[joint] for joint in left_out} == {
        "spine_root", "left_shoulder_root", "right_shoulder_root",
        "left_thumb", "left_wrist_end", "right_thumb", "right_wrist_end",
    }  # fmt: skip


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_flip_twice_is_none(skeleton):
    flip = np.array(skeleton.flip)
    np.testing.assert_array_equal(flip[flip], np.arange(len(skeleton)))
    for number, name in enumerate(skeleton.joints):
        sided = name.startswith(("left_", "right_"))
        assert sided == (flip[number] != number)
    if skeleton.parents:
        parents = np.array(skeleton.parents)
        assert (parents == -1).sum() == 1
        mirrored = np.where(parents < 0, -1, flip[parents])
        np.testing.assert_array_equal(parents[flip], mirrored)


def test_flips_as_the_data_sets_list_them():
    assert MPII_16.flip == (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)
    assert COCO_17.flip == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    left, right = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
    assert [H36M_17.flip[joint] for joint in left] == right


def test_orders_of_one_family_agree():
    """BODY_25 is COCO-18 with the middle of the hips and the feet; H36M-17 is a part of 32."""
    extra = {"pelvis", *BODY_25.joints[19:]}
    assert tuple(name for name in BODY_25.joints if name not in extra) == COCO_18.joints
    assert BODY_25.joints[8] == "pelvis"
    assert set(COCO_18.joints) - set(COCO_17.joints) == {"neck"}
    names = tuple(H36M_32.joints[joint] for joint in H36M_17_OF_32)
    assert names == H36M_17.joints


def test_parents_of_a_subset_are_ancestors():
    """Human3.6M's tree of 17 is that of 32 with the joints between left out.

    The arms of the 32 hang on the spine, by a joint that lies at the neck: there the 17 differ.
    """
    place = {joint: number for number, joint in enumerate(H36M_17_OF_32)}
    for number, joint in enumerate(H36M_17_OF_32):
        parent = H36M_32.parents[joint]
        while parent >= 0 and parent not in place:
            parent = H36M_32.parents[parent]
        expected = 8 if number in (11, 14) else place.get(parent, -1)
        assert H36M_17.parents[number] == expected


def test_spin_holds_the_joints_of_human36m():
    names = [SPIN_24.joints[joint] for joint in H36M_17_OF_SPIN]
    others = {8: "lsp_neck", 10: "h36m_head"}
    assert names == [others.get(number, name) for number, name in enumerate(H36M_17.joints)]
    assert [H36M_17_OF_SPIN.index(joint) for joint in range(6)] == [3, 2, 1, 4, 5, 6]


def test_blazepose_extends_coco():
    """Google's page numbers them: 11 left shoulder, 16 right wrist, 23 left hip, 32 right foot."""
    assert set(COCO_17.joints) < set(BLAZEPOSE_33.joints)
    numbers = {11: "left_shoulder", 16: "right_wrist", 23: "left_hip", 32: "right_foot_index"}
    assert {number: BLAZEPOSE_33.joints[number] for number in numbers} == numbers


def test_halpe_as_its_authors_list_it():
    joints = HALPE_26.joints
    assert joints[:17] == COCO_17.joints == WHOLE_BODY_23.joints[:17]
    assert [joints[i] for i in (17, 18, 19, 20, 23, 25)] == [
        "head_top", "neck", "pelvis", "left_toe", "right_small_toe", "right_heel",
    ]  # fmt: skip
    assert [WHOLE_BODY_23.joints[i] for i in (17, 19, 20)] == ["left_toe", "left_heel", "right_toe"]
