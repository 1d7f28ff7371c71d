"""What a task keeps in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bodyreg.files import atomic_path

RESULT, STATE, SECONDS = "result.json", "state.safetensors", "seconds.json"
"""Names of files: what is finished, the training's state, its CPU-seconds."""

EVERY = 200
"""Steps between two states that are kept."""


@dataclass(frozen=True)
class Result:
    """What a row has given.

    Attributes:
        seconds: CPU-seconds, everything together.
        steps: Of the training.
        errors: Means by name.
    """

    seconds: float
    steps: int
    errors: dict[str, float]


def keep(folder: Path, result: Result) -> None:
    """Write a result; the row is finished."""
    with atomic_path(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1))


def kept(folder: Path) -> Result | None:
    """The result of a row; None if it is not finished."""
    path = folder / RESULT
    return Result(**json.loads(path.read_text())) if path.exists() else None
