"""Fitted bodies in small pictures of noise."""

from __future__ import annotations

import numpy as np
import torch

from bodyreg import Body, Fits, flow
from bodyreg.painting import GeneratorConfig, PainterArchitecture, PaintingLessons

SIDE = 32
SMALL = GeneratorConfig(levels=3, width=4, widest=8, warped=2)


def architecture(kind: str = "generator") -> PainterArchitecture:
    return PainterArchitecture(kind, SIDE, SIDE, 2.0, SMALL, reach=2)


def fits_of(count: int, seed: int) -> Fits:
    """Bodies that stand in about the middle of a picture."""
    random = np.random.default_rng(seed)
    turn = random.uniform(-0.5, 0.5, count)
    rotation = np.tile(np.eye(3), (count, 1, 1))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(turn)
    rotation[:, 0, 2], rotation[:, 2, 0] = np.sin(turn), -np.sin(turn)
    return Fits(
        id=np.arange(count),
        frame=np.tile(np.float32([SIDE / 2, SIDE / 2, SIDE / 2]), (count, 1)),
        pose=random.normal(0, 0.2, (count, 24, 3)).astype(np.float32),
        segment_scale=np.ones((count, 24), np.float32),
        rotation=rotation.astype(np.float32),
        scale=np.full(count, 0.95, np.float32),
        translation=random.normal(0, 0.03, (count, 2)).astype(np.float32),
        loss=np.zeros(count, np.float32),
    )


def lessons_of(body: Body, count: int = 6, seed: int = 0) -> PaintingLessons:
    """Each picture with the next one, as pairs of two people."""
    fits = fits_of(count, seed)
    random = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=random, dtype=torch.uint8)
    rows = np.arange(count)
    half = count // 2
    pairs = np.stack([rows, (rows + 1) % half + rows // half * half], 1)
    joints = flow.body_joints(body, fits)
    of_pairs = flow.Lessons.of(body, fits, joints, pairs, (SIDE, SIDE), (SIDE, SIDE))
    return PaintingLessons(of_pairs, pictures, 2.0)
