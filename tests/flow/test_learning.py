"""The loop: it learns, its seed decides, and it goes on where it was killed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.data import Fits
from bodyreg.flow import (
    FlowArchitecture,
    FlowAugmentation,
    FlowLearningConfig,
    FlowLossConfig,
    FlowRegressor,
    Lessons,
    body_joints,
    train_flow,
)
from bodyreg.flow.lessons import Lesson
from bodyreg.training.progress import Progress

from .made import in_pictures

SIZE = (32, 32)
SMALL = FlowArchitecture("unet_v2", 2, 4, *SIZE, radius=2.0)
QUICK = FlowLearningConfig(
    epochs=2, batch=3, learning_rate=1e-3, augmentation=FlowAugmentation(across=3, down=2)
)


class KilledError(Exception):
    """Of a training."""


@pytest.fixture(scope="module")
def lessons(body):
    """Eight pairs, and fits that lie a pixel beside the right ones."""
    fits = Fits.concatenate([one.fits for one in in_pictures(8, 0)])
    beside = replace(fits, frame=fits.frame + np.float32([9, 7, 0]))
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0], [1, 0], [2, 0], [0, 3]])
    joints = body_joints(body, fits)
    return Lessons.of(body, fits, joints, pairs, (256, 256), SIZE, fitted=beside)


def weights(regressor: FlowRegressor) -> list[torch.Tensor]:
    return list(regressor.network.state_dict().values())


def same(one: FlowRegressor, other: FlowRegressor) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("kind", ["unet", "unet_v2"])
@pytest.mark.parametrize("corrects", [False, True])
def test_a_training_that_was_killed(tmp_path, monkeypatch, lessons, kind, corrects):
    start = FlowRegressor.new(replace(SMALL, kind=kind, corrects=corrects), 1)
    before, path = [tensor.clone() for tensor in weights(start)], tmp_path / "state.safetensors"
    keep, config = Progress.save, replace(QUICK, muon=20.0 if corrects else 0.0)

    def train(state=None, seed=2):
        return train_flow(start, lessons, config, seed=seed, state=state, every=1)

    def save(progress):
        keep(progress)
        if progress.step == 3:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "save", save)
        with pytest.raises(KilledError):
            train(path)
    resumed, whole = train(path), train()
    assert same(resumed, whole) and not same(whole, start)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(start), strict=True))
    files = [tmp_path / name for name in ("resumed.safetensors", "whole.safetensors")]
    for regressor, file in zip((resumed, whole), files, strict=True):
        regressor.save(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    if kind == "unet_v2":
        assert not same(train(seed=3), whole)
        with pytest.raises(UserError, match="of a run with other seed"):
            train(path, seed=3)
        other = replace(lessons, joints=lessons.joints + 1)
        with pytest.raises(UserError, match="of a run with other lessons"):
            train_flow(start, other, config, seed=2, state=path)


def test_what_is_told(lessons):
    """Numbers of each step, and of the watch at reports."""
    start, told, looked = FlowRegressor.new(SMALL, 1), {}, []

    def watch(step, regressor, curves):
        looked.append(step)
        return regressor.errors(lessons)

    taught = train_flow(start, lessons, QUICK, every=3, report=told.__setitem__, watch=watch)
    assert list(told) == looked == [3, 4]
    names = {"flow", "visibility", "parts", "epe", "visibility of fits", "epe of fits"}
    assert all(set(n) == names and np.isfinite(list(n.values())).all() for n in told.values())
    errors = taught.errors(lessons)
    assert errors["epe"] == told[4]["epe"]
    plain = train_flow(start, lessons, QUICK)
    assert same(plain, taught)  # what looks on changes nothing


def test_errors_of_fits_are_those_of_their_distance(lessons):
    """They lie (9, 7) / 8 pixels beside the person in both pictures, so the flow is right."""
    errors = FlowRegressor.new(replace(SMALL, corrects=True)).errors(lessons)
    assert errors["epe"] == errors["epe of fits"] < 2.0
    assert errors["visibility"] == errors["visibility of fits"] > 0.4


def test_the_papers_rates():
    """Of 30 epochs, counted from 1: 1 to 7, 8 to 15, 16 to 23, 24 to 30."""
    rates = [1e-4 * FlowLearningConfig().falling(epoch) for epoch in range(30)]
    assert rates == [1e-4] * 7 + [0.5e-4] * 8 + [0.25e-4] * 8 + [0.125e-4] * 7
    assert FlowLearningConfig(halved_every=0).falling(29) == 1


def test_what_cannot_be_learnt_from(monkeypatch, lessons):
    start = FlowRegressor.new(SMALL)
    with pytest.raises(UserError, match="no pair"):
        train_flow(start, replace(lessons, pairs=lessons.pairs[:0]))
    with pytest.raises(ValueError, match=r"expected pictures of \(64, 32\)"):
        train_flow(FlowRegressor.new(replace(SMALL, height=64)), lessons)
    corrects = FlowRegressor.new(replace(SMALL, corrects=True))
    with pytest.raises(ValueError, match="expected fits, whose flow the network corrects"):
        train_flow(corrects, replace(lessons, fitted=None))
    coarse = FlowLearningConfig(losses=FlowLossConfig(order="coarse"))
    six = FlowRegressor.new(replace(SMALL, levels=6, height=128, width=128))
    with pytest.raises(UserError, match="has weights of 5 levels, not 6"):
        train_flow(six, replace(lessons, size=(128, 128)), coarse)
    one_pixel = FlowRegressor.new(replace(SMALL, levels=4))
    with pytest.raises(UserError, match="a picture alone cannot teach a network whose innermost"):
        train_flow(one_pixel, lessons, replace(QUICK, batch=1))
    monkeypatch.setattr("bodyreg.training.loops.processes", lambda: (0, 4))
    with pytest.raises(UserError, match="4 processes cannot share 3 pairs of a batch"):
        train_flow(start, lessons, QUICK)
    for values in ({"epochs": 0}, {"held_out": 1.0}, {"learning_rate": -1.0}):
        with pytest.raises(UserError, match="option "):
            FlowLearningConfig(**values)


def by_heart(
    monkeypatch, start: FlowRegressor, lessons: Lessons
) -> tuple[FlowRegressor, list[dict[str, float]]]:
    """What learns the same pairs again and again, and is told; they are drawn once."""
    *drawn, given = lessons.lesson(torch.arange(len(lessons)))

    def again(self, chosen, changes=None):
        return Lesson(*(x[chosen] for x in drawn), tuple(x[chosen] for x in given))

    monkeypatch.setattr(Lessons, "lesson", again)
    losses = FlowLossConfig(full_size_weight=0.64)
    config = replace(QUICK, epochs=100, batch=8, learning_rate=3e-3, halved_every=30, losses=losses)
    told: list[dict[str, float]] = []

    def report(step, numbers):
        told.append(numbers)

    return train_flow(start, lessons, config, every=1, report=report), told


@pytest.mark.parametrize("kind", ["unet", "unet_v2"])
def test_a_network_learns(monkeypatch, lessons, kind):
    start = FlowRegressor.new(replace(SMALL, kind=kind, channels=8), 1)
    before = start.errors(lessons)
    taught, told = by_heart(monkeypatch, start, lessons)
    assert taught.errors(lessons)["epe"] < 1.0 and before["epe"] > 5.0
    assert told[-1]["visibility"] < 0.5 * told[0]["visibility"]


def test_a_correction_learns(monkeypatch, body, lessons):
    """What fits always get wrong: here the target's fits lie beside the person."""
    fits, joints, count = lessons.right, lessons.joints, len(lessons.joints)
    moved = replace(fits, frame=fits.frame + np.float32([3, 0, 0]))
    both = Lessons(
        body,
        Fits.concatenate([fits, fits]),
        np.concatenate([joints, joints]),
        np.add(lessons.pairs, [0, count]),
        SIZE,
        Fits.concatenate([fits, moved]),
    )
    start = FlowRegressor.new(replace(SMALL, corrects=True, channels=8), 1)
    before = start.errors(both)
    after = by_heart(monkeypatch, start, both)[0].errors(both)
    assert before["epe"] == before["epe of fits"] == after["epe of fits"] > 1.5
    assert after["epe"] < 0.5 * before["epe"]


