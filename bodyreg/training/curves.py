"""Curves: where loops write their numbers and pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bodyreg.errors import InstallationError


class Curves(Protocol):
    """Where a loop writes its numbers."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a number of a step."""

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        """Write a picture of a step, (H, W, 3) uint8 red, green, blue if `dataformats` is HWC."""


class _NoCurves:
    def add_scalar(self, name: str, value: float, step: int) -> None:
        pass

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        pass


NO_CURVES: Curves = _NoCurves()


@dataclass(frozen=True)
class _NamedCurves:
    curves: Curves
    name: str

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.curves.add_scalar(f"{self.name}/{name}", value, step)

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        self.curves.add_image(f"{self.name}/{name}", picture, step, dataformats=dataformats)


def named(curves: Curves, name: str) -> Curves:
    """Curves whose names begin with this one, for a loop that runs several times."""
    return curves if curves is NO_CURVES else _NamedCurves(curves, name)


@contextlib.contextmanager
def curves(folder: Path | None) -> Iterator[Curves]:
    """TensorBoard's curves in this folder; None writes nothing.

    Raises:
        InstallationError: TensorBoard is not installed.
    """
    if folder is None:
        yield NO_CURVES
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InstallationError("curves need TensorBoard: pip install tensorboard") from error
    with SummaryWriter(str(folder)) as writer:
        yield writer
