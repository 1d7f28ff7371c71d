""".corr files of DeepFashion and Market-1501: where every pixel of a picture is in another picture.

Little-endian: width and height (int32); then, row by row, the place x, y of every pixel in the
other picture (float32; whole numbers are centres of pixels, from 0); then what each pixel shows
(uint8). The files have no magic number and no version.

Source: "Dense Intrinsic Appearance Flow for Human Pose Transfer". Its readers smooth the kinds with
a median filter and take the grid of pixels off the places; `Correspondence.flow` does the latter.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg.errors import UserError
from bodyreg.files import atomic_path, reading, require_file

VISIBLE, HIDDEN, BACKGROUND = 0, 1, 2
BYTES_PER_PIXEL = 9


@dataclass(eq=False)
class Correspondence:
    """From a target picture of H x W pixels to a source.

    Attributes:
        place: (H, W, 2) float32 x, y in the source, pixels from the centre of its first one; 0 on
            the background.
        kind: (H, W) uint8: 0 seen in the source, 1 hidden there, 2 background.
    """

    place: np.ndarray
    kind: np.ndarray

    @classmethod
    def of_flow(cls, flow: np.ndarray, kind: np.ndarray) -> Correspondence:
        """The correspondence of a flow (H, W, 2), pixels, and of what each pixel shows (H, W)."""
        place = np.where(kind[..., None] < BACKGROUND, flow + _centres(*kind.shape), 0)
        return cls(place.astype(np.float32), kind)

    @property
    def flow(self) -> np.ndarray:
        """(H, W, 2) float32 from each pixel to its place, pixels; 0 on the background."""
        return np.where(
            self.kind[..., None] < BACKGROUND, self.place - _centres(*self.kind.shape), 0
        )


def read_corr(path: str | os.PathLike) -> Correspondence:
    """Read a .corr file.

    Raises:
        UserError: it is missing, or its size or its values are not those of such a file.
    """
    path = Path(path)
    require_file(path, ".corr")
    with reading(path), path.open("rb") as stream:
        head = stream.read(8)
        width, height = np.frombuffer(head, "<i4").tolist() if len(head) == 8 else (0, 0)
        size = path.stat().st_size
        if min(width, height) <= 0 or size != 8 + BYTES_PER_PIXEL * width * height:
            raise UserError(
                f"{path}: not a readable .corr file ({size} bytes, {width} x {height} pixels); it "
                "may be truncated or of another kind"
            )
        place = np.fromfile(stream, "<f4", 2 * height * width).astype(np.float32)
        kind = np.fromfile(stream, np.uint8, height * width)
    if kind.max() > BACKGROUND or not np.isfinite(place).all():
        raise UserError(f"{path}: not a readable .corr file (its values are out of range)")
    return Correspondence(place.reshape(height, width, 2), kind.reshape(height, width))


def write_corr(
    path: str | os.PathLike, correspondence: Correspondence, *, within: Path | None = None
) -> None:
    """Write a .corr file, atomically; `within` as of `files.atomic_path`.

    Raises:
        UserError: the file cannot be written.
    """
    height, width = correspondence.kind.shape
    if correspondence.place.shape != (height, width, 2):
        raise ValueError(
            f"place: expected ({height}, {width}, 2), got {correspondence.place.shape}"
        )
    with atomic_path(path, within=within) as temporary, temporary.open("wb") as stream:
        stream.write(np.array([width, height], "<i4").tobytes())
        stream.write(np.ascontiguousarray(correspondence.place, "<f4").tobytes())
        stream.write(np.ascontiguousarray(correspondence.kind, np.uint8).tobytes())


def _centres(height: int, width: int) -> np.ndarray:
    """(H, W, 2) float32 x, y of every pixel, from the centre of the first one."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
