"""The version of bodyreg, looked up when it is needed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from bodyreg.errors import InstallationError


def installed_version() -> str:
    """The version of the installed package.

    Raises:
        InstallationError: bodyreg is not installed.
    """
    try:
        return metadata.version("bodyreg")
    except metadata.PackageNotFoundError:
        raise InstallationError(
            f"{Path(__file__).parent}: bodyreg is not installed; run `pip install -e . "
            "--no-build-isolation` in the folder above"
        ) from None
