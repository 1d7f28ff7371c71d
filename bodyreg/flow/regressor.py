"""Flow regressors: flow networks, in memory and in files, and their errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bodyreg.data.skeletons import COCO_18
from bodyreg.flow.bodies import extended
from bodyreg.flow.lessons import Lessons, inside
from bodyreg.flow.losses import end_point_error
from bodyreg.flow.network import FlowArchitecture, FlowNetwork, Guess, on_person
from bodyreg.ops import Flow
from bodyreg.reference.flow import BACKGROUND
from bodyreg.training.checkpoints import load_network, rebuilt, save_network
from bodyreg.training.loops import seeded

FORMAT = "bodyreg-flow-regressor-1"

AT_ONCE = 16
"""Pairs seen in one step."""


@dataclass(eq=False)
class FlowRegressor:
    """Tells flow and visibility of pairs of pictures by the joints in them.

    Attributes:
        network: The network.
        facts: What made it; plain values.
    """

    network: FlowNetwork
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, architecture: FlowArchitecture, seed: int = 0) -> FlowRegressor:
        """One that has not learnt yet."""
        with seeded(seed):
            return cls(FlowNetwork(architecture))

    @property
    def architecture(self) -> FlowArchitecture:
        """What its network is like."""
        return self.network.architecture

    def between(
        self,
        source: np.ndarray,
        target: np.ndarray,
        size: tuple[int, int],
        fitted: Flow | None = None,
    ) -> Flow:
        """Flow and visibility of pairs, like those of fitted bodies by `flow.between`.

        Args:
            source, target: (N, 18, 2) joints of COCO-18, picture pixels; NaN = absent.
            size: Height and width of the pictures, of the shape of those that it has learnt from.
            fitted: Of a network that corrects: what fitted bodies say, in pictures of this size.

        Raises:
            ValueError: joints, size or `fitted` have another shape, or `fitted` is missing.
        """
        how = self.architecture
        expected = (len(target), len(COCO_18), 2)
        for name, some in (("source", source), ("target", target)):
            if some.shape != expected:
                raise ValueError(f"{name}: expected shape {expected}, got {some.shape}")
        if size[0] * how.width != size[1] * how.height:
            raise ValueError(f"size: expected the shape of {how.size}, got {size}")
        factor = size[0] / how.height
        joints = torch.from_numpy(inside(np.stack([source, target], 1) / factor, how.size))
        given: tuple[Tensor, ...] = ()
        if how.corrects:
            if fitted is None or fitted.visibility.shape != (len(target), *size):
                raise ValueError(f"fitted: expected flow of {len(target)} pairs of {size}")
            full = extended(fitted)
            flow = _resized(full.flow.permute(0, 3, 1, 2), how.size, "area") / factor
            kinds = _resized(full.visibility[:, None].float(), how.size, "nearest-exact")
            given = flow, kinds[:, 0].to(torch.uint8)
        found = []
        for few in torch.arange(len(target)).split(AT_ONCE):
            guess = self.guess(joints[few], *(x[few] for x in given))
            flow = factor * _resized(guess.flow, size, "bilinear")
            kinds = _resized(guess.logits, size, "bilinear").argmax(1).to(torch.uint8)
            found.append((on_person(flow, kinds).permute(0, 2, 3, 1).contiguous(), kinds))
        if not found:
            return Flow(torch.zeros(0, *size, 2), torch.zeros(0, *size, dtype=torch.uint8))
        return Flow(*(torch.cat(column) for column in zip(*found, strict=True)))

    def errors(self, lessons: Lessons) -> dict[str, float]:
        """Mean errors of pairs in pictures of the network's size.

        Returns:
            By name: `epe`, the distance from the right flow over the pixels that show the person,
            pixels; `visibility`, the share of these pixels whose kind is the right one. If the
            lessons have fits, also `epe of fits` and `visibility of fits`.
        """
        sums: dict[str, float] = {}
        for some in torch.arange(len(lessons)).split(AT_ONCE):
            lesson = lessons.lesson(some)
            given = lesson.given if self.architecture.corrects else ()
            guess = self.guess(lesson.joints, *given)
            found: dict[str, tuple[Tensor, ...]] = {"": (guess.flow, guess.visibility)}
            if lesson.given:
                found[" of fits"] = lesson.given
            body = lesson.visibility < BACKGROUND
            pixels = body.sum((1, 2)).clamp(min=1)
            for name, (flow, kinds) in found.items():
                right = ((kinds == lesson.visibility) & body).sum((1, 2)) / pixels
                errors = end_point_error(flow, lesson.flow, lesson.visibility)
                for kind, values in (("epe", errors), ("visibility", right)):
                    sums[kind + name] = sums.get(kind + name, 0.0) + float(values.sum())
        return {name: total / len(lessons) for name, total in sums.items()}

    def save(self, path: str | os.PathLike, **facts: Any) -> None:
        """Write a bodyreg-flow-regressor-1 file (safetensors); `facts` say what made it."""
        about = {"architecture": asdict(self.architecture)}
        save_network(path, FORMAT, self.network, about, {**self.facts, **facts})

    @classmethod
    def load(cls, path: str | os.PathLike) -> FlowRegressor:
        """Read a bodyreg-flow-regressor-1 file.

        Raises:
            UserError: the file is missing, damaged, or no flow regressor.
        """
        network, _, facts = load_network(path, FORMAT, "flow regressor", _architecture, FlowNetwork)
        return cls(network, facts)

    def guess(self, joints: Tensor, *given: Tensor) -> Guess:
        """What the network says of pairs in pictures of its size; arguments as of the network.

        On the CPU, without the pyramid and without gradients.
        """
        device = next(self.network.parameters()).device
        with torch.no_grad():
            found = self.network.eval()(*(x.to(device) for x in (joints, *given)))
        return Guess([], found.flow.cpu(), found.logits.cpu())


def _architecture(about: dict[str, Any]) -> FlowArchitecture:
    """What a file says that the network is like."""
    return rebuilt(FlowArchitecture(), about["architecture"])


def _resized(pictures: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Pictures (B, C, H, W) of another size."""
    if pictures.shape[2:] == size:
        return pictures
    corners = {"align_corners": False} if mode == "bilinear" else {}
    return nn.functional.interpolate(pictures, size, mode=mode, **corners)
