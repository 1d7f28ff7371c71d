"""Where a picture of a person is in another picture of the same person.

`between` gives flow and visibility by bodies fitted to both; `data.corr` keeps them in files. A
`FlowRegressor` tells them by joints alone, or corrects what fits tell; `Lessons` are what it learns
from, by `train_flow`.
"""

from bodyreg.flow.augmentation import FlowAugmentation
from bodyreg.flow.bodies import between, extended
from bodyreg.flow.learning import FlowLearningConfig, train_flow
from bodyreg.flow.lessons import Lessons, body_joints
from bodyreg.flow.losses import FlowLossConfig
from bodyreg.flow.network import FlowArchitecture
from bodyreg.flow.regressor import FlowRegressor

__all__ = [
    "FlowArchitecture",
    "FlowAugmentation",
    "FlowLearningConfig",
    "FlowLossConfig",
    "FlowRegressor",
    "Lessons",
    "between",
    "body_joints",
    "extended",
    "train_flow",
]
