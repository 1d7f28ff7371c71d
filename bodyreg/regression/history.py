"""What a run of deform-and-learn keeps on disk: which stages are finished, and what they found."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import atomic_path, is_file
from bodyreg.training.processes import from_first, is_first, together

NAME = "history.json"


class History:
    """The stages of a run. A stage is finished once its entry is written; others begin anew.

    Attributes:
        folder: The run's folder, with history.json and a folder for each round.

    Args:
        folder: The run's folder.
        made_of: What the run's results depend on, as plain values for JSON.

    Raises:
        UserError: the folder holds a run that was made of something else.
    """

    def __init__(self, folder: Path, made_of: Mapping[str, Any]) -> None:
        self.folder = folder
        self._content: dict[str, Any] = {
            "made_of": json.loads(json.dumps(made_of)),
            "rounds": [],
        }
        path = folder / NAME
        with together():  # none goes on, and writes, before all have read
            known = is_file(path)
            if known:
                self._load(path)
        if not from_first(known):
            self._save()

    def round(self, number: int) -> Round:
        """What is known of a round, from 1 on."""
        rounds: list[dict[str, Any]] = self._content["rounds"]
        if len(rounds) < number:
            rounds.append({"round": number})
        return Round(self, rounds[number - 1], self.folder / f"round{number}")

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """What is known of all rounds."""
        return self._content["rounds"]

    def _load(self, path: Path) -> None:
        content = load_json(path)
        known = isinstance(content, dict) and isinstance(content.get("made_of"), dict)
        rounds = content.get("rounds") if known else None
        if not isinstance(rounds, list) or not all(
            isinstance(r, dict) and r.get("round") == n for n, r in enumerate(rounds, 1)
        ):
            raise UserError(f"{path}: no history of a run, or damaged; choose another folder")
        ours, theirs = self._content["made_of"], content["made_of"]
        other = [n for n in {**ours, **theirs} if n not in ours or theirs.get(n) != ours[n]]
        if other:
            raise UserError(
                f"{self.folder}: holds a run with other {', '.join(other)}; give the same options, "
                "or another folder"
            )
        self._content = content

    def _save(self) -> None:
        with together():
            if is_first():
                with atomic_path(self.folder / NAME) as temporary:
                    temporary.write_text(json.dumps(self._content, indent=1), encoding="utf-8")


class Round:
    """A round of a run.

    Attributes:
        number: From 1.
        folder: Has the round's files.
        entries: What its finished stages found; plain values.
    """

    def __init__(self, history: History, entries: dict[str, Any], folder: Path) -> None:
        self.number: int = entries["round"]
        self._history, self.entries, self.folder = history, entries, folder

    def finished(self, stage: str) -> bool:
        """Whether a stage is finished."""
        return stage in self.entries

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """A section that is a stage. It fills its entry, which is written at the end.

        The entry gets the seconds, and the CPU-seconds of this process, since the stage began. If
        the run was killed, they count from where it went on.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        entry: dict[str, Any] = {}
        yield entry
        entry["seconds"] = round(time.perf_counter() - wall, 3)
        entry["cpu_seconds"] = round(time.process_time() - cpu, 3)
        self.entries[name] = entry
        self._history._save()

    def share(self, stage: str) -> float:
        """The share of a stage in the seconds of all finished stages of the round."""
        entries = {n: e for n, e in self.entries.items() if isinstance(e, dict) and "seconds" in e}
        total = sum(entry["seconds"] for entry in entries.values())
        return entries[stage]["seconds"] / total if total and stage in entries else 0.0


def flat(name: str, value: Any) -> dict[str, Any]:
    """A configuration as plain values: "learning.epochs" -> 30."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, dict):
        return {name: value if isinstance(value, int | float | bool | None) else str(value)}
    found: dict[str, Any] = {}
    for part, inner in value.items():
        found |= flat(f"{name}.{part}" if name else part, inner)
    return found
