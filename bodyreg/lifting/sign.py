"""The sign of a lifter's depths, told without 3-D data."""

from __future__ import annotations

import torch

from bodyreg.lifting.joints import Poses
from bodyreg.lifting.losses import bends, joints_of
from bodyreg.lifting.network import Generator


def calibrated_sign(network: Generator, poses: Poses) -> int:
    """1, or -1 if heads, knees and elbows bend the wrong way in most people as they are lifted.

    Rays are parallel, so bodies whose depths are all mirrored look the same in the picture, from
    all sides, and have the same bones. A mirrored body is seen from behind, and its front is its
    back: heads would lean to the back, knees would bend to the back and elbows to the front.

    Args:
        network: The network, without a sign.
        poses: The people that it was trained on.
    """
    with torch.no_grad():
        depth, _ = network.both_sides(poses)
        bend, known = bends(poses, joints_of(poses, depth))
    # By hardly bent limbs nothing can be told, and a strongly bent one must not outvote others.
    votes = (known * torch.tanh(bend / BENT)).sum(0) / known.sum(0).clamp(min=1)
    return 1 if votes.sum() >= 0 else -1


BENT = 0.05
"""Units of `Poses`, about metres: a limb is bent by so much."""
