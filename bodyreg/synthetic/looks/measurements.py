"""Measures of a body: the places of its vertices in the coordinates that clothes are cut by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.synthetic.mesh import mesh_of

# Values of `height` and of `arm` at these places.
SOLE, ANKLE, KNEE, HIP, WAIST, NECK, CROWN = range(7)
SHOULDER, ELBOW, WRIST, FINGERTIP = range(4)
# Length from the hips to the neck, metres.
ADULT_TRUNK = 0.56
# `arm` of vertices of the trunk, before the shoulder.
TRUNK = -0.4
_ARM = ("shoulder", "elbow", "wrist", "hand")
# 1 for the joints of arms, 0 for others.
_OF_ARMS = np.array([name.endswith(_ARM) for name in JOINT_NAMES], np.float32)


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures of one shaped body in its rest pose (T-pose: x to its left, y up, z front).

    Attributes:
        rest: (3, V) float32 metres.
        front: (V,) float32, the rest normal's z: 1 in front, -1 behind.
        height: (V,) float32 up the body: 0 sole, 1 ankle, 2 knee, 3 hip, 4 waist, 5 neck, 6 crown.
        arm: (V,) float32 along an arm: 0 shoulder, 1 elbow, 2 wrist, 3 fingertip; -0.4 elsewhere.
        eyes: (3,) the point between the eyes.
        eye_side: Half the distance between the eyes, metres.
        face_unit: Height of the eyes above the nose's tip, metres: the unit of the face.
        ear: (3,) the point between the ears.
        ear_side: Half the distance between the ears, metres.
        crown: Height of the head's top above the ears, metres.
        neck: (3,) the neck's joint.
        hips: (2,) x of the hips' joints, left and right.
        arm_axis: (2,) y and z of the arms.
        size: Length of the trunk over an adult's; lengths of clothes in metres scale with it.
    """

    rest: np.ndarray
    front: np.ndarray
    height: np.ndarray
    arm: np.ndarray
    eyes: np.ndarray
    eye_side: float
    face_unit: float
    ear: np.ndarray
    ear_side: float
    crown: float
    neck: np.ndarray
    hips: np.ndarray
    arm_axis: np.ndarray
    size: float


def measure(body: Body) -> Measures:
    """Measure a body.

    Args:
        body: A shaped body.
    """
    rest = np.ascontiguousarray(body.vertices.T, np.float32)
    joint = dict(zip(JOINT_NAMES, body.joints.astype(np.float64), strict=True))
    marks = [joint[f"left_{n}"][1] for n in ("ankle", "knee", "hip")]
    marks = [rest[1].min(), *marks, joint["spine2"][1], joint["neck"][1], rest[1].max()]
    height = np.interp(rest[1], marks, range(7)).astype(np.float32)

    along = [abs(joint[f"left_{name}"][0]) for name in _ARM[:3]] + [np.abs(rest[0]).max()]
    share = np.einsum("vk,vk->v", body.weights, _OF_ARMS.take(body.weight_joint_ids))
    arm = np.interp(np.abs(rest[0]), along, range(4)) * share + TRUNK * (1 - share)

    at = {name: place.astype(np.float32) for name, place in _face(body, joint).items()}
    ear = (at["left_ear"] + at["right_ear"]) / 2
    eyes = (at["left_eye"] + at["right_eye"]) / 2
    hips = [joint["left_hip"][0], joint["right_hip"][0]]
    return Measures(
        rest=rest,
        front=mesh_of(body.faces, len(body.vertices)).normals(body.vertices)[:, 2],
        height=height,
        arm=arm.astype(np.float32),
        eyes=eyes,
        eye_side=float(at["left_eye"][0] - eyes[0]),
        face_unit=float(max(eyes[1] - at["nose"][1], 0.01)),
        ear=ear,
        ear_side=float(at["left_ear"][0] - ear[0]),
        crown=float(rest[1].max() - ear[1]),
        # Single precision, so that the computations for every pixel stay in it.
        neck=joint["neck"].astype(np.float32),
        hips=np.array(hips, np.float32),
        arm_axis=joint["left_elbow"][1:].astype(np.float32),
        size=float(joint["neck"][1] - joint["left_hip"][1]) / ADULT_TRUNK,
    )


def _face(body: Body, joint: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The face's landmarks; for a body without them, their usual places on the head."""
    size = float(body.vertices[:, 1].max()) - joint["head"][1]
    usual = {
        "nose": (0, 0.06, 0.78), "left_eye": (0.2, 0.27, 0.61), "right_eye": (-0.2, 0.27, 0.61),
        "left_ear": (0.54, 0.17, -0.04), "right_ear": (-0.54, 0.17, -0.04),
    }  # fmt: skip
    found = {name: joint["head"] + size * np.array(place) for name, place in usual.items()}
    for name in usual:
        if name in body.landmarks:
            mark = body.landmarks[name]
            found[name] = mark.weights.astype(np.float64) @ body.vertices[mark.vertices]
    return found
