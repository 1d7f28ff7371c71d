"""Lifters: networks that give keypoints a depth, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.lifting.joints import JOINTS, Poses, columns, poses_of
from bodyreg.lifting.network import LARGEST_WIDTH, Generator
from bodyreg.training.checkpoints import load_network, save_network

FORMAT = "bodyreg-lifter-1"

AT_ONCE = 4096
"""People lifted in one step."""

SMALLEST_FACTOR = 1e-3
"""Of a file's spreads; the largest is its inverse. The measured ones are near 1."""


@dataclass(eq=False)
class Lifter:
    """Lifts keypoints of people: both kinds of lifters are this network, trained in different ways.

    Attributes:
        network: Gives depths and their spread.
        joints: The joints that it has learnt; others are hidden from it, and get no depth.
        sign: 1, or -1 if the network has learnt all depths mirrored; see `calibrated_sign`.
        perspective: Whether it reads what is known of the camera.
        spread_factor: What the network's spreads are multiplied by.
        facts: What made it; plain values.
    """

    network: Generator
    joints: tuple[str, ...] = JOINTS
    sign: int = 1
    perspective: bool = False
    spread_factor: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def lift(self, observations: Observations) -> Observations:
        """The same people with depths of their keypoints, and the spread of these depths.

        Depths that were there are replaced. A keypoint has no depth if it is absent, if the lifter
        does not know it, or if the person's bones have no length. A person's depths do not depend
        on the others.

        Raises:
            UserError: no keypoint is one that this lifter knows, or as `depths`.
        """
        shape = observations.keypoint_weight.shape
        depth, spread = (np.full(shape, np.nan, np.float32) for _ in range(2))
        found = {
            k: j for k, j in columns(observations.keypoint_name).items() if JOINTS[j] in self.joints
        }
        poses = poses_of(observations)
        if not found:
            raise UserError(f"the lifter knows only {', '.join(self.joints)}")
        for start in range(0, len(observations), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            for array, values in zip((depth, spread), self.depths(poses.select(some)), strict=True):
                array[some, list(found)] = values[:, list(found.values())].numpy()
        present = observations.keypoint_weight > 0
        depth, spread = (np.where(present, array, np.nan) for array in (depth, spread))
        return observations.with_depths(depth, spread)

    def depths(self, poses: Poses) -> tuple[Tensor, Tensor]:
        """Depths and spreads (N, J), in the units of the poses' xy before they were normalised.

        A mirror image of a pose has the same depths. NaN where a joint is not present.

        Raises:
            UserError: one is not finite.
        """
        seen = self.hide(poses)
        # In float64 the order of sums, which depends on the number of people, does not count.
        with torch.no_grad():
            network = _in_float64(self.network)
            depth, spread = network.both_sides(seen.to(torch.float64))
        size, known = seen.size[:, None], seen.present > 0
        depth = (self.sign * depth.float()) * size
        spread = (self.spread_factor * spread.float()) * size
        if not (depth.isfinite() & spread.isfinite() & (spread > 0) | ~known).all():
            raise UserError("the lifter gives depths that are not finite; train another one")
        nothing = depth.new_tensor(torch.nan)
        return depth.where(known, nothing), spread.where(known, nothing)

    def hide(self, poses: Poses) -> Poses:
        """The poses without what this lifter does not know."""
        known = poses.present.new_tensor([float(name in self.joints) for name in JOINTS])
        return poses.seen_by(known, self.perspective)

    def save(self, path: str | os.PathLike, **facts: Any) -> None:
        """Write a bodyreg-lifter-1 file (safetensors); `facts` say what made it."""
        about = {
            "joints": list(self.joints),
            "sign": self.sign,
            "perspective": self.perspective,
            "spread_factor": self.spread_factor,
            "width": self.network.width,
        }
        save_network(path, FORMAT, self.network, about, {**self.facts, **facts})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Lifter:
        """Read a bodyreg-lifter-1 file.

        Raises:
            UserError: the file is missing, damaged, or no lifter.
        """
        network, about, facts = load_network(
            path, FORMAT, "lifter", _about, lambda about: Generator(about["width"])
        )
        return cls(
            network,
            tuple(about["joints"]),
            about["sign"],
            about["perspective"],
            about["spread_factor"],
            facts,
        )


def _about(plain: dict[str, Any]) -> dict[str, Any]:
    """What a file says of a lifter, which must be possible."""
    joints, width, factor = plain["joints"], plain["width"], plain["spread_factor"]
    if not (
        isinstance(joints, list)
        and joints
        and all(name in JOINTS for name in joints)
        and plain["sign"] in (1, -1)
        and isinstance(plain["perspective"], bool)
        and type(factor) in (int, float)
        and SMALLEST_FACTOR < factor < 1 / SMALLEST_FACTOR
        and type(width) is int
        and 0 < width <= LARGEST_WIDTH
    ):
        raise TypeError("impossible")
    return plain


def known_joints(poses: Poses) -> tuple[str, ...]:
    """The joints that at least half of the people have."""
    shares: Sequence[float] = poses.present.mean(0).tolist()
    return tuple(name for name, share in zip(JOINTS, shares, strict=True) if share >= 0.5)


def _in_float64(network: Generator) -> Generator:
    wide = Generator(network.width).double()
    wide.load_state_dict(network.state_dict())
    return wide.requires_grad_(False)
