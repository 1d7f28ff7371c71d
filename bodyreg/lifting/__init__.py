"""Depths of keypoints from their places in pictures, learnt without 3-D data.

`Lifter` gives observations their depths. `train_adversarial` and `train_distilled` make lifters.
"""

from bodyreg.lifting.adversarial import AdversarialConfig, train_adversarial
from bodyreg.lifting.distilled import DistilledConfig, Round, train_distilled
from bodyreg.lifting.lifter import Lifter

__all__ = [
    "AdversarialConfig",
    "DistilledConfig",
    "Lifter",
    "Round",
    "train_adversarial",
    "train_distilled",
]
