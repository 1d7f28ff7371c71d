"""What a network learns from: people's pictures, what is seen in them, and fits as labels."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import Body, Parameters
from bodyreg.data.crops import picture_crops
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import as_read
from bodyreg.errors import UserError
from bodyreg.registration.register import matched
from bodyreg.regression.labels import confidence_of
from bodyreg.regression.outputs import labels_of
from bodyreg.regression.views import MARGIN, Views

AT_ONCE = 256
"""Pictures whose middles are taken in one step."""


@dataclass(frozen=True)
class Album:
    """N people of one data set, and their pictures.

    Attributes:
        people: What the pictures show.
        crops: (N, 3, S, S) uint8 red, green, blue, of frames whose sides are `MARGIN` times longer.
        joints: (N, 25, 3) true joints, as of `metrics.true_joints`, to measure errors: nothing
            learns from them. None: not known.
    """

    people: Observations
    crops: Tensor
    joints: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        folder: str | os.PathLike,
        people: Observations,
        side: int,
        joints: np.ndarray | None = None,
    ) -> Album:
        """Read the pictures of people.

        Args:
            folder: Has the pictures.
            people: The people; they name their pictures.
            side: Of the pictures that a network sees, pixels.
            joints: See the attributes.

        Raises:
            UserError: a picture is unknown or cannot be read.
        """
        return cls(people, crops_of(folder, people, round(MARGIN * side), MARGIN), joints)

    def __len__(self) -> int:
        return len(self.crops)

    def in_frames(self, side: int) -> Tensor:
        """(N, 3, side, side) uint8, what is in the people's frames."""
        shown = [
            255 * Views.plain(len(some)).show(some.float() / 255, side)
            for some in self.crops.split(AT_ONCE)
        ]
        return torch.cat(shown).round().to(torch.uint8)


@dataclass(frozen=True)
class Lessons:
    """N people to learn from.

    Attributes:
        crops: (N, 3, S, S) uint8 red, green, blue, of frames whose sides are `MARGIN` times longer.
        people: What the pictures show, as the fits have read it: by their cameras, with exchanged
            sides, and without rejected parts.
        labels: The people's parameters, with quaternions.
        confidence: (N,) float32 weights of the labels.
        parts: How many people are of each data set; they stand one data set after the other.
        shares: Of each data set in an epoch; they sum to 1. None: the people are seen alike.
    """

    crops: Tensor
    people: Observations
    labels: Parameters
    confidence: Tensor
    parts: tuple[int, ...] = ()
    shares: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls, body: Body, album: Album, fits: Fits, confidence: np.ndarray | None = None
    ) -> Lessons:
        """Lessons of one data set.

        Args:
            body: The body of the fits.
            album: The people.
            fits: One of each person, by ids.
            confidence: (N,) weights of the fits; those of `confidence_of` if left out.

        Raises:
            UserError: a person has no fit, or the fits have shapes, which networks do not see.
        """
        if fits.shape is not None:
            raise UserError(
                "fits with shapes cannot teach a network, whose bodies have the shape of the "
                "template; register without fit_shape (--fit-shape)"
            )
        fits = matched(fits, album.people)
        if confidence is None:
            confidence = confidence_of(fits)
        read = as_read(album.people, fits, body)
        focal = np.full(len(fits), np.nan) if fits.focal is None else fits.focal
        focal = np.where(np.isnan(focal), np.inf, focal)  # without perspective, whatever is known
        return cls(
            album.crops,
            replace(read, focal=focal),
            labels_of(fits, body),
            torch.from_numpy(confidence),
            (len(album),),
        )

    @classmethod
    def mixed(cls, several: Sequence[Lessons], shares: Sequence[float] = ()) -> Lessons:
        """The lessons of several data sets together.

        Args:
            several: Of a data set each; they may have different keypoints.
            shares: Of each data set in an epoch, in any unit; by their numbers of people if empty.

        Raises:
            UserError: as `check_shares`, or a data set with a share has no person.
        """
        check_shares(shares, len(several))
        for number, (one, share) in enumerate(zip(several, shares, strict=False), 1):
            if share and not len(one):
                raise UserError(f"data set {number} has a share of {share:g}, but no person")
        if len(several) == 1:
            return several[0]
        return cls(
            torch.cat([one.crops for one in several]),
            joined([one.people for one in several]),
            Parameters(*map(torch.cat, zip(*(one.labels for one in several), strict=True))),
            torch.cat([one.confidence for one in several]),
            tuple(len(one) for one in several),
            tuple(share / sum(shares) for share in shares) if shares else None,
        )

    def __len__(self) -> int:
        return len(self.crops)

    def order(self, random: torch.Generator) -> Tensor:
        """(M,) int64, positions of the people in the order in which an epoch sees them.

        An epoch sees as many people as there are in the data sets that have a share. Of each it
        sees its share, rounded, and no person twice before it has seen all.
        """
        if self.shares is None:
            return torch.randperm(len(self), generator=random)
        total = sum(p for p, share in zip(self.parts, self.shares, strict=True) if share)
        wanted = total * np.array(self.shares)
        counts = np.floor(wanted).astype(int)  # the largest remainders have what is left
        counts[np.argsort(counts - wanted, kind="stable")[: total - counts.sum()]] += 1
        seen, first = [], 0
        for part, count in zip(self.parts, counts.tolist(), strict=True):
            if count:
                turns = [torch.randperm(part, generator=random) for _ in range(-(-count // part))]
                seen.append(first + torch.cat(turns)[:count])
            first += part
        places = torch.cat(seen)
        return places[torch.randperm(len(places), generator=random)]


def joined(several: Sequence[Observations]) -> Observations:
    """The people of several data sets, which may have different keypoints."""
    names = dict.fromkeys(name for one in several for name in one.keypoint_name)
    return Observations.concatenate([one.with_keypoints(tuple(names)) for one in several])


def check_shares(shares: Sequence[float], data_sets: int) -> None:
    """Refuse shares of data sets that no epoch can have; none at all are fine.

    Raises:
        UserError: there is not one for each data set, or they are no shares.
    """
    if not shares:
        return
    if len(shares) != data_sets:
        raise UserError(f"{len(shares)} shares of {data_sets} data sets; give one for each")
    if not (min(shares) >= 0 and 0 < sum(shares) < math.inf):
        raise UserError(f"shares {tuple(shares)}: give numbers of at least 0, one of them above 0")


def crops_of(
    folder: str | os.PathLike, people: Observations, side: int, margin: float = 1.0
) -> Tensor:
    """The pictures of people, cropped to their frames.

    Args:
        folder: Has the pictures.
        people: Their frames, and the names of their pictures.
        side: Of the crops, pixels.
        margin: Sides of the crops over those of the frames.

    Returns:
        (N, 3, side, side) uint8 red, green, blue.

    Raises:
        UserError: a picture is unknown, or cannot be read.
    """
    wider = replace(people, frame=people.frame * np.array([1, 1, margin], np.float32))
    crops = torch.empty(len(people), 3, side, side, dtype=torch.uint8)
    for place, crop in enumerate(picture_crops(folder, wider, side)):
        if crop is None:
            raise UserError(f"person {people.id[place]} names no picture; give people of pictures")
        crops[place] = torch.from_numpy(crop[..., ::-1].copy()).permute(2, 0, 1)
    return crops
