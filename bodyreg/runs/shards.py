"""The shards of a run: files of finished work, so that a kill loses one of them at most."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import atomic_path, entries, is_there, writing
from bodyreg.npz import NpzReader

RUN = "run"
"""The array of a shard that names its run."""


class Shards:
    """The finished shards of a run, one .npz file each, in a folder with a label.

    The label, run.json, holds everything that the shards depend on. Each shard names its run too. A
    shard is written whole or not at all, so one that is there is finished. Nothing is written
    before the first shard.

    Hold `lock.working_in` the output folder while shards are written.

    Attributes:
        folder: The folder of the shards.
        depends_on: What the shards depend on, as plain values for JSON.
        run: 64 hexadecimal digits that name the run; writers store them in each shard as `RUN`.

    Args:
        folder: The folder of the shards.
        depends_on: What the shards depend on, as plain values for JSON. Equal values give equal
            shards.
    """

    def __init__(self, folder: Path, depends_on: Mapping[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(depends_on, sort_keys=True)
        self.depends_on, self.run = json.loads(text), hashlib.sha256(text.encode()).hexdigest()

    def take_up(self) -> None:
        """Accept the shards that an earlier start of this run has finished.

        Raises:
            UserError: the folder holds shards of another run.
        """
        _remove(self._leaving)
        if not self.begun:
            return
        theirs = self.label()
        if theirs != self.depends_on:
            raise UserError(
                f"{self.folder}: holds the unfinished shards of another run "
                f"({difference(self.depends_on, theirs)}); finish that run with its own command, "
                "remove the folder, or choose another --out"
            )

    @property
    def begun(self) -> bool:
        """Whether the folder holds anything that is finished, of this run or of another one."""
        if not is_there(self.folder):
            return False
        # A name that begins with a dot is a file that a killed process has not finished.
        return any(not path.name.startswith(".") for path in entries(self.folder))

    def label(self) -> Any:
        """What the shards in the folder depend on, by their untrusted label; {} if unknown."""
        try:
            return load_json(self._label)
        except UserError:
            return {}

    def begin(self) -> None:
        """Label the folder, before its first shard is written."""
        if not is_there(self._label):
            with atomic_path(self._label) as temporary:
                temporary.write_text(json.dumps(self.depends_on, indent=2), encoding="utf-8")

    def is_finished(self, path: Path) -> bool:
        """Whether a shard is there. A damaged shard counts as missing, so it is made again.

        Raises:
            UserError: it is a shard of another run.
        """
        run = None
        with contextlib.suppress(UserError), NpzReader(path, kind="shard") as reader:
            run = str(reader.read(RUN)) if RUN in reader.names else ""
        if run is not None and run != self.run:
            raise UserError(
                f"{path}: is a shard of another run; remove {self.folder} and give the command "
                "again, or choose another --out"
            )
        return run is not None

    def remove(self) -> None:
        """Remove the folder, with what killed processes left in it.

        It is renamed first: a run that is killed here would otherwise find some of its shards.
        """
        if is_there(self.folder):
            with writing(self.folder):
                os.replace(self.folder, self._leaving)
        _remove(self._leaving)

    @property
    def _label(self) -> Path:
        return self.folder / "run.json"

    @property
    def _leaving(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.finished")


def missing_shard(path: Path) -> UserError:
    """What to tell a user when shards are to be joined and one is not there."""
    return UserError(f"{path}: is missing or damaged; give the same command again to finish")


def difference(ours: Mapping[str, Any], theirs: Any) -> str:
    """The names of the values in which an untrusted label differs from ours, for messages."""
    if not isinstance(theirs, dict) or not theirs:
        return "unknown"
    names = sorted({*ours, *theirs})
    other = [name for name in names if theirs.get(name) != ours.get(name)]
    return f"other {', '.join(other)}".replace("_", " ")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
