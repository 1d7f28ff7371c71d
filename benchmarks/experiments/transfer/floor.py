"""What is known without training: flow by bodies and simpler ways, paintings, flat silhouettes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.experiments.clock import Clock
from benchmarks.experiments.transfer import flows, painters
from benchmarks.experiments.transfer.results import SECONDS, Result, keep, kept
from benchmarks.experiments.transfer.rows import Size
from bodyreg.npz import save_npz

FLOOR = "floor"
"""The task, and its folder."""


def run(size: Size, folder: Path) -> None:
    """Measure it; what is there is not repeated."""
    own = folder / FLOOR
    if kept(own) is not None:
        return
    own.mkdir(parents=True, exist_ok=True)
    clock = Clock(own / SECONDS)
    errors = {
        f"{way}.{name}": e
        for way, found in flows.untrained(size, folder).items()
        for name, e in found.items()
    }
    for what, found in painters.untrained(size, folder).items():
        save_npz(own / f"{what}.npz", **found)
        errors |= {f"{what}.{name}": float(np.nanmean(values)) for name, values in found.items()}
    keep(own, Result(clock(), 0, errors))
