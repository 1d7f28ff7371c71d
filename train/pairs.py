"""What recipes share that learn from pairs of pictures: fits, and the pairs that have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bodyreg import Body, Fits, UserError, register
from bodyreg.data.deepfashion import PosePairs


def fits_of(data: PosePairs, path: Path | None, body: Body, device: torch.device) -> Fits:
    """The people's fits, by their places in the data set; those without joints have none.

    Args:
        data: The people.
        path: Their fits; if left out, they are registered.
        body: The body to fit.
        device: Where to register.
    """
    if path is not None:
        return Fits.load(path)
    return register(body, data.observations()[0], device=device)


def pairs_of(data: PosePairs, split: str, known: np.ndarray) -> np.ndarray:
    """(P, 2) places of a split's pairs whose bodies are known in both pictures.

    Args:
        data: The pairs.
        split: The name of the split.
        known: (N,) places of the pictures whose bodies are known.

    Raises:
        UserError: there is no such split, or no such pair.
    """
    if split not in data.pairs:
        names = ", ".join(data.pairs)
        raise UserError(f"--split {split}: no such pairs; choose one of {names}")
    pairs = data.pairs[split].reshape(-1, 2)
    pairs = pairs[np.isin(pairs, known).all(1)]
    if not len(pairs):
        raise UserError(f"{data.folder}: no pair of {split} has bodies in both pictures")
    return pairs
