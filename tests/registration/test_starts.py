"""Where fits begin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bodyreg.body import AXIS_ANGLE
from bodyreg.registration.starts import WARM_LENGTH, warm_starts
from tests.data.test_fits import some_fits


def test_a_turned_root_becomes_rotation(body):
    """Warm starts freeze the root at zero, so that another's turned root must move elsewhere."""
    fits = some_fits()
    turned = fits.select(slice(None))
    turned.pose = turned.pose.copy()
    turned.pose[:, 0] = np.random.default_rng(2).normal(0, 0.5, (3, 3))
    p = AXIS_ANGLE.split(warm_starts(turned, body, torch.device("cpu"), torch.float32)[:, 0])
    moved = replace(turned, **p._replace(rotation=p.rotation / WARM_LENGTH).arrays())
    assert (moved.pose[:, 0] == 0).all()
    np.testing.assert_allclose(moved.joints(body)[..., :2], turned.joints(body)[..., :2], atol=2e-6)
