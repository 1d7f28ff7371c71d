"""What is behind people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bodyreg.synthetic.scenes import Scene


def paint_background(
    random: np.random.Generator, scene: Scene, outdoors: bool, backgrounds: Sequence[Path] | None
) -> np.ndarray:
    """(H, W, 3) float32 in [0, 255] blue, green, red: a plain wall for now."""
    return np.full((scene.height, scene.width, 3), random.uniform(110, 190, 3), np.float32)
