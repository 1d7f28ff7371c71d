"""What a network learns from: people's pictures, what is seen in them, and fits as labels."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import Body, Parameters
from bodyreg.data.crops import picture_crops
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration.cameras import as_fitted
from bodyreg.registration.register import matched
from bodyreg.regression.losses import confidence_of
from bodyreg.regression.outputs import labels_of
from bodyreg.regression.views import MARGIN


@dataclass(frozen=True)
class Lessons:
    """N people to learn from.

    Attributes:
        crops: (N, 3, S, S) uint8 red, green, blue, of frames whose sides are `MARGIN` times longer.
        people: What the pictures show; its cameras are those of the fits.
        labels: The people's parameters, with quaternions.
        confidence: (N,) float32 weights of the labels.
    """

    crops: Tensor
    people: Observations
    labels: Parameters
    confidence: Tensor

    @classmethod
    def of(
        cls,
        body: Body,
        folder: str | os.PathLike,
        people: Observations,
        fits: Fits,
        side: int,
        confidence: np.ndarray | None = None,
    ) -> Lessons:
        """Read the pictures of people.

        Args:
            body: The body of the fits.
            folder: Has the pictures.
            people: The people; they name their pictures.
            fits: One of each person, by ids.
            side: Of the pictures that a network sees, pixels.
            confidence: (N,) weights of the fits; those of `confidence_of` if left out.

        Raises:
            UserError: a picture is unknown or cannot be read, or a person has no fit.
        """
        fits = matched(fits, people)
        if confidence is None:
            confidence = confidence_of(fits)
        return cls(
            crops_of(folder, people, round(MARGIN * side), MARGIN),
            as_fitted(people, fits),
            labels_of(fits, body),
            torch.from_numpy(confidence),
        )

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def pictures(self) -> Tensor:
        """(N, 3, S, S) float32, the crops from 0 to 1."""
        return self.crops.float() / 255

    def to(self, device: str | torch.device) -> Lessons:
        """The same with tensors on another device."""
        return replace(
            self,
            crops=self.crops.to(device),
            labels=Parameters(*(block.to(device) for block in self.labels)),
            confidence=self.confidence.to(device),
        )

    def select(self, chosen: Tensor) -> Lessons:
        """The people at these positions (int64), in this order."""
        return Lessons(
            self.crops[chosen],
            self.people.select(chosen.numpy()),
            Parameters(*(block[chosen] for block in self.labels)),
            self.confidence[chosen],
        )


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
