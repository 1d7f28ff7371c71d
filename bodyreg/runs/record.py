"""run.json, the record of a run: what it has read, how, and what came of it.

The record describes the run, not the command that made it, so options can be renamed without
breaking old runs. Rules for its evolution:

- A new field of `Record`, of the dataclasses in it or of `RegistrationConfig` says in its metadata
  what runs did before there was such a field: `field(default=..., metadata={"before": ...})`. Older
  records then read as that value.
- A field that this version does not know is an error in what decides what is read or fitted
  (source, body, configuration ...). Elsewhere it is ignored.
- Paths inside the run's folder are relative to it, so that a run can be moved.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bodyreg.data.json_files import load_json
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import atomic_path, fingerprint, is_file
from bodyreg.runs.plain import BEFORE, from_plain, to_plain

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.registration import RegistrationConfig

FORMAT = "bodyreg-run-1"
NAME = "run.json"


@dataclass(frozen=True)
class BodyFiles:
    """The files of the body to fit; without files it is the built-in body.

    Attributes:
        path: SMPL's file or the project's.
        uv: DensePose's UV_Processed.mat, which gives the body DensePose's charts.
        landmarks: Landmarks that replace or join the body's.
        proportions: Usual proportions of the people.
    """

    path: Path | None = None
    uv: Path | None = None
    landmarks: Path | None = field(default=None, metadata={BEFORE: None})
    proportions: Path | None = field(default=None, metadata={BEFORE: None})

    def open(self) -> Body:
        """The body.

        Raises:
            UserError: as `Body.load`, `read_landmarks` and `read_proportions`.
        """
        from bodyreg.body import Body
        from bodyreg.data import read_landmarks, read_proportions

        body = Body.default() if self.path is None else Body.load(self.path)
        if self.uv is not None:
            body = body.with_uv(self.uv)
        if self.landmarks is not None:
            body = body.with_landmarks(read_landmarks(self.landmarks, body))
        if self.proportions is not None:
            body = body.with_proportions(read_proportions(self.proportions, body))
        return body

    @property
    def charts_fingerprint(self) -> str | None:
        """64 hexadecimal digits: a hash of DensePose's charts, and of the body they are on."""
        if self.uv is None:
            return None
        return fingerprint(self.uv) if self.path is None else fingerprint(self.uv, self.path)

    @property
    def landmarks_fingerprint(self) -> str | None:
        """64 hexadecimal digits: a hash of the file of landmarks."""
        return self.landmarks and fingerprint(self.landmarks)

    @property
    def proportions_fingerprint(self) -> str | None:
        """64 hexadecimal digits: a hash of the file of proportions."""
        return self.proportions and fingerprint(self.proportions)


@dataclass(frozen=True)
class File:
    """A file that a run has read.

    Attributes:
        path: The file or folder.
        fingerprint: 64 hexadecimal digits, as `files.fingerprint` gives them.
    """

    path: Path
    fingerprint: str


@dataclass(frozen=True)
class FittedBody:
    """The body that a run has fitted.

    Attributes:
        name: The body's name.
        fingerprint: 12 hexadecimal digits, as `Body.fingerprint`.
        files: Where it was read from.
        charts_fingerprint, landmarks_fingerprint, proportions_fingerprint: As those of `BodyFiles`.
    """

    name: str
    fingerprint: str
    files: BodyFiles
    charts_fingerprint: str | None = field(default=None, metadata={BEFORE: None})
    landmarks_fingerprint: str | None = field(default=None, metadata={BEFORE: None})
    proportions_fingerprint: str | None = field(default=None, metadata={BEFORE: None})


@dataclass(frozen=True)
class Record:
    """What run.json says of a run.

    Attributes:
        version, command, seed, device, torch, numpy: What made it, as `files.provenance` says.
        python, machine, threads: The interpreter, the kind of processor, torch's threads.
        source: The people.
        people_fingerprint: 64 hexadecimal digits that name the files they were read from.
        depths: Whether depths of keypoints were used.
        body: The fitted body.
        initial_fits: The fits that it started from; None for a cold start.
        regressor: The network that has seen the people; None if they were registered.
        truth: The truth of the people, where it is known.
        preset: The preset that the configuration was made from.
        people: The number of people who were fitted.
        people_of_earlier_starts: How many of them were fitted before the run was killed, and then
            started again.
        skipped: The number of people who were not fitted, by reason.
        seconds: The time of the fits, reading and writing included.
        rate: Pictures a second, of a video whose people were tracked; else None.
    """

    version: str
    command: str
    seed: int | None
    device: str
    torch: str
    numpy: str
    python: str
    machine: str
    threads: int
    source: Source
    people_fingerprint: str
    depths: bool
    body: FittedBody
    initial_fits: File | None
    truth: Path | None
    preset: Literal["accurate", "paper"]
    people: int
    people_of_earlier_starts: int
    skipped: dict[str, int]
    seconds: float
    regressor: File | None = field(default=None, metadata={BEFORE: None})
    rate: float | None = field(default=None, metadata={BEFORE: None})


def machine_facts() -> dict[str, Any]:
    """The fields of a record that describe the machine."""
    import torch

    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def write_record(
    folder: Path,
    record: Record,
    config: RegistrationConfig,
    *,
    within: Path | None = None,
    **results: Any,
) -> None:
    """Write run.json.

    Args:
        folder: The run's folder.
        record: What is read again when the run is opened.
        config: How people were registered.
        within: The folder of the temporary file, as in `files.atomic_path`.
        **results: Further facts for readers of the file, which nothing depends on.
    """
    content = {"format": FORMAT, **to_plain(record, folder), "config": to_plain(config, folder)}
    content |= to_plain(results, folder)
    with atomic_path(folder / NAME, within=within) as temporary:
        text = json.dumps(content, indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> tuple[Record, RegistrationConfig]:
    """Read the run.json of a folder, whose content is untrusted.

    Raises:
        UserError: there is none, or it is damaged, or another version wrote it.
    """
    from bodyreg.registration import RegistrationConfig

    path, content = folder / NAME, _content(folder)
    config = from_plain(RegistrationConfig, content.get("config"), f"{path}: config", folder)
    known = {field.name for field in fields(Record)}
    values = {name: value for name, value in content.items() if name in known}
    return from_plain(Record, values, str(path), folder), config


def made_of(folder: Path) -> Any:
    """What the fits of a finished run depend on, by its untrusted record; None if it does not say.

    Raises:
        UserError: there is no record, or it is damaged, or another version wrote it.
    """
    return _content(folder).get("made_of")


def _content(folder: Path) -> dict[str, Any]:
    """What the run.json of a folder holds; only its format is checked.

    Raises:
        UserError: there is none, or it is damaged, or another version wrote it.
    """
    path = folder / NAME
    if is_file(folder):
        raise UserError(f"{folder}: is a file; give the run's folder")
    if not is_file(path):
        raise UserError(f"{folder}: no run.json here; name the --out folder of a finished run")
    content = load_json(path)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        wrote = content.get("version") if isinstance(content, dict) else None
        by = f"version {wrote} of bodyreg" if isinstance(wrote, str) else "another program"
        raise UserError(f"{path}: was written by {by}, this version reads {FORMAT}; register again")
    return content
