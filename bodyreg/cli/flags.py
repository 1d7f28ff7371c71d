"""Types of options, without which tyro would describe them with more words, and their ranges."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.errors import UserError
from bodyreg.files import files_in, identities, is_folder, require_other

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


def require_output(out: Path, example: str, read: Iterable[Path | None]) -> None:
    """Refuse an --out that is no file of its kind, or that the command reads, now or the next time.

    Args:
        out: The file to write.
        example: A name for it; the file has the same suffix.
        read: The files that the command reads, and the folders whose files it reads.

    Raises:
        UserError: as said, or the operating system does not tell.
    """
    if is_folder(out):
        raise UserError(f"{out}: is a folder; --out must be a file, such as {example}")
    if out.suffix.lower() != (suffix := Path(example).suffix):
        raise UserError(f"--out {out}: the file is a {suffix}, such as {example}")
    found = identities(read)
    require_other(out, found)
    # A folder's files of another kind are not read.
    if not found.isdisjoint(identities([out.parent])) and files_in(out.parent, {suffix}):
        raise UserError(
            f"{out}: lies in a folder whose files are read, and would be one of them; choose "
            "another --out"
        )
