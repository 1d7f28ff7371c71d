"""Registration: fitting the body to what pictures show of people."""

from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.register import register

__all__ = ["RegistrationConfig", "register"]
