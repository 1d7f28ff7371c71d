"""What recipes share that learn from pairs of pictures: fits, and the pairs that have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bodyreg import Body, Fits, UserError, register
from bodyreg.data.deepfashion import PosePairs
from bodyreg.flow import Lessons
from bodyreg.training.checkpoints import fingerprint_of


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


def split_facts(learnt: Lessons, held_out: Lessons) -> dict[str, str]:
    """Facts of a network: fingerprints of all pairs, and of those that were held out."""
    pairs = np.unique(np.concatenate([learnt.pairs, held_out.pairs]), axis=0)
    return {
        "all_pairs": fingerprint_of([pairs]),
        "held_out_pairs": fingerprint_of([held_out.pairs]),
    }


def require_unseen(
    path: Path, facts: Mapping[str, Any], learnt: Lessons, held_out: Lessons
) -> None:
    """Refuse a network that has learnt from pairs that are held out now.

    Networks of other pairs, and files of older versions, which have no such facts, are accepted.

    Args:
        path: The network's file.
        facts: Of the network.
        learnt, held_out: The pairs of now.

    Raises:
        UserError: it held out others of the same pairs.
    """
    ours = split_facts(learnt, held_out)
    same = facts.get("all_pairs") == ours["all_pairs"]
    if same and len(held_out) and facts.get("held_out_pairs") != ours["held_out_pairs"]:
        raise UserError(
            f"{path}: has learnt from people who are held out now; give its --seed and its "
            "--set held_out"
        )
