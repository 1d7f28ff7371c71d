"""Pictures as papers prepare them, against Pillow and by hand."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bodyreg.metrics.images import SSIM
from bodyreg.metrics.protocols import PROTOCOLS, resized


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("old", [(256, 256), (401, 333), (31, 77), (1, 1)])
@pytest.mark.parametrize("size", [(176, 256), (7, 90)])
def test_resizing_is_that_of_pillow(old, size):
    before = picture(*old)
    after = resized(before, size)
    expected = np.asarray(Image.fromarray(before).resize(size, Image.Resampling.BICUBIC))
    assert after.shape == expected.shape and after.dtype == np.uint8
    # The two round weights to integers differently, so each direction may end one beside; negative
    # weights let the second direction carry a 1 of the first one on as up to 1.3.
    away = np.abs(after.astype(int) - expected)
    assert away.max() <= 2 and (away > 0).mean() < 0.02 and (away > 1).mean() < 1e-3


def test_intrinsic_flow_leaves_pictures_alone():
    before = picture(19, 33)
    assert (PROTOCOLS["intrinsic-flow"].prepared(before) == before).all()


def test_patn_pads_the_middle():
    patn = PROTOCOLS["patn"]
    wide, labels = picture(24, 256), np.random.default_rng().integers(0, 3, (24, 256))
    for whole, after, outside in (
        (wide, patn.prepared(wide), 255),
        (labels, patn.prepared_labels(labels, 2), 2),
    ):
        assert after.shape == whole.shape
        assert (after[:, :40] == outside).all() and (after[:, 216:] == outside).all()
        assert (after[:, 40:216] == whole[:, 40:216]).all()
    narrow = wide[:, 40:216]
    assert (patn.prepared(narrow) == patn.prepared(wide)).all()
    odd = patn.prepared(wide[:, :175])
    assert odd.shape == wide.shape and (odd[:, 40:215] == wide[:, :175]).all()


def test_gfla_resizes_pictures_and_labels():
    gfla = dataclasses.replace(PROTOCOLS["gfla"], size=(20, 30))
    before = picture(45, 60)
    assert (gfla.prepared(before) == resized(before, (20, 30))).all()
    same = picture(30, 20)
    assert gfla.prepared(same) is same
    labels = np.random.default_rng().integers(0, 3, (45, 60))
    nearest = [
        [labels[int((r + 0.5) * 1.5), int((c + 0.5) * 3)] for c in range(20)] for r in range(30)
    ]
    assert (gfla.prepared_labels(labels, 2) == nearest).all()


def test_protocols_name_a_definition_of_ssim():
    assert {protocol.ssim for protocol in PROTOCOLS.values()} == set(SSIM)
