"""Pictures as networks expect them that have learnt from ImageNet."""

from __future__ import annotations

from torch import Tensor

PICTURE_MEAN, PICTURE_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue."""


def for_imagenet(pictures: Tensor) -> Tensor:
    """Pictures as networks expect them that have learnt from ImageNet.

    Args:
        pictures: (N, 3, H, W) red, green, blue, from 0 to 1.
    """
    mean, spread = pictures.new_tensor((PICTURE_MEAN, PICTURE_SPREAD))[..., None, None]
    return (pictures - mean) / spread
