"""Registration: fitting the body to what pictures show of people."""

from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.fits import Fits, FitsById
from bodyreg.registration.register import register

__all__ = ["Fits", "FitsById", "RegistrationConfig", "register"]
