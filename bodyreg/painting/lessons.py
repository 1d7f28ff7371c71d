"""What a painter learns from: pairs of pictures of a person, and the bodies in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bodyreg import flow
from bodyreg.data.fits import Fits
from bodyreg.flow.augmentation import Changes
from bodyreg.flow.maps import joint_maps
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.transfer import Appearance, Source


class Lesson(NamedTuple):
    """B pairs.

    Attributes:
        source, target: (B, 3, H, W) red, green, blue, from -1 to 1.
        pose: (B, 18, H, W) maps of the target's joints.
        flow: (B, 2, H, W) from the target to the source, pixels.
        visibility: (B, H, W) uint8, see `ops.warp`.
        painting: (B, 3, H, W) like the pictures; None = there are no paintings.
        provenance: (B, H, W) uint8, `transfer.Provenance`; likewise.
    """

    source: Tensor
    target: Tensor
    pose: Tensor
    flow: Tensor
    visibility: Tensor
    painting: Tensor | None = None
    provenance: Tensor | None = None

    def to(self, device: torch.device) -> Lesson:
        """The same on a device."""
        return Lesson._make(None if x is None else x.to(device) for x in self)


@dataclass(frozen=True, eq=False)
class PaintingLessons:
    """P pairs of N pictures to learn from.

    Attributes:
        pairs: The bodies and joints in the pictures, and which pictures are pairs.
        pictures: (N, 3, H, W) uint8 red, green, blue.
        radius: Of the discs that show joints, pixels.
        paintings: (P, 3, H, W) uint8, the targets as `transfer.Appearance` paints them; None =
            not painted.
        provenance: (P, H, W) uint8, `transfer.Provenance`; likewise.
    """

    pairs: flow.Lessons
    pictures: Tensor
    radius: float
    paintings: Tensor | None = None
    provenance: Tensor | None = None

    def __post_init__(self) -> None:
        expected = (len(self.pairs.joints), 3, *self.pairs.size)
        if self.pictures.shape != expected or self.pictures.dtype != torch.uint8:
            raise ValueError(
                f"pictures: expected uint8 of shape {expected}, got {self.pictures.dtype} of shape "
                f"{tuple(self.pictures.shape)}"
            )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def fingerprint(self) -> str:
        """A hash of all that the pairs are made of."""
        return fingerprint_of(
            (self.pairs.fingerprint, self.pictures, self.radius, self.paintings, self.provenance)
        )

    def select(self, rows: np.ndarray) -> PaintingLessons:
        """The pairs at these positions."""
        chosen = torch.from_numpy(rows)
        return replace(
            self,
            pairs=replace(self.pairs, pairs=self.pairs.pairs[rows]),
            paintings=None if self.paintings is None else self.paintings[chosen],
            provenance=None if self.provenance is None else self.provenance[chosen],
        )

    def split(self, share: float, seed: int) -> tuple[PaintingLessons, PaintingLessons]:
        """These lessons in two, before they are painted; see `flow.Lessons.split`."""
        one, other = (replace(self, pairs=pairs) for pairs in self.pairs.split(share, seed))
        return one, other

    def painted(self, foreground: np.ndarray, backdrop: int = 255) -> PaintingLessons:
        """The same lessons, with paintings that need no training.

        Args:
            foreground: (N, H, W) bool, pixels that show the person.
            backdrop: The grey level behind the painted people.
        """
        bodies = self.pairs.right
        if not isinstance(bodies, Fits):
            raise ValueError("pairs: expected fits, by which people are painted")
        height, width = self.pairs.size
        paintings = torch.empty(len(self), 3, height, width, dtype=torch.uint8)
        provenance = torch.empty(len(self), height, width, dtype=torch.uint8)
        for source, rows in _by_source(self.pairs.pairs):
            picture = np.ascontiguousarray(self.pictures[source].permute(1, 2, 0).numpy())
            seen = Source(picture, foreground[source], bodies.select([source]))
            look = Appearance(self.pairs.body, [seen])
            for row in rows:
                target = bodies.select([self.pairs.pairs[row, 1]])
                found = look.paint(target, height, width)
                colours = np.where(found.silhouette[..., None], found.picture, np.uint8(backdrop))
                paintings[row] = torch.from_numpy(colours).permute(2, 0, 1)
                provenance[row] = torch.from_numpy(found.provenance)
        return replace(self, paintings=paintings, provenance=provenance)

    def lesson(self, chosen: Tensor, mirror: Tensor | None = None) -> Lesson:
        """Some pairs.

        Args:
            chosen: (B,) int64 positions of pairs.
            mirror: (B,) bool, pairs whose pictures are mirrored; none if left out.
        """
        plain = Changes.none(len(chosen))
        mirror = plain.mirror if mirror is None else mirror
        seen = self.pairs.lesson(chosen, replace(plain, mirror=mirror))
        source, target = torch.from_numpy(self.pairs.pairs[chosen.numpy()].T)
        drawn: tuple[Tensor, ...] = ()
        if self.paintings is not None and self.provenance is not None:
            drawn = colours(self.paintings[chosen]), self.provenance[chosen]

        def turned(x: Tensor) -> Tensor:
            return torch.where(mirror.view(-1, *(1,) * (x.dim() - 1)), x.flip(-1), x)

        return Lesson(
            turned(colours(self.pictures[source])),
            turned(colours(self.pictures[target])),
            joint_maps(seen.joints[:, 1], self.pairs.size, self.radius),
            seen.flow,
            seen.visibility,
            *map(turned, drawn),
        )


def colours(pictures: Tensor) -> Tensor:
    """Pictures uint8 -> float32 from -1 to 1."""
    return pictures.float() / 127.5 - 1


def pictures_of(colours: Tensor) -> Tensor:
    """Colours from -1 to 1 -> pictures uint8."""
    return ((colours + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _by_source(pairs: np.ndarray) -> Iterator[tuple[int, list[int]]]:
    """Sources, and the positions of their pairs."""
    for source in np.unique(pairs[:, 0]).tolist():
        yield source, np.flatnonzero(pairs[:, 0] == source).tolist()
