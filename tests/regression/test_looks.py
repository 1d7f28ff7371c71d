"""Looks: colours, blur, and rectangles that hide."""

from __future__ import annotations

from dataclasses import replace

import torch

from bodyreg.regression.augmentation import AugmentationConfig
from bodyreg.training.loops import generator

from .test_views import NOTHING


def pictures(count: int, brightest: float = 1.0) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=generator(0)) * brightest


def test_colours_have_other_strengths():
    plain = pictures(300, 0.7)
    ratio = replace(NOTHING, colour=0.4).looks(300, generator(1)).show(plain) / plain
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert 0.6 <= ratio.min() < 0.65 and 1.35 < ratio.max() <= 1.4001


def test_blurred_pictures_are_soft_and_as_bright():
    plain = pictures(300)
    blurred = replace(NOTHING, blur=1.0).looks(300, generator(2)).show(plain)
    rough, soft = (p.diff(dim=3).square().mean((1, 2, 3)) for p in (plain, blurred))
    assert (soft < rough).all() and (soft < 0.2 * rough).any()
    torch.testing.assert_close(blurred.mean(), plain.mean(), atol=1e-3, rtol=0)
    some = replace(NOTHING, blur=0.3).looks(300, generator(3)).show(plain)
    assert 0.6 < (some == plain).all(3).all(2).all(1).float().mean() < 0.8


def test_rectangles_hide_what_is_there():
    plain = pictures(300)
    shown = replace(NOTHING, occlusion=0.5, largest=0.5).looks(300, generator(4)).show(plain)
    changed = (shown != plain).all(1)
    areas = changed.float().mean((1, 2))
    assert 0.35 < (areas > 0).float().mean() <= 0.55 and 0.15 < areas.max() <= (17 / 32) ** 2
    for one, picture in zip(changed[areas > 0], shown[areas > 0], strict=True):
        rows, columns = one.any(1), one.any(0)
        assert torch.equal(one, rows[:, None] & columns)
        assert (picture[:, one] == picture[:, one][:, :1]).all()  # in one colour


def test_looks_stay_pictures_and_follow_their_seed():
    plain, config = pictures(20), AugmentationConfig()
    looks = config.looks(20, generator(5))
    one, same, other = (config.looks(20, generator(seed)).show(plain) for seed in (5, 5, 6))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 1
    assert torch.equal(looks.select(slice(3, 8)).show(plain[3:8]), one[3:8])
    assert replace(NOTHING, colour=3.0).looks(20, generator(5)).show(plain).min() == 0
