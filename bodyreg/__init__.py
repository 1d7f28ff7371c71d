"""Register articulated body models to images from dense correspondences."""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import (
        Fits,
        Observations,
        read_deepfashion,
        read_densepose_coco,
        read_market1501,
        read_mpii,
        read_openpose,
        read_spin,
        read_videopose3d,
    )
    from bodyreg.errors import UserError
    from bodyreg.registration import RegistrationConfig
    from bodyreg.registration.register import register

    __version__: str

__all__ = [
    "Body",
    "Fits",
    "Observations",
    "RegistrationConfig",
    "UserError",
    "read_deepfashion",
    "read_densepose_coco",
    "read_market1501",
    "read_mpii",
    "read_openpose",
    "read_spin",
    "read_videopose3d",
    "register",
]

# Imported on first use, so that bodyreg.ops needs torch and NumPy alone. The others are of data.
_HOMES = {
    "Body": "bodyreg.body",
    "RegistrationConfig": "bodyreg.registration",
    "UserError": "bodyreg.errors",
    "register": "bodyreg.registration",
}

if not _typing.TYPE_CHECKING:  # a type checker would let every name pass

    def __getattr__(name: str) -> _typing.Any:
        if name == "__version__":
            return _importlib.import_module("bodyreg.version").installed_version()
        if name not in __all__:
            raise AttributeError(f"module 'bodyreg' has no attribute {name!r}")
        return getattr(_importlib.import_module(_HOMES.get(name, "bodyreg.data")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
