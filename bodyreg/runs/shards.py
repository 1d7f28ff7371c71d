"""A folder of finished shards of a run, so that a run that is killed loses no more than one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bodyreg.errors import UserError
from bodyreg.files import atomic_path


class Shards:
    """The finished shards of a run: one file each, in a folder that says which run it belongs to.

    A shard's file is written whole or not at all, so that one that is there is finished. Nothing is
    made before the first shard is written.

    Args:
        folder: Where.
        run: What the shards depend on, as plain values for JSON. Equal values, equal shards.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.folder = folder
        self._run = json.loads(json.dumps(run))

    def take_up(self) -> None:
        """Accept shards that an earlier start of this run has finished.

        Raises:
            UserError: the folder holds shards of another run.
        """
        _remove(self._leaving)
        if not self.folder.exists():
            return
        try:
            theirs = json.loads(self._label.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            theirs = {}
        # Names that begin with a dot are what killed processes have left: nothing finished.
        begun = any(not name.startswith(".") for name in os.listdir(self.folder))
        if begun and theirs != self._run:
            raise UserError(
                f"{self.folder}: holds the unfinished shards of another run "
                f"({difference(self._run, theirs)}); finish that one with its own command, remove "
                "the folder, or choose another --out"
            )

    def begin(self) -> None:
        """Say whose the folder is, before its first shard is written."""
        if not self._label.exists():
            with atomic_path(self._label) as temporary:
                temporary.write_text(json.dumps(self._run, indent=2), encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder, with what killed processes left in it.

        Under another name: a run that is killed now would otherwise find some of its shards.
        """
        if self.folder.exists():
            os.replace(self.folder, self._leaving)
        _remove(self._leaving)

    @property
    def _label(self) -> Path:
        return self.folder / "run.json"

    @property
    def _leaving(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.finished")


def difference(ours: Mapping[str, Any], theirs: Any) -> str:
    """In which words one run differs from another, which nobody vouches for."""
    if not isinstance(theirs, dict) or not theirs:
        return "unknown"
    names = sorted({*ours, *theirs})
    other = [name for name in names if theirs.get(name) != ours.get(name)]
    return f"other {', '.join(other)}".replace("_", " ")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
