"""Registration: fitting the body to what pictures show of people."""

from bodyreg.registration.calibration import Calibration, calibrate
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.objective import ExtraLoss
from bodyreg.registration.padding import Padded
from bodyreg.registration.proportions import LearnedProportions, learn_proportions
from bodyreg.registration.register import register
from bodyreg.registration.sequences import smooth

__all__ = [
    "Calibration",
    "ExtraLoss",
    "LearnedProportions",
    "Padded",
    "RegistrationConfig",
    "calibrate",
    "learn_proportions",
    "register",
    "smooth",
]
