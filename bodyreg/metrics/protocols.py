"""What papers do with pictures before they compare them: sizes, filters, padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

WHITE = 255


@dataclass(frozen=True)
class Protocol:
    """How pictures are prepared, and which SSIM the papers of this protocol report.

    Attributes:
        ssim: Their definition, a name in `bodyreg.metrics.images.SSIM`.
        what: Explanation in words.
        size: Width and height that pictures are resized to; None: they stay as they are, and
            pictures of different sizes are refused.
        crop: Columns that are kept, the middle ones; None: all.
        pad: Columns after padding, equally on both sides; None: no padding.
    """

    ssim: str
    what: str
    size: tuple[int, int] | None = None
    crop: int | None = None
    pad: int | None = None

    @property
    def filter(self) -> str:
        """The filter of resizing, in words."""
        return "bicubic with antialiasing (Pillow's)" if self.size else "none, sizes must be equal"

    @property
    def padding(self) -> str:
        """Cropping and padding, in words."""
        parts = [f"the middle {self.crop} columns"] * (self.crop is not None)
        parts += [f"padded with white to {self.pad} columns"] * (self.pad is not None)
        return ", ".join(parts) or "none"

    def prepared(self, picture: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) uint8, ready to be compared."""
        if self.size is not None and picture.shape[1::-1] != self.size:
            picture = resized(picture, self.size)
        return self._columns(picture, WHITE)

    def prepared_labels(self, labels: np.ndarray, outside: int) -> np.ndarray:
        """Labels (H, W) of a picture's pixels, of any integer type or bool.

        Args:
            labels: They are not mixed: a pixel takes the nearest label.
            outside: The label of padded columns.
        """
        if self.size is not None and labels.shape[::-1] != self.size:
            rows, columns = (
                ((np.arange(new) + 0.5) * old / new).astype(np.int64)
                for new, old in zip(self.size[::-1], labels.shape, strict=True)
            )
            labels = labels[rows[:, None], columns]
        return self._columns(labels, outside)

    def _columns(self, picture: np.ndarray, outside: int) -> np.ndarray:
        if self.crop is not None and picture.shape[1] > self.crop:
            start = (picture.shape[1] - self.crop) // 2
            picture = picture[:, start : start + self.crop]
        if self.pad is not None and picture.shape[1] < self.pad:
            missing = self.pad - picture.shape[1]
            sides = [(0, 0), (missing // 2, missing - missing // 2)] + [(0, 0)] * (picture.ndim - 2)
            picture = np.pad(picture, sides, constant_values=outside)
        return picture


PROTOCOLS: dict[str, Protocol] = {
    "intrinsic-flow": Protocol("ssim_7", "Dense Intrinsic Appearance Flow (2019)"),
    "patn": Protocol("ssim_gaussian", "Deformable GAN (2018), PATN (2019)", crop=176, pad=256),
    "gfla": Protocol("ssim_51", "GFLA (2020) and most later papers", size=(176, 256)),
}
"""Protocols by name, with their sources in `what`."""


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture resized by a bicubic filter that widens where the picture shrinks, as Pillow's.

    Args:
        picture: (H, W, C) uint8.
        size: Width and height of the result.
    """
    # Of uint8, torch computes what Pillow does, whose first direction is rounded before the second.
    planes = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    new = torch.nn.functional.interpolate(
        planes, size[::-1], mode="bicubic", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(new[0].permute(1, 2, 0).numpy())
