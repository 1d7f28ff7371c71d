"""The options that name the body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bodyreg.runs.record import BodyFiles


class HasBody(Protocol):
    """Options with --body, --uv and --landmarks."""

    body: Path | None
    uv: Path | None
    landmarks: Path | None


def body_files(options: HasBody) -> BodyFiles:
    """The files of the body that options name."""
    from bodyreg.runs.record import BodyFiles

    return BodyFiles(options.body, options.uv, options.landmarks)
