"""Register articulated body models to images from dense correspondences."""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations, read_densepose_coco
    from bodyreg.errors import UserError
    from bodyreg.registration import RegistrationConfig, register

__version__ = _version("bodyreg")

# Imported when first used, so that bodyreg.ops needs torch and NumPy alone.
_HOMES = {
    "Body": "bodyreg.body",
    "Fits": "bodyreg.data",
    "Observations": "bodyreg.data",
    "RegistrationConfig": "bodyreg.registration",
    "UserError": "bodyreg.errors",
    "read_densepose_coco": "bodyreg.data",
    "register": "bodyreg.registration",
}

__all__ = [
    "Body",
    "Fits",
    "Observations",
    "RegistrationConfig",
    "UserError",
    "read_densepose_coco",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bodyreg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
