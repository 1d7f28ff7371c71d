"""Fits as labels: which of two is kept, and how far each is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.errors import UserError

SMALLEST_DOUBT = 1e-12
"""Of a median, against a division by zero where all fits are perfect."""

READ = {"deviation": ("deviation",), "loss": ("loss",), "both": ("deviation", "loss"), "none": ()}
"""By the name of a confidence: what it reads of the fits."""


@dataclass(frozen=True)
class LabelConfig:
    """Which fits are labels.

    Attributes:
        keep_best: Whether a person's new fit becomes the label only if its loss is lower than that
            of the label before.
        confidence: What a fit's weight as a label follows from. `deviation`: of its joints, the
            best choice for fits of the preset `accurate`. `loss`: the best one for those of
            `paper`, whose deviations say nothing of their errors. `both`: the lower of the two
            weights. `none`: all labels weigh 1.
        doubtful: Medians of the deviations, or of the losses, from which on a fit is no label.
    """

    keep_best: bool = True
    confidence: Literal["deviation", "loss", "both", "none"] = "deviation"
    doubtful: float = 3.0

    def __post_init__(self) -> None:
        if self.confidence not in READ:
            raise UserError(f"confidence '{self.confidence}': choose one of {', '.join(READ)}")
        if not self.doubtful > 1:
            raise UserError(f"option doubtful is {self.doubtful}; it must be above 1")


def kept(before: Fits, new: Fits) -> tuple[Fits, np.ndarray]:
    """The better label of each person.

    Args:
        before: Fits with losses.
        new: Fits of the same people by the same objective, in the same order.

    Returns:
        The new fits where their loss is lower, else those before; and (N,) bool: where it is lower.
    """
    assert before.loss is not None and new.loss is not None
    better = new.loss < before.loss
    chosen = np.where(better, len(before), 0) + np.arange(len(before))
    return Fits.concatenate([before, new]).select(chosen), better


def confidence_of(fits: Fits, config: LabelConfig | None = None) -> np.ndarray:
    """(N,) float32 weights of fits as labels.

    1 up to the median of all fits; above, the squared ratio of the median to a fit's own; 0 for a
    doubtful fit, and for a mirrored body. Without deviations, losses are read; without both, fits
    weigh 1.

    Args:
        fits: N fits, whose doubts are compared with each other.
        config: What doubts are.
    """
    config = config or LabelConfig()
    weight = np.where(fits.mirrored, 0.0, 1.0)
    for name in READ[config.confidence]:
        doubt, deviation = fits.loss, fits.joint_deviation
        if name == "deviation" and deviation is not None:
            doubt = np.sqrt(np.square(deviation).mean((1, 2)))
        if doubt is not None and len(fits):
            ratio = doubt / max(float(np.median(doubt)), SMALLEST_DOUBT)
            trust = np.minimum(1, 1 / np.maximum(ratio, 1) ** 2)
            weight = np.minimum(weight, np.where(ratio < config.doubtful, trust, 0))
    return weight.astype(np.float32)
