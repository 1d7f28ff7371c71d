"""Bodies from pictures: the network, what it learns from, and how.

`Regressor` sees bodies in pictures. `Lessons` are what it learns from, by `train_regressor`.
`deform_and_learn` alternates registration, which makes its labels, and learning.
"""

from bodyreg.regression.alternation import AlternationConfig, deform_and_learn
from bodyreg.regression.augmentation import AugmentationConfig
from bodyreg.regression.export import export_onnx
from bodyreg.regression.labels import LabelConfig, confidence_of
from bodyreg.regression.learning import LearningConfig, train_regressor
from bodyreg.regression.lessons import Album, Lessons, crops_of
from bodyreg.regression.losses import LossConfig
from bodyreg.regression.network import Architecture
from bodyreg.regression.regressor import Regressor

__all__ = [
    "Album",
    "AlternationConfig",
    "Architecture",
    "AugmentationConfig",
    "LabelConfig",
    "LearningConfig",
    "Lessons",
    "LossConfig",
    "Regressor",
    "confidence_of",
    "crops_of",
    "deform_and_learn",
    "export_onnx",
    "train_regressor",
]
