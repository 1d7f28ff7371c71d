"""Evidence that fades, limb by limb and row by row of the picture, and what fits do meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.hard.planting import kept, segments
from bodyreg import Observations, register
from bodyreg.body import JOINT_NAMES

if TYPE_CHECKING:
    from benchmarks.hard.study import Study

ENDS = np.linspace(1.0, -0.3, 8)
"""Where the picture ends, half sides below the middle of a person's frame."""
LIMBS = {
    "the left arm": ("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    "the right arm": ("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    "the left leg": ("left_hip", "left_knee", "left_ankle", "left_foot"),
    "the right leg": ("right_hip", "right_knee", "right_ankle", "right_foot"),
    "the head": ("neck", "head"),
}
"""Limbs -> the segments whose points go, one limb after the other."""
KEPT = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""Joints where limbs begin: they are seen as long as the trunk is."""
FACE = ("nose", "eye", "ear")
"""Words in the names of keypoints that go with the head."""


class Step(NamedTuple):
    """Evidence of some people; `unseen` (N, 24) says which joints it does not show."""

    name: str
    people: Observations
    unseen: np.ndarray


def by_limb(people: Observations) -> list[Step]:
    """Steps that each take another limb."""
    steps = [Step("everything", people, np.zeros((len(people), len(JOINT_NAMES)), bool))]
    segment, gone = segments(people), []
    for limb, joints in LIMBS.items():
        gone += joints
        lost = [name for name in gone if name not in KEPT]
        words = [*lost, *(FACE if "head" in gone else ())]
        seen = [not any(w in name for w in words) for name in people.keypoint_name]
        unseen = np.isin(JOINT_NAMES, lost)
        point = ~np.isin(segment, [JOINT_NAMES.index(name) for name in gone])
        some = kept(people, point, np.broadcast_to(seen, people.keypoint_weight.shape))
        steps.append(Step(f"and not {limb}", some, np.tile(unseen, (len(some), 1))))
    return steps


def by_row(study: Study, people: Observations) -> list[Step]:
    """Steps at which the picture ends higher and higher."""
    steps = []
    for below in ENDS:
        end = people.frame[:, 1] + below * people.frame[:, 2]
        point = people.point_xy[:, 1] < end[people.point_person]
        some = kept(people, point, people.keypoint_xy[..., 1] < end[:, None])
        truth = study.true(some.id).in_frames(some.frame)
        unseen = truth.in_frame(truth.joints)[..., 1] < -below
        steps.append(Step(f"{50 * (1 - below):.0f} % of the frame cut off", some, unseen))
    return steps


def table(study: Study, steps: list[Step]) -> str:
    """What the fits of every step are like."""
    head = (
        "| evidence | people | seen joints, mm | unseen joints, mm | their deviation, mm "
        "| within, % | farthest | size | moved, mm | flagged |"
    )
    rows, before = [], {}
    whole = None
    for name, people, unseen in steps:
        fits = register(study.body, people)
        truth = study.true(fits.id).in_frames(fits.frame)
        metre = truth.scale[:, None, None]
        joints, true = fits.joints(study.body) / metre, truth.placed(truth.joints) / metre
        joints, true = (1000 * (x - x[:, :1]) for x in (joints, true))
        apart = joints - true
        error = np.linalg.norm(apart, axis=2)
        deviation = fits.joint_deviation * (fits.scale / truth.scale)[:, None, None]
        axes = np.stack([np.hypot(apart[..., 0], apart[..., 1]), np.abs(apart[..., 2])], 2)
        seen = ~unseen
        seen[:, 0] = unseen[:, 0] = False  # all is relative to the pelvis
        reach = np.linalg.norm(joints, axis=2).max(1) / np.linalg.norm(true, axis=2).max(1)
        ids = fits.id.tolist()
        whole = whole or dict(zip(ids, fits.scale.tolist(), strict=True))
        size = fits.scale / np.array([whole[person] for person in ids])
        steps_made = [
            np.linalg.norm(joints[i] - before[person], axis=1)[seen[i]]
            for i, person in enumerate(ids)
            if person in before
        ]
        before = dict(zip(ids, joints, strict=True))
        cells = [
            name, len(fits), f"{error[seen].mean():.0f}",
            *(
                [
                    f"{error[unseen].mean():.0f}",
                    f"{np.linalg.norm(deviation, axis=2)[unseen].mean():.0f}",
                    " / ".join(f"{100 * x:.0f}" for x in (axes <= deviation)[unseen].mean(0)),
                ]
                if unseen.any() else ["–"] * 3
            ),
            f"{np.percentile(reach, 99):.2f}",
            f"{np.percentile(size, 1):.2f} to {np.percentile(size, 99):.2f}",
            f"{np.median(np.concatenate(steps_made)):.0f}" if steps_made else "–",
            f"{100 * fits.doubtful.mean():.0f} %",
        ]  # fmt: skip
        rows.append("| " + " | ".join(map(str, cells)) + " |")
        print(rows[-1], flush=True)
    return "\n".join([head, "|---" * 10 + "|", *rows])
