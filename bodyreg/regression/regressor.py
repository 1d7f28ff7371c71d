"""Regressors: networks that see bodies in pictures, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from bodyreg.body import Parameters
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.regression.network import Architecture, Network
from bodyreg.regression.outputs import as_fits
from bodyreg.training.checkpoints import load_checkpoint, load_module, save_checkpoint
from bodyreg.training.loops import seeded

FORMAT = "bodyreg-regressor-1"

AT_ONCE = 64
"""Pictures seen in one step."""

LARGEST_SIDE = 4096
"""Of a file's pictures, in pixels."""


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
        """One that has not learnt yet, and gives about the mean body."""
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
            "facts": {**self.facts, **facts},
        }
        save_checkpoint(path, FORMAT, self.network.state_dict(), about)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Regressor:
        """Read a bodyreg-regressor-1 file.

        Raises:
            UserError: the file is missing, damaged, or no regressor.
        """
        tensors, about = load_checkpoint(path, FORMAT)
        side, facts, body = about.get("side"), about.get("facts"), about.get("body", "")
        try:
            architecture = Architecture(**about["architecture"])
            switches = architecture.six_numbers, architecture.six_number_pose
            if type(architecture.width) is not int or any(type(s) is not bool for s in switches):
                raise TypeError("architecture")
            if type(side) is not int or not 0 < side <= LARGEST_SIDE or not isinstance(facts, dict):
                raise TypeError("side or facts")
            if not isinstance(body, str):
                raise TypeError("body")
        except (KeyError, TypeError, UserError) as error:
            raise UserError(f"{path}: what it says of the regressor is damaged") from error
        with torch.device("meta"):
            network = Network(architecture)
        load_module(network, tensors, "", path, assign=True)
        return cls(network, side, facts, body)
