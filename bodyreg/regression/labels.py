"""Fits as labels: which of two is kept, and how far each is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bodyreg.data.fits import Fits
from bodyreg.errors import UserError

SMALLEST_DOUBT = 1e-12
"""Of a median, against a division by zero where all fits are perfect."""

WRONG = ("points", "keypoints", "pose", "shape", "strip", "sides", "foreign")
"""Reasons for doubt that tell of wrong evidence. The others tell of little evidence, and so do the
deviations, which give such fits less weight."""

READ = {"deviation": ("deviation",), "loss": ("loss",), "both": ("deviation", "loss"), "none": ()}
"""By the name of a confidence: what it reads of the fits."""


@dataclass(frozen=True)
class LabelConfig:
    """Which fits are labels.

    Attributes:
        keep_best: Whether a person's new fit becomes the label only if its loss is lower than that
            of the label before.
        confidence: What a fit's weight as a label follows from. `deviation`: of its joints, and
            its doubts: the best choice for fits of the preset `accurate`. `loss`: the best one for
            those of `paper`, whose deviations say nothing of their errors. `both`: the lower of the
            two weights. `none`: all labels weigh 1.
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

    1 up to the median of all fits; above, the squared ratio of the median to a fit's own; 0 from
    `config.doubtful` medians on, and for a mirrored body. With deviations, also 0 for a fit that is
    doubtful for a reason of `WRONG`. Without deviations, losses are read; without both, fits weigh
    1.

    Args:
        fits: N fits, whose deviations or losses are compared with each other.
        config: What is read of them.
    """
    config = config or LabelConfig()
    weight = np.where(fits.mirrored, 0.0, 1.0)
    for name in READ[config.confidence]:
        measure, deviation = fits.loss, fits.joint_deviation
        if name == "deviation" and deviation is not None:
            measure = np.sqrt(np.square(deviation).mean((1, 2)))
            for reason in WRONG:
                weight = np.where(fits.doubts.get(reason, 0) > 1, 0, weight)
        if measure is not None and len(fits):
            ratio = measure / max(float(np.median(measure)), SMALLEST_DOUBT)
            trust = np.minimum(1, 1 / np.maximum(ratio, 1) ** 2)
            weight = np.minimum(weight, np.where(ratio < config.doubtful, trust, 0))
    return weight.astype(np.float32)
