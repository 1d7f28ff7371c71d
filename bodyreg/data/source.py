"""Where people are, and how they are read, in plain values: what commands say and records keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodyreg.data.focal import Focal


@dataclass(frozen=True)
class Source:
    """People: where they are, and how they are read.

    Attributes:
        format: A name in `formats.FORMATS`.
        path: The file or folder.
        images: The folder of the pictures that people are in; or one of them, where people of
            others do not matter, as in the app.
        switches: The format's switches that are on.
        focal: The focal length of all pictures; None if only the files know it.
        names: Of `pictures`: those of the folder that are read; all if empty.
        points: Of formats that are `sampled`: points of each person; None: the reader's default.
        keypoints: Of formats of `points_alone`: where the people's keypoints are.
    """

    format: str
    path: Path
    images: Path | None = None
    switches: tuple[str, ...] = ()
    focal: Focal | None = field(default=None, metadata={"before": None})
    names: tuple[str, ...] = field(default=(), metadata={"before": ()})
    points: int | None = field(default=None, metadata={"before": None})
    keypoints: Source | None = field(default=None, metadata={"before": None})

    @property
    def paths(self) -> list[Path]:
        """All files and folders of people."""
        return [self.path, *(self.keypoints.paths if self.keypoints else [])]

    @property
    def sampling(self) -> dict[str, int]:
        """The reader's argument for `points`, if they are told."""
        return {} if self.points is None else {"points": self.points}
