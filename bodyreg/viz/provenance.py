"""Pictures of where the colours of a painting are from."""

from __future__ import annotations

import numpy as np

from bodyreg.viz.grounds import GROUND

# Blue, green, red: visible, mirrored, through, diffused, unseen, background.
KINDS = np.array(
    [(110, 170, 70), (200, 160, 60), (60, 170, 220), (150, 110, 200), (80, 90, 215), GROUND],
    np.uint8,
)


def provenance_picture(provenance: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of (H, W) `transfer.Provenance`: green, blue, yellow, violet, red."""
    return KINDS[provenance]
