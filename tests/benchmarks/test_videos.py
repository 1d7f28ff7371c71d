"""The comparison of single fits of videos with those that are fitted together."""

from __future__ import annotations

import re
import sys

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks import videos
from bodyreg.data import Fits
from bodyreg.synthetic.motions.motion import FRAME_RATE


def test_sets_are_brought_to_each_other():
    """Exactly where one is the other, moved, turned and sized; else as near as can be."""
    random = np.random.default_rng()
    two = random.normal(size=(5, 24, 3))
    turn = Rotation.random(5, random_state=random).as_matrix()
    scale, shift = random.uniform(0.5, 2, (5, 1, 1)), random.normal(size=(5, 1, 3))
    one = scale * two @ turn + shift
    np.testing.assert_allclose(videos.aligned(one, two), two, atol=1e-9)
    found = videos.aligned(one + random.normal(0, 0.3, one.shape), two)
    best = ((found - two) ** 2).sum()
    for _ in range(20):
        nudge = Rotation.from_rotvec(random.normal(0, 1e-2, 3)).as_matrix()
        other = random.normal(1, 1e-2) * found @ nudge + random.normal(0, 1e-2, 3)
        assert ((other - two) ** 2).sum() > best


def test_errors_of_fits_of_another_size(body):
    """Sizes do not count, and an even motion has no acceleration."""
    random = np.random.default_rng()
    fits = Fits(
        id=np.arange(4),
        frame=np.tile(np.float32([100, 100, 50]), (4, 1)),
        pose=np.zeros((4, 24, 3), np.float32),
        segment_scale=np.ones((4, 24), np.float32),
        rotation=np.float32(Rotation.random(4, random_state=random).as_matrix()),
        scale=np.float32(random.uniform(0.5, 1, 4)),
        translation=np.zeros((4, 2), np.float32),
    )
    joints = fits.joints(body) / fits.scale[:, None, None]
    joints = 1.3 * (joints - joints[:, :1]).astype(np.float64)
    np.testing.assert_allclose(videos.errors_of(body, fits, joints), 0, atol=2e-3)
    moved = joints + 0.1 * (np.arange(24) == 7)[:, None]
    mean, pa, jitter = videos.errors_of(body, fits, moved)
    assert mean > 100 / 24 and pa > 0
    # What moves evenly has no acceleration; the best size is another one, and that has some.
    size = (joints * moved).sum() / (joints**2).sum()
    accelerations = np.linalg.norm(np.diff(joints, 2, axis=0), axis=2) * FRAME_RATE**2
    np.testing.assert_allclose(jitter, abs(size - 1) * accelerations.mean(), rtol=1e-2, atol=1e-3)


def test_the_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["videos", "--takes", "1", "--frames", "5"])
    monkeypatch.setattr(videos, "KINDS", (("moving", 2.0),))
    videos.main()
    single, together = (
        list(map(float, re.findall(r"\d+\.\d", line)))
        for line in capsys.readouterr().out.splitlines()[-2:]
    )
    assert len(single) == len(together) == 3
    assert together[2] < single[2]
