"""Types of options, without which tyro would describe them with more words, and their ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.errors import UserError

Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]
OfPreset = Annotated[
    int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the preset's)")
]
Settings = Annotated[
    tuple[str, ...] | None, tyro.conf.arg(metavar="NAME=VALUE ...", help_behavior_hint="")
]
Switch = Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help_behavior_hint="")]
Device = Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")]

MOST_PEOPLE, MOST_POINTS = 10**9, 10**6


def require(option: str, value: float, low: float, high: float) -> None:
    """Refuse a number that is not from `low` to `high`.

    Raises:
        UserError: names the option.
    """
    if not low <= value <= high:  # NaN, too
        raise UserError(f"{option} {value}: must be {low:,} to {high:,}")
