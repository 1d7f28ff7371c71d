"""Regressors: networks that see bodies in pictures, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bodyreg.body import Parameters
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.regression.network import Architecture, Network
from bodyreg.regression.outputs import as_fits
from bodyreg.training.checkpoints import load_network, save_network
from bodyreg.training.loops import seeded

FORMAT = "bodyreg-regressor-1"

AT_ONCE = 64
"""Pictures seen in one step."""

LARGEST_SIDE = 4096
"""Of its pictures, in pixels."""


@dataclass(eq=False)
class Regressor:
    """Sees bodies in pictures that are cropped to the people's frames.

    Attributes:
        network: Gives parameters.
        side: Pixels of the pictures that it has learnt from.
        facts: What made it; plain values.
        body: The fingerprint of the body whose parameters it gives; "" = not recorded.
    """

    network: Network
    side: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def new(cls, architecture: Architecture, side: int, seed: int = 0) -> Regressor:
        """One that has not learnt yet, and gives about the mean body.

        Raises:
            UserError: the side of its pictures is not possible.
        """
        if not 0 < side <= LARGEST_SIDE:
            raise UserError(f"side {side}: give 1 to {LARGEST_SIDE:,} pixels")
        with seeded(seed):
            return cls(Network(architecture), side)

    def predict(
        self,
        crops: Tensor,
        people: Observations,
        config: RegistrationConfig | None = None,
    ) -> Fits:
        """The bodies of people.

        Args:
            crops: (N, 3, side, side) uint8 red, green, blue: what is in the people's frames.
            people: Their ids and frames, and what is known of their cameras.
            config: Says what the cameras are, as in a registration; the preset `accurate` if left
                out.

        Raises:
            ValueError: the crops have another shape or type.
        """
        expected = (len(people), 3, self.side, self.side)
        if crops.shape != expected or crops.dtype != torch.uint8:
            raise ValueError(
                f"crops: expected uint8 of shape {expected}, got {crops.dtype} of shape "
                f"{tuple(crops.shape)}"
            )
        return as_fits(self.parameters(crops), people, config)

    def parameters(self, crops: Tensor) -> Parameters:
        """What the network sees in crops, without gradients."""
        network = self.network.eval()
        device = network.head.weight.device
        with torch.no_grad():
            found = [network(some.to(device).float() / 255) for some in crops.split(AT_ONCE)]
        return Parameters(*(torch.cat(blocks) for blocks in zip(*found, strict=True)))

    def save(self, path: str | os.PathLike, **facts: Any) -> None:
        """Write a bodyreg-regressor-1 file (safetensors); `facts` say what made it."""
        about = {
            "architecture": asdict(self.network.architecture),
            "side": self.side,
            "body": self.body,
        }
        save_network(path, FORMAT, self.network, about, {**self.facts, **facts})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Regressor:
        """Read a bodyreg-regressor-1 file.

        Raises:
            UserError: the file is missing, damaged, or no regressor.
        """
        network, about, facts = load_network(
            path, FORMAT, "regressor", _about, lambda about: Network(about.architecture)
        )
        return cls(network, about.side, facts, about.body)


class _About(NamedTuple):
    """What a file says of a regressor."""

    architecture: Architecture
    side: int
    body: str


def _about(plain: dict[str, Any]) -> _About:
    """What a file says; older ones do not name all of it."""
    about = _About(Architecture(**plain["architecture"]), plain["side"], plain.get("body", ""))
    switches = about.architecture.six_numbers, about.architecture.six_number_pose
    if type(about.architecture.width) is not int or any(type(s) is not bool for s in switches):
        raise TypeError("architecture")
    if type(about.side) is not int or not 0 < about.side <= LARGEST_SIDE:
        raise TypeError("side")
    if not isinstance(about.body, str):
        raise TypeError("body")
    return about
