"""BVH files: places of joints by plain products of matrices, and damaged files."""

from __future__ import annotations

import numpy as np
import pytest

from bodyreg import UserError
from bodyreg.synthetic.motions.bvh import read_bvh
from bodyreg.synthetic.motions.joint_names import NAMES, recognised

FILE = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest of him {
    OFFSET 0 10 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 0 4 0
    }
  }
  JOINT Leg
  {
    OFFSET 0 -9 1
    CHANNELS 4 Xrotation Xposition Zposition Yposition
    JOINT Foot
    {
      OFFSET 0 -8 0
      CHANNELS 0
      End Site
      {
        OFFSET 0 0 2
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.1
5 6 7 10 20 30 40 50 60 70 1 3 2
0 0 0 0 0 0 0 0 0 0 4 6 5
"""


def about(axis, degrees):
    """A rotation matrix about x, y or z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_joints_are_placed_by_their_channels_in_order(tmp_path):
    bvh = read_bvh(write(tmp_path / "a.bvh", "\ufeff" + FILE.replace("\n", "\r\n\r\n")), 10)
    assert [joint.name for joint in bvh.joints] == ["Hips", "Chest of him", "Leg", "Foot"]
    assert [joint.parent for joint in bvh.joints] == [-1, 0, 0, 2]
    positions, rotations = bvh.place()
    hips = about("Z", 10) @ about("X", 20) @ about("Y", 30)
    chest = hips @ about("Y", 40) @ about("X", 50) @ about("Z", 60)
    leg = hips @ about("X", 70)
    root = np.array([5, 6, 7])
    knee = root + hips @ [1, 2, 3]  # the position channels, in their own order
    expected = [root, root + hips @ [0, 10, 0], knee, knee + leg @ [0, -8, 0]]
    np.testing.assert_allclose(positions[0], expected, atol=1e-12)
    np.testing.assert_allclose(rotations[0], [hips, chest, leg, leg], atol=1e-12)
    np.testing.assert_array_equal(bvh.at_rest, [False, True])
    np.testing.assert_array_equal(bvh.rest(), [[0, 0, 0], [0, 10, 0], [0, -9, 1], [0, -17, 1]])


RATES = [(1 / 120, 10, 12), (0.0333, 10, 3), (0.2, 10, 1), (0.04, 10, 2)]


@pytest.mark.parametrize(("time", "rate", "step"), RATES)
def test_frames_are_kept_at_a_rate(tmp_path, time, rate, step):
    rows = [" ".join([str(frame)] * 13) for frame in range(50)]
    head = FILE.split("Frames:")[0]
    content = f"{head}Frames:\t50\nFrame Time: {time}\n" + "\n".join(rows)
    kept = read_bvh(write(tmp_path / "a.bvh", content), rate).values
    np.testing.assert_array_equal(kept[:, 0], np.arange(0, 50, step))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("HIERARCHY\n", "", 1, "not a BVH file, which begins with HIERARCHY"),
        ("OFFSET 1 2 3", "OFFSET 1 2", 4, "OFFSET has 2 numbers, expected 3"),
        ("OFFSET 1 2 3", "OFFSET 1 2 nan", 4, "OFFSET holds something that is not a number"),
        ("OFFSET 1 2 3", "OFFSET 1 2 1e30", 4, "OFFSET holds something that is not a number"),
        ("OFFSET 0 10 0", "OFFSET 0 10 o", 7, "OFFSET holds something that is not a number"),
        ("OFFSET 1 2 3\n", "", 4, "expected OFFSET"),
        ("CHANNELS 6 X", "CHANNELS 5 X", 5, "expected CHANNELS, their number"),
        ("CHANNELS 6 X", "CHANNELS 6 W", 5, "expected CHANNELS, their number"),
        ("Yrotation Xrotation Zrot", "Xrotation Xrotation Zrot", 8, "at most three positions"),
        ("Xposition Zposition Y", "Xposition Zposition X", 17, "at most three positions"),
        ("JOINT Leg\n  {", "JOINT Leg\n", 16, "expected { after the joint's name"),
        ("JOINT Leg", "ROOT Leg", 14, "expected one ROOT with all JOINTs inside"),
        ("JOINT Leg", "LIMB Leg", 14, "unknown word 'LIMB'"),
        ("}\nMOTION", "}\n}\nMOTION", 29, "a bracket closes nothing"),
        ("}\nMOTION", "MOTION", 28, "MOTION comes before the end of the joints"),
        ("Frames: 2", "Frames: two", 30, "expected Frames: and their number"),
        ("Frames: 2", "Frames: 0", 30, "0 frames; expected 1 to 10,000,000"),
        ("Frames: 2", "Frames: 99999999999", 30, "99999999999 frames; expected"),
        ("Frames: 2", "Frames: " + 5000 * "9", 30, "9 frames; expected 1 to"),
        ("Frames: 2", "Frames: 3", 33, "2 of 3 frames; the file may be truncated"),
        ("Frames: 2", "Frames: 1", 33, "more than the 1 frames that the file tells"),
        ("Frame Time: 0.1", "Frame Time: 0", 31, "Frame Time 0: must be 1e-06 to 10"),
        ("Frame Time: 0.1", "Frame Time: 1e-310", 31, "must be 1e-06 to 10 seconds"),
        ("70 1 3 2", "70 1 3 2" + 2**19 * " 0", 32, "longer than 1,048,576 characters"),
        ("Frame Time: 0.1", "Frame Rate: 10", 31, "expected Frame Time: and seconds"),
        ("70 1 3 2", "70 1 3", 32, "frame 1 has 12 numbers, expected 13"),
        ("70 1 3 2", "70 1 3 2,5", 32, "frame 1 holds something that is not a number"),
    ],
)
def test_damaged_files_are_refused_with_their_line(tmp_path, old, new, line, message):
    path = write(tmp_path / "a.bvh", FILE.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_bvh(path, 10)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_files_cut_anywhere_and_other_files_are_refused(tmp_path):
    random = np.random.default_rng()
    for end in random.integers(0, len(FILE) - 2, 60).tolist():
        path = write(tmp_path / "a.bvh", FILE[:end])
        with pytest.raises(UserError, match=r"a\.bvh, line \d+: "):
            read_bvh(path, 10)
    for content in (b"\x00\xff" * 3000, random.bytes(5000), b""):
        with pytest.raises(UserError):
            read_bvh(write(tmp_path / "a.bvh", content), 10)
    with pytest.raises(UserError, match="no such BVH file"):
        read_bvh(tmp_path / "b.bvh", 10)
    deep = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 0\n"
    deep += "JOINT j\n{\nOFFSET 0 0 0\nCHANNELS 0\n" * 1001
    with pytest.raises(UserError, match="more than 1,000 joints"):
        read_bvh(write(tmp_path / "a.bvh", deep), 10)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.bvh").open("wb") as stream:
        stream.truncate(2**30 + 1)
    with pytest.raises(UserError, match="larger than 1,073,741,824 bytes"):
        read_bvh(tmp_path / "a.bvh", 10)


LEFT = ("left_hip", "left_knee", "left_ankle", "left_foot", "left_shoulder", "left_elbow",
        "left_wrist")  # fmt: skip
STYLES = {
    "CMU": "LeftHip LeftKnee LeftAnkle LeftToe LeftShoulder LeftElbow LeftWrist Neck Head",
    "CMU's bones": "lfemur ltibia lfoot ltoes lhumerus lradius lwrist upperneck head",
    "Biovision": "LeftHip LeftKnee LeftAnkle LeftToe LeftUpArm LeftLowArm LeftHand Neck Head",
    "Mixamo": "mixamorig:LeftUpLeg mixamorig:LeftLeg mixamorig:LeftFoot mixamorig:LeftToeBase "
    "mixamorig:LeftArm mixamorig:LeftForeArm mixamorig:LeftHand mixamorig:Neck mixamorig:Head",
    "MotionBuilder": "Character1_LeftUpLeg Character1_LeftLeg Character1_LeftFoot "
    "Character1_LeftToeBase Character1_LeftArm Character1_LeftForeArm Character1_LeftHand "
    "Character1_Neck Character1_Head",
    "LaFAN": "LeftUpLeg LeftLeg LeftFoot LeftToe LeftArm LeftForeArm LeftHand Neck Head",
    "Rokoko": "LeftThigh LeftShin LeftFoot LeftToe LeftArm LeftForearm LeftHand Neck Head",
    "OptiTrack": "LThigh LShin LFoot LToe LUArm LFArm LHand Neck Head",
    "Xsens": "LeftUpperLeg LeftLowerLeg LeftFoot LeftToe LeftUpperArm LeftForeArm LeftHand Neck "
    "Head",
    "Daz": "lThigh lShin lFoot lToe lShldr lForeArm lHand neck head",
    "Unreal": "thigh_l calf_l foot_l ball_l upperarm_l lowerarm_l hand_l neck_01 head",
    "Blender": "thigh.L shin.L foot.L toe.L upper_arm.L forearm.L hand.L neck head",
    "SMPL": "L_Hip L_Knee L_Ankle L_Foot L_Shoulder L_Elbow L_Wrist Neck Head",
}
BIPED = ("Bip01 L Thigh", "Bip01 L Calf", "Bip01 L Foot", "Bip01 L Toe0", "Bip01 L UpperArm",
         "Bip01 L Forearm", "Bip01 L Hand", "Bip01 Neck", "Bip01 Head")  # fmt: skip
OTHERS = (
    "Hips", "LHipJoint", "LeftCollar", "Spine", "Spine1", "lowerback", "L5", "T12", "LeftEye",
    "LeftHandThumb1", "LeftForeArmRoll", "LeftUpLegRoll", "HeadTop_End", "LFingers", "clavicle_l",
    "thigh_twist_01_l", "Bip01 L Finger0", "lhipjoint", "LThumb", "Pelvis", "Jaw", "RightEye_End",
)  # fmt: skip
"""Joints that are none of ours, in any style."""


@pytest.mark.parametrize("style", [*STYLES, "Biped"])
def test_names_of_many_styles_are_recognised(style):
    left = BIPED if style == "Biped" else STYLES[style].split()
    swaps = (("Left", "Right"), ("L_", "R_"), (" L ", " R "), ("_l", "_r"), (".L", ".R"))
    names = dict(zip((*LEFT, "neck", "head"), left, strict=True))
    for joint in LEFT:
        name = names[joint]
        for one, two in swaps:
            if one in name:
                other = name.replace(one, two)
                break
        else:
            other = {"l": "r", "L": "R"}[name[0]] + name[1:]
        names[joint.replace("left", "right")] = other
    collar = {"Mixamo": "mixamorig:LeftShoulder", "LaFAN": "LeftShoulder", "Xsens": "LeftShoulder"}
    order = [*names.values(), *OTHERS, *([collar[style]] if style in collar else [])]
    np.random.default_rng().shuffle(order)
    found = recognised(order)
    assert {joint: order[place] for joint, place in found.items()} == names
    assert set(found) == set(NAMES)


def test_names_of_no_style_are_not_recognised():
    assert recognised(["Bone", "Bone.001", "x", "", "leftmost", "rhythm", *OTHERS]) == {}
