"""Painters: networks that paint people in another pose, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.painting.generator import Generator, GeneratorConfig, PlainGenerator
from bodyreg.painting.lessons import Lesson, PaintingLessons, pictures_of
from bodyreg.painting.pixel_warper import PixelWarper
from bodyreg.painting.refiner import Refiner, RefinerConfig
from bodyreg.painting.unet import UnetConfig
from bodyreg.reference.flow import BACKGROUND, VISIBLE
from bodyreg.training.checkpoints import load_network, rebuilt, save_network
from bodyreg.training.loops import seeded

FORMAT = "bodyreg-painter-1"

AT_ONCE = 8
"""Pairs painted in one step."""

LARGEST_SIDE = 4096
"""Of its pictures, in pixels."""

Kind = Literal["plain", "generator", "pixel_warper", "refiner"]


@dataclass(frozen=True)
class PainterArchitecture:
    """What a painter is like. The defaults are the paper's for DeepFashion.

    Attributes:
        kind: `plain`: one encoder, no flow. `generator`: the paper's. `pixel_warper`: on top of a
            generator, which does not learn any more. `refiner`: of paintings that need no training.
        height, width: Of its pictures, pixels.
        radius: Of the discs that show joints, pixels.
        network: The generator; the other networks have its size.
        reach: Of a refiner, see `RefinerConfig`.
    """

    kind: Kind = "generator"
    height: int = 256
    width: int = 256
    radius: float = 8.0
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    reach: int = 16

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(f"painter '{self.kind}': choose one of {', '.join(get_args(Kind))}")
        least = max(32, 2 << self.network.levels)  # statistics need more than one pixel
        for name in ("height", "width"):
            if not least <= getattr(self, name) <= LARGEST_SIDE:
                raise UserError(
                    f"{name} {getattr(self, name)}: give {least} to {LARGEST_SIDE:,} pixels, or "
                    "fewer levels"
                )
        if not 0 < self.radius <= LARGEST_SIDE:
            raise UserError(f"radius {self.radius}: give pixels, more than 0")


class PaintingNetwork(nn.Module):
    """The networks of a painter.

    Args:
        architecture: What they are like.
    """

    def __init__(self, architecture: PainterArchitecture) -> None:
        super().__init__()
        self.architecture, config = architecture, architecture.network
        if architecture.kind == "plain":
            self.plain = PlainGenerator(config)
        if architecture.kind in ("generator", "pixel_warper"):
            self.generator = Generator(config)
        if architecture.kind == "pixel_warper":
            self.warper = PixelWarper(config)
            self.generator.requires_grad_(False)
        if architecture.kind == "refiner":
            size = {f.name: getattr(config, f.name) for f in fields(UnetConfig)}
            self.refiner = Refiner(RefinerConfig(**size, reach=architecture.reach))

    def train(self, mode: bool = True) -> PaintingNetwork:
        """As of torch; a generator below a pixel warper does not learn."""
        super().train(mode)
        if self.architecture.kind == "pixel_warper":
            self.generator.eval()
        return self

    def forward(self, lesson: Lesson) -> Tensor:
        """(B, 3, H, W) from -1 to 1, the targets as it paints them; these are not read.

        Raises:
            ValueError: a refiner gets no paintings.
        """
        if self.architecture.kind == "plain":
            return self.plain(lesson.source, lesson.pose)
        if self.architecture.kind == "refiner":
            if lesson.painting is None or lesson.provenance is None:
                raise ValueError("lesson: expected paintings, which a refiner refines")
            return self.refiner(lesson.painting, lesson.provenance, lesson.pose)[0]
        painted = self.generator(lesson.source, lesson.pose, lesson.flow, lesson.visibility)
        if self.architecture.kind == "generator":
            return painted
        return self.warper(painted, lesson.source, lesson.flow, lesson.visibility)[0]


@dataclass(eq=False)
class Painter:
    """Paints people in another pose.

    Attributes:
        network: Its networks.
        facts: What made it; plain values.
    """

    network: PaintingNetwork
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls, architecture: PainterArchitecture, seed: int = 0, generator: Painter | None = None
    ) -> Painter:
        """One that has not learnt yet.

        Args:
            architecture: What it is like.
            seed: Of its weights.
            generator: Has the generator for a pixel warper.

        Raises:
            UserError: a pixel warper gets no generator, or one of another architecture or other
                pictures.
        """
        with seeded(seed):
            painter = cls(PaintingNetwork(architecture))
        if (generator is not None) != (architecture.kind == "pixel_warper"):
            raise UserError("a pixel warper needs a generator that has learnt; others need none")
        if generator is not None:
            about = generator.architecture
            if about != replace(architecture, kind="generator", reach=about.reach):
                raise UserError("the pixel warper's generator is of another kind, size or radius")
            painter.network.generator.load_state_dict(generator.network.generator.state_dict())
        return painter

    @property
    def architecture(self) -> PainterArchitecture:
        """What its networks are like."""
        return self.network.architecture

    def paint(self, lessons: PaintingLessons) -> Tensor:
        """(P, 3, H, W) uint8 red, green, blue: the targets of pairs, which are not read."""
        shape = (0, *lessons.pictures.shape[1:])
        found = [lessons.pictures.new_empty(shape)]
        device = next(self.network.parameters()).device
        learning = self.network.training
        self.network.eval()
        with torch.no_grad():
            for some in torch.arange(len(lessons)).split(AT_ONCE):
                painted = self.network(lessons.lesson(some).to(device))
                found.append(pictures_of(painted.cpu()))
        self.network.train(learning)
        return torch.cat(found)

    def errors(self, lessons: PaintingLessons) -> dict[str, float]:
        """Mean absolute differences of colours, from 0 to 1, on the body.

        Returns:
            By name: `person`, `visible` and `hidden`, means over the pixels of all pairs; of what
            the paintings differ by, if there are any, `person of paintings` and so on.
        """
        painted = {"": self.paint(lessons)}
        if lessons.paintings is not None:
            painted[" of paintings"] = lessons.paintings
        sums: dict[str, float] = {}
        pixels: dict[str, int] = {}
        for some in torch.arange(len(lessons)).split(AT_ONCE):
            target = lessons.pictures[torch.from_numpy(lessons.pairs.pairs[some.numpy(), 1])]
            kinds = lessons.lesson(some).visibility
            person, seen = kinds < BACKGROUND, kinds == VISIBLE
            regions = {"person": person, "visible": seen, "hidden": person & ~seen}
            for suffix, pictures in painted.items():
                differences = (pictures[some].float() - target.float()).abs().mean(1) / 255
                for region, where in regions.items():
                    name = region + suffix
                    sums[name] = sums.get(name, 0.0) + float(differences[where].double().sum())
                    pixels[name] = pixels.get(name, 0) + int(where.sum())
        return {name: total / max(1, pixels[name]) for name, total in sums.items()}

    def save(self, path: str | os.PathLike, **facts: Any) -> None:
        """Write a bodyreg-painter-1 file (safetensors); `facts` say what made it."""
        about = {"architecture": asdict(self.architecture)}
        save_network(path, FORMAT, self.network, about, {**self.facts, **facts})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Painter:
        """Read a bodyreg-painter-1 file.

        Raises:
            UserError: the file is missing, damaged, or no painter.
        """
        network, _, facts = load_network(path, FORMAT, "painter", _architecture, PaintingNetwork)
        return cls(network, facts)


def _architecture(about: dict[str, Any]) -> PainterArchitecture:
    """What a file says that the networks are like."""
    return rebuilt(PainterArchitecture(), about["architecture"])
