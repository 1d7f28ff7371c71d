"""Bodies from pictures: the network, what it learns from, and how.

`Regressor` sees bodies in pictures. `Lessons` are what it learns from, by
`train_regressor`.
"""

from bodyreg.regression.augmentation import AugmentationConfig
from bodyreg.regression.learning import LearningConfig, train_regressor
from bodyreg.regression.lessons import Lessons, crops_of
from bodyreg.regression.losses import LossConfig, confidence_of
from bodyreg.regression.network import Architecture
from bodyreg.regression.regressor import Regressor

__all__ = [
    "Architecture",
    "AugmentationConfig",
    "LearningConfig",
    "Lessons",
    "LossConfig",
    "Regressor",
    "confidence_of",
    "crops_of",
    "train_regressor",
]
