"""What a lifted pose should be like, without any 3-D data. Poses are in units of `Poses`.

"Learning Body Shape and Pose from Dense Correspondences" (Yoshiyasu & Gamez, 2019) names the
adversarial, bone and symmetry losses. "Unsupervised Adversarial Learning of 3D Human Pose from 2D
Joint Locations" (Kudo et al. 2018) has views and a facing loss in the horizontal plane.
"Unsupervised 3D Pose Estimation with Geometric Self-Supervision" (Chen et al. 2019) lifts again
what it sees from another side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bodyreg.lifting.joints import (
    JOINTS,
    PAIRED_BONES,
    Poses,
    bone_lengths,
    bones_present,
    normalised,
    usual_lengths,
)

_AT = {name: place for place, name in enumerate(JOINTS)}


def joints_of(poses: Poses, depth: Tensor) -> Tensor:
    """(N, J, 3) joints in space."""
    return torch.cat([poses.xy, (depth * poses.present)[..., None]], 2)


def seen_from(poses: Poses, joints: Tensor, angle: Tensor) -> tuple[Poses, Tensor]:
    """The poses after a turn about the vertical axis, and their depths, in units of what is seen.

    They are normalised as those of pictures are: otherwise a judge would know them by their size.

    Args:
        poses: N people.
        joints: (N, J, 3) their joints in space.
        angle: (N,) radians.
    """
    x, y, z = joints.unbind(2)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    turned = torch.stack([x * cos + z * sin, y], 2)
    seen = normalised(
        turned * poses.present[..., None], poses.present, torch.zeros_like(poses.camera)
    )
    return seen, (z * cos - x * sin) / seen.size.clamp(min=1e-2)[:, None]


def judged(logit: Tensor, *, real: bool) -> Tensor:
    """The adversarial loss of logits: -log of the probability that they are judged so."""
    return functional.softplus(-logit if real else logit).mean()


def bone_ratio(poses: Poses, joints: Tensor) -> Tensor:
    """Squared error of bones against the trunk: Σ_b (l_b / l_trunk - r_b)², mean over people."""
    lengths, known, usual = bone_lengths(joints), bones_present(poses.present), usual_lengths()
    error = lengths / lengths[:, :1].clamp(min=0.1) - usual / usual[0]
    known = known * known[:, :1]
    return (known * error.square()).sum(1).mean()


def bone_symmetry(poses: Poses, joints: Tensor) -> Tensor:
    """Squared differences of the two sides' bones, in shares of the trunk, mean over people."""
    lengths, known, usual = bone_lengths(joints), bones_present(poses.present), usual_lengths()
    left, right = PAIRED_BONES
    error = (lengths[:, left] - lengths[:, right]) / usual[0]
    return (known[:, left] * known[:, right] * error.square()).sum(1).mean()


def fronts(joints: Tensor) -> Tensor:
    """(N, 3) where trunks of joints (N, J, 3) look: left x up, of any length."""
    at = {name: joints[:, place] for name, place in _AT.items()}
    left = at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"]
    return torch.linalg.cross(left, at["thorax"] - at["pelvis"])


def bends(poses: Poses, joints: Tensor) -> tuple[Tensor, Tensor]:
    """How far head, hips, knees and elbows bend to their own side, in units of `Poses`.

    Positive in people as they are: the head is in front of the trunk's line, thighs are to the
    front of it, knees bend to the front, elbows to the back. The front is left x up, of the hips or
    shoulders and the trunk.

    Returns:
        (N, 7) how far, and (N, 7) 1 where it can be told, else 0.
    """
    at = {name: joints[:, place] for name, place in _AT.items()}
    there = {name: poses.present[:, place] for name, place in _AT.items()}
    trunk = functional.normalize(at["thorax"] - at["pelvis"], dim=1)
    front = {
        part: functional.normalize(
            torch.linalg.cross(at[f"left_{part}"] - at[f"right_{part}"], trunk), dim=1
        )
        for part in ("hip", "shoulder")
    }
    found = [(front["shoulder"] * (at["head"] - at["thorax"])).sum(1)]
    known = [there["head"]]
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        shoulder, elbow, wrist = (at[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        found += [
            (front["hip"] * (knee - hip)).sum(1) / 2,
            (front["hip"] * (knee - (hip + ankle) / 2)).sum(1),
            (front["shoulder"] * ((shoulder + wrist) / 2 - elbow)).sum(1),
        ]
        known += [there[f"{side}_{name}"] for name in ("knee", "ankle", "wrist")]
        known[-2] = known[-2] * there[f"{side}_knee"]
        known[-1] = known[-1] * there[f"{side}_elbow"]
    trunks = there["pelvis"] * there["thorax"]
    return torch.stack(found, 1), torch.stack(known, 1) * trunks[:, None]


def facing(poses: Poses, joints: Tensor) -> Tensor:
    """Hinge on what bends the wrong way, mean over people."""
    bend, known = bends(poses, joints)
    return (known * functional.relu(-bend)).sum(1).mean()


def upright(poses: Poses, joints: Tensor) -> Tensor:
    """Squared sine of the trunk's lean toward or away from the viewer, mean over people.

    A picture hardly tells this lean: sizes of trunks differ by more than a lean shortens them.
    """
    trunk = joints[:, _AT["thorax"]] - joints[:, _AT["pelvis"]]
    known = poses.present[:, _AT["thorax"]] * poses.present[:, _AT["pelvis"]]
    sine = trunk[:, 2].square() / trunk.square().sum(1).clamp(min=1e-3)
    return (known * sine).mean()


def likelihood(error: Tensor, spread: Tensor, known: Tensor) -> Tensor:
    """Minus log likelihood of errors (N, J) of Laplace's distribution, mean over known ones."""
    scale = spread / 2**0.5
    loss = error.abs() / scale + scale.log()
    return (known * loss).sum() / known.sum().clamp(min=1)
