"""Usual proportions: segment scales that a data set's people have in the mean.

A fit's scales S are products S = μ·S' of usual scales μ and a person's own S'. The kinematics and
the skinning of a body with scales μ·S' are those of a *folded* rig with scales S': its joints are
placed by the usual bones, j'_k = j'_p + μ_p (j_k - j_p), and an anchor (a, w) of segment k becomes
(μ_k (a - w j_k) + w j'_k, w). So solvers see a folded rig, and terms of segment scales read S'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bodyreg.body.joints import JOINT_NAMES
from bodyreg.errors import UserError

SMALLEST, LARGEST = 0.5, 2.0
"""Ratios to the template, between which the usual scales of segments are."""


def check_proportions(segment_scale: np.ndarray) -> None:
    """Refuse usual segment scales (24,) that no people have.

    Raises:
        UserError: one is not from `SMALLEST` to `LARGEST`.
        ValueError: there is another number of them.
    """
    if segment_scale.shape != (len(JOINT_NAMES),):
        raise ValueError(
            f"segment_scale: expected shape ({len(JOINT_NAMES)},), got {segment_scale.shape}"
        )
    bad = np.flatnonzero(~((segment_scale >= SMALLEST) & (segment_scale <= LARGEST)))
    if len(bad):
        raise UserError(
            f"the usual scale of segment '{JOINT_NAMES[bad[0]]}' is {segment_scale[bad[0]]:g}; it "
            f"must be {SMALLEST:g} to {LARGEST:g}"
        )


def folded_joints(joints: Tensor, proportions: Tensor, parents: Sequence[int]) -> Tensor:
    """Rest joints (24, 3) of the folded rig.

    Args:
        joints: (24, 3) rest joints, metres.
        proportions: (24,) usual segment scales.
        parents: Parent of each joint, -1 for the root.
    """
    places = [joints[0]]
    for joint, parent in enumerate(parents[1:], start=1):
        places.append(places[parent] + proportions[parent] * (joints[joint] - joints[parent]))
    return torch.stack(places)


def folded_anchors(
    ids: Tensor, anchors: Tensor, joints: Tensor, folded: Tensor, proportions: Tensor
) -> Tensor:
    """Anchors (P, K, 4) of rig points of the folded rig.

    Args:
        ids, anchors: (P, K), (P, K, 4) of the rig points.
        joints, folded: (24, 3) rest joints of both rigs.
        proportions: (24,) usual segment scales.
    """
    joint, weight = ids.long(), anchors[..., 3:]
    usual = proportions[joint][..., None]
    places = usual * (anchors[..., :3] - weight * joints[joint]) + weight * folded[joint]
    return torch.cat([places, weight], -1)
