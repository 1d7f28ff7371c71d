"""What a flow network learns from: pairs of pictures of a person, and the bodies in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from bodyreg.body import Body
from bodyreg.data.bodies import Bodies, in_pixels, shifted, zoomed
from bodyreg.data.fits import Fits
from bodyreg.data.skeletons import COCO_18
from bodyreg.errors import UserError
from bodyreg.flow.augmentation import Changes, mirrored_flow, mirrored_joints, mirrored_parts
from bodyreg.flow.bodies import Test, between, extended, parts
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.loops import generator


class Lesson(NamedTuple):
    """B pairs: what a network sees, and what is right.

    Attributes:
        joints: (B, 2, 18, 2) of source and target, pixels; NaN = absent.
        flow: (B, 2, H, W) pixels, the right one; 0 on the background.
        visibility: (B, H, W) uint8, likewise.
        source, target: (B, H, W) uint8, parts that both pictures show.
        given: Flow and visibility by bodies fitted to joints, likewise but `extended`; () = not
            known.
    """

    joints: Tensor
    flow: Tensor
    visibility: Tensor
    source: Tensor
    target: Tensor
    given: tuple[Tensor, ...]

    def to(self, device: torch.device) -> Lesson:
        """The same on a device."""
        return self._mapped(lambda x: x.to(device))

    def where(self, chosen: Tensor, others: Lesson) -> Lesson:
        """The pairs of `others` at chosen places (B,), and those of this one elsewhere."""

        def mixed(one: Tensor, other: Tensor) -> Tensor:
            return torch.where(chosen.view(-1, *(1,) * (one.dim() - 1)), other, one)

        return self._mapped(mixed, others)

    @property
    def mirrored(self) -> Lesson:
        """The same people in mirrored pictures."""
        return Lesson(
            mirrored_joints(self.joints, self.flow.shape[3]),
            mirrored_flow(self.flow),
            self.visibility.flip(2),
            mirrored_parts(self.source),
            mirrored_parts(self.target),
            (mirrored_flow(self.given[0]), self.given[1].flip(2)) if self.given else (),
        )

    def _mapped(self, change: Callable[..., Tensor], *others: Lesson) -> Lesson:
        """What `change` makes of each tensor of this lesson and of the others'."""
        *plain, given = zip(self, *others, strict=True)
        joints, flow, visibility, source, target = (change(*some) for some in plain)
        changed = tuple(change(*some) for some in zip(*given, strict=True))
        return Lesson(joints, flow, visibility, source, target, changed)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Pairs of N pictures to learn from.

    Attributes:
        body: The body of the fits, or the one that people were made from.
        right: N bodies in pictures of `size`, which give the right flow.
        joints: (N, 18, 2) float32 of COCO-18, which a network sees, pixels of these pictures; NaN =
            absent.
        pairs: (P, 2) int64 positions of source and target.
        size: Height and width of the pictures, pixels.
        fitted: N bodies fitted to the joints, for a network that corrects their flow.
        visible: What is visible, as of `between`.
    """

    body: Body
    right: Bodies
    joints: np.ndarray
    pairs: np.ndarray
    size: tuple[int, int]
    fitted: Fits | None = None
    visible: Test = "point"

    @classmethod
    def of(
        cls,
        body: Body,
        right: Bodies,
        joints: np.ndarray,
        pairs: np.ndarray,
        picture: tuple[int, int],
        size: tuple[int, int],
        *,
        fitted: Fits | None = None,
        visible: Test = "point",
    ) -> Lessons:
        """Lessons in pictures of another size than the people's own.

        Args:
            body: See the attributes.
            right, joints, fitted: See the attributes; in the people's pictures.
            pairs: See the attributes.
            picture: Height and width of the people's pictures, pixels.
            size: Of those that a network sees; of the same shape.
            visible: See the attributes.

        Raises:
            UserError: the two sizes are of different shapes.
        """
        factor = size[0] / picture[0]
        if size[1] * picture[0] != size[0] * picture[1]:
            raise UserError(
                f"pictures of {picture[1]} x {picture[0]} pixels cannot be taught as {size[1]} x "
                f"{size[0]}; give the network's width and height the same ratio"
            )
        return cls(
            body,
            zoomed(right, factor),
            (factor * joints).astype(np.float32),
            np.asarray(pairs, np.int64).reshape(-1, 2),
            size,
            None if fitted is None else zoomed(fitted, factor),
            visible,
        )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def fingerprint(self) -> str:
        """A hash of all that the pairs are made of."""
        people = [p for p in (self.right, self.fitted) if p is not None]
        arrays = [value for some in people for value in vars(some).values()]
        return fingerprint_of(
            (*arrays, self.joints, self.pairs, self.size, self.visible, self.body.fingerprint)
        )

    def split(self, share: float, seed: int) -> tuple[Lessons, Lessons]:
        """These lessons in two, to learn from and to hold out; no picture is in both.

        Args:
            share: Of the people to hold out, at least one. People are pictures that pairs connect.
            seed: Chooses them.

        Raises:
            UserError: the pairs show one person alone.
        """
        count = len(self.joints)
        links = (np.ones(len(self)), self.pairs.T)
        _, person = connected_components(coo_array(links, (count, count)), directed=False)
        people = np.unique(person[self.pairs[:, 0]])
        if share == 0:
            return self, replace(self, pairs=self.pairs[:0])
        held = max(1, round(share * len(people)))
        if held >= len(people):
            raise UserError(
                f"{held} of {len(people)} people cannot be held out; give pairs of more people, or "
                "--set held_out=0"
            )
        order = torch.randperm(len(people), generator=generator(seed)).numpy()
        out = np.isin(person[self.pairs[:, 0]], people[order[:held]])
        return replace(self, pairs=self.pairs[~out]), replace(self, pairs=self.pairs[out])

    def order(self, random: torch.Generator) -> Tensor:
        """(P,) int64, positions in `pairs` in the order in which an epoch sees them."""
        return torch.randperm(len(self), generator=random)

    def lesson(self, chosen: Tensor, changes: Changes | None = None) -> Lesson:
        """Some pairs.

        Args:
            chosen: (B,) int64 positions in `pairs`.
            changes: What happens to them; nothing if left out.
        """
        changes = changes or Changes.none(len(chosen))
        shift = changes.shift.numpy()
        source, target = self.pairs[chosen.numpy()].T
        right = self.right.select(source), shifted(self.right.select(target), shift)
        flow, visibility = between(self.body, *right, self.size, visible=self.visible)
        given: tuple[Tensor, ...] = ()
        if self.fitted is not None:
            bodies = self.fitted.select(source), shifted(self.fitted.select(target), shift)
            found = extended(between(self.body, *bodies, self.size, visible=self.visible))
            given = _channels_first(found.flow), found.visibility
        joints = np.stack([self.joints[source], self.joints[target] + shift[:, None]], 1)
        joints = inside(joints, self.size)
        plain = Lesson(
            torch.from_numpy(joints),
            _channels_first(flow),
            visibility,
            parts(self.body, right[0], self.size),
            parts(self.body, right[1], self.size),
            given=given,
        )
        return plain.where(changes.mirror, plain.mirrored) if changes.mirror.any() else plain


def body_joints(body: Body, fits: Fits) -> np.ndarray:
    """(N, 18, 2) float32: the joints of COCO-18 where pictures show those of fits, pixels."""
    return in_pixels(fits, fits.keypoints(body, COCO_18.keypoints))[..., :2]


def inside(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., 2) float32 joints of pictures of a height and a width; NaN where they are outside."""
    outside = ((joints < 0) | (joints > size[::-1])).any(-1, keepdims=True)
    return np.where(outside, np.nan, joints).astype(np.float32)


def _channels_first(flow: Tensor) -> Tensor:
    return flow.permute(0, 3, 1, 2).contiguous()