def test_pictures_of_another_size(body, lessons):
    """Flow is as many times longer, and found where the person is."""
    regressor = train_flow(FlowRegressor.new(SMALL, 1), lessons, replace(QUICK, epochs=3))
    joints = lessons.joints[lessons.pairs]
    small = regressor.between(joints[:, 0], joints[:, 1], SIZE)
    large = regressor.between(4 * joints[:, 0], 4 * joints[:, 1], (128, 128))
    assert large.flow.shape == (8, 128, 128, 2) and large.visibility.shape == (8, 128, 128)
    for rows in (slice(None, None, 4), slice(1, None, 4)):
        near = large.visibility[:, rows, rows] == small.visibility
        assert near.float().mean() > 0.9
    shown = (large.visibility[:, 1::4, 1::4] < 2) & (small.visibility < 2)
    apart = (large.flow[:, 1::4, 1::4] / 4 - small.flow).norm(dim=-1)[shown]
    assert shown.any() and apart.median() < 0.2 * small.flow[shown].norm(dim=-1).median()
    assert (large.flow[large.visibility == 2] == 0).all()
    outside = joints.copy()
    outside[:, :, 0] = -0.3, 5  # a part of its disc would be inside
    absent = outside.copy()
    absent[:, :, 0] = np.nan
    expected = regressor.between(absent[:, 0], absent[:, 1], SIZE)
    assert torch.equal(regressor.between(outside[:, 0], outside[:, 1], SIZE).flow, expected.flow)
    nothing = regressor.between(joints[:0, 0], joints[:0, 1], SIZE)
    assert nothing.flow.shape == (0, 32, 32, 2)
    corrects = FlowRegressor.new(replace(SMALL, corrects=True))
    found = corrects.between(joints[:, 0], joints[:, 1], SIZE, small)
    known = small.visibility < 2
    torch.testing.assert_close(found.flow[known], small.flow[known])
    assert torch.equal(found.visibility, small.visibility)
    with pytest.raises(ValueError, match="fitted: expected flow of 8 pairs"):
        corrects.between(joints[:, 0], joints[:, 1], SIZE)
    with pytest.raises(ValueError, match="size: expected the shape of"):
        regressor.between(joints[:, 0], joints[:, 1], (32, 64))
    with pytest.raises(ValueError, match="source: expected shape"):
        regressor.between(joints[:3, 0], joints[:, 1], SIZE)
