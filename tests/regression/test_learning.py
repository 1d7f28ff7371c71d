"""The loop: it learns, its seed decides, and it goes on where it was killed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.registration.padding import Padded
from bodyreg.regression import (
    Album,
    Architecture,
    AugmentationConfig,
    LearningConfig,
    LossConfig,
    Regressor,
    train_regressor,
)
from bodyreg.training.imagenet import for_imagenet
from bodyreg.training.loops import mixed_precision
from bodyreg.training.progress import Progress

from .people import drawn, lessons_of, standing

SIDE = 32
SMALL = Architecture("small", 8)
QUICK = LearningConfig(epochs=2, batch=4)


class KilledError(Exception):
    """Of a training."""


@pytest.fixture(scope="module")
def lessons(body):
    return lessons_of(body, standing(14, 0), SIDE)


def weights(regressor: Regressor) -> list[torch.Tensor]:
    return list(regressor.network.state_dict().values())


def same(one: Regressor, other: Regressor) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize(
    ("architecture", "batch", "saves", "muon"),
    [(SMALL, 4, 1, 0), (SMALL, 4, 2, 20), (Architecture("resnet50"), 14, 1, 0)],
)
def test_a_training_that_was_killed(
    tmp_path, monkeypatch, body, lessons, architecture, batch, saves, muon
):
    config, every = replace(QUICK, batch=batch, muon=muon), 7 // batch + 1
    start, path = Regressor.new(architecture, SIDE, 1), tmp_path / "state.safetensors"
    before = [tensor.clone() for tensor in weights(start)]
    keep, kept = Progress.save, []

    def train(state=None, seed=2):
        return train_regressor(body, start, lessons, config, seed=seed, state=state, every=every)

    def save(progress):
        keep(progress)
        kept.append(progress.step)
        if len(kept) == saves:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "save", save)
        with pytest.raises(KilledError):
            train(path)
    resumed, whole = train(path), train()
    assert same(resumed, whole) and kept == [every, 2 * every][:saves]
    assert all(torch.equal(a, b) for a, b in zip(before, weights(start), strict=True))
    assert not same(whole, start)
    crops = drawn(body, standing(3, 4), SIDE)
    whole.save(tmp_path / "r.safetensors")
    again = Regressor.load(tmp_path / "r.safetensors")
    for one, other in zip(whole.parameters(crops), again.parameters(crops), strict=True):
        assert torch.equal(one, other)
    if architecture is SMALL:
        assert not same(train(seed=3), whole)
        with pytest.raises(UserError, match="of a run with other"):
            train(path, seed=3)


@pytest.mark.parametrize("change", ["config", "start", "labels", "confidence", "pictures", "seen"])
def test_the_state_of_another_training_is_refused(tmp_path, body, lessons, change):
    path, start = tmp_path / "state.safetensors", Regressor.new(SMALL, SIDE, 1)
    config = replace(QUICK, epochs=1)
    train_regressor(body, start, lessons, config, state=path)
    if change == "config":
        config = replace(config, losses=LossConfig(dense_weight=1.0))
    elif change == "start":
        start = Regressor.new(SMALL, SIDE, 2)
    elif change == "labels":
        labels = lessons.labels._replace(scale=lessons.labels.scale + 1e-6)
        lessons = replace(lessons, labels=labels)
    elif change == "confidence":
        lessons = replace(lessons, confidence=lessons.confidence / 2)
    elif change == "pictures":
        lessons = replace(lessons, crops=lessons.crops.flip(0))
    else:
        people = replace(lessons.people, keypoint_xy=lessons.people.keypoint_xy + 1)
        lessons = replace(lessons, people=people)
    with pytest.raises(UserError, match="of a run with other"):
        train_regressor(body, start, lessons, config, state=path)


@pytest.mark.parametrize("batch", [1, 14, 100])
def test_batches_of_any_size_see_everybody_once_in_an_epoch(monkeypatch, body, lessons, batch):
    seen = []
    select = Padded.select

    def watched(self, chosen):
        seen.append(chosen.tolist())
        return select(self, chosen)

    monkeypatch.setattr(Padded, "select", watched)
    told = {}
    config = replace(QUICK, batch=batch)
    train_regressor(
        body, Regressor.new(SMALL, SIDE), lessons, config, every=1, report=told.__setitem__
    )
    half = len(seen) // 2
    epochs = [[n for some in part for n in some] for part in (seen[:half], seen[half:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(14)) and epochs[0] != epochs[1]
    assert list(told) == list(range(1, len(seen) + 1))
    names = {"parameter", "position", "dense", "keypoint", "depth"}
    assert all(set(n) == names and np.isfinite(list(n.values())).all() for n in told.values())


def test_what_is_not_seen_and_not_labelled_teaches_nothing(body, lessons):
    """Without evidence and with labels of no confidence, weights stay."""
    start = Regressor.new(SMALL, SIDE)
    people = replace(lessons.people, keypoint_weight=np.zeros((14, 17)))
    people = replace(people, point_weight=0 * people.point_weight)
    nothing = replace(lessons, people=people, confidence=torch.zeros(14))
    assert same(train_regressor(body, start, nothing, QUICK), start)


def test_what_cannot_be_learnt_from(body, lessons):
    nobody = replace(lessons, crops=lessons.crops[:0], people=lessons.people.select([]))
    with pytest.raises(UserError, match="no person"):
        train_regressor(body, Regressor.new(SMALL, SIDE), nobody)
    nothing = LossConfig(0, 0, 0, 0, 0)
    with pytest.raises(UserError, match="nothing to learn from: no loss has both a weight and"):
        train_regressor(body, Regressor.new(SMALL, SIDE), lessons, LearningConfig(losses=nothing))
    with pytest.raises(ValueError, match="expected crops of 96 pixels, got 48"):
        train_regressor(body, Regressor.new(SMALL, 64), lessons)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (LearningConfig, {"clip": 0.0}), (LearningConfig, {"average": 1.0}),
        (LearningConfig, {"part": (0.5,)}), (LearningConfig, {"part": ()}),
        (LearningConfig, {"part": (0.5, 1.5)}), (LearningConfig, {"part": (0.5, 0.25)}),
        (LearningConfig, {"part": (0.0, np.nan)}), (LossConfig, {"dense_weight": np.nan}),
        (LossConfig, {"position_weight": -1.0}), (AugmentationConfig, {"zoom": -2.0}),
    ],
)  # fmt: skip
def test_numbers_that_no_training_can_have(kind, wrong):
    with pytest.raises(UserError, match=f"option {next(iter(wrong))} is "):
        kind(**wrong)


def test_the_papers_round():
    paper = LearningConfig.paper()
    assert (paper.epochs, paper.batch, paper.learning_rate) == (50, 30, 1e-4)


def test_mixed_precision_is_for_gpus(body, lessons):
    """On a CPU it changes no bit. Where it is on, bodies and gradients are float32 all the same."""
    start = Regressor.new(SMALL, SIDE)
    mixed, plain = (
        train_regressor(body, start, lessons, replace(QUICK, mixed_precision=on))
        for on in (True, False)
    )
    assert same(mixed, plain)
    assert not mixed_precision(torch.device("cpu"), True)._enabled
    pictures = lessons.crops[:3, :, 8:40, 8:40].float() / 255
    with torch.autocast("cpu", torch.bfloat16):
        features = start.network.backbone(for_imagenet(pictures))
        numbers = start.network.numbers(pictures)
        found = start.network(pictures)
    assert features.dtype == torch.bfloat16
    assert torch.equal(numbers, start.network.head(features.float()))
    for block, exact in zip(found, start.network(pictures), strict=True):
        assert block.dtype == torch.float32
        torch.testing.assert_close(block, exact, atol=0.01, rtol=0.01)
    sum(block.sum() for block in found).backward()
    assert all(p.grad.dtype == torch.float32 for p in start.network.parameters())


@pytest.mark.parametrize("by", ["labels", "evidence", "six numbers"])
def test_a_network_learns(body, by):
    """In seconds, from pictures of 200 people: by labels alone, and by evidence alone."""
    without_labels = LossConfig(parameter_weight=0)
    without_evidence = LossConfig(dense_weight=0, keypoint_weight=0, depth_weight=0)
    config = LearningConfig(
        epochs=20,
        batch=25,
        learning_rate=3e-3,
        average=0.9,
        losses=without_labels if by == "evidence" else without_evidence,
        augmentation=AugmentationConfig(angle=0.1, zoom=0.1, colour=0.2),
    )
    start = Regressor.new(replace(SMALL, six_number_pose=by == "six numbers"), SIDE)
    taught = train_regressor(body, start, lessons_of(body, standing(200, 1), SIDE), config)
    truth = standing(50, 2)
    new = lessons_of(body, truth, SIDE)
    crops = Album(new.people, new.crops).in_frames(SIDE)
    expected = truth.joints(body)[..., :2]
    errors = []
    for regressor in (start, taught):
        found = regressor.predict(crops, new.people).joints(body)[..., :2]
        errors.append(np.linalg.norm(found - expected, axis=2).mean())
    assert errors[1] < 0.7 * errors[0]
