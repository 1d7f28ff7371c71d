"""Types of options. Without them tyro would describe each option with more words than needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

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
