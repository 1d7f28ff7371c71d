"""Both ways to train a lifter, on few people and steps: they learn, and go on where they ended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import RegistrationConfig, UserError
from bodyreg.lifting import (
    AdversarialConfig,
    DistilledConfig,
    Lifter,
    train_adversarial,
    train_distilled,
)
from bodyreg.lifting.distilled import bodies_of, lesson
from bodyreg.lifting.joints import JOINTS, poses_of
from bodyreg.registration import register
from bodyreg.training.loops import generator
from bodyreg.training.progress import Progress

from .people import people
from .test_losses import true_people

FEW = {"width": 16, "steps": 6, "batch": 8}


class KilledError(Exception):
    """Of a training."""


def weights(lifter: Lifter) -> list[torch.Tensor]:
    return list(lifter.network.parameters())


def killed_and_resumed(train, path, monkeypatch, saves: int) -> Lifter:
    """A training that is killed after so many states were kept, and goes on."""
    keep, kept = Progress.save, []

    def save(progress):
        keep(progress)
        kept.append(progress.step)
        if len(kept) == saves:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "save", save)
        with pytest.raises(KilledError):
            train(path)
    return train(path)


@pytest.mark.parametrize("preset", ["paper", "robust"])
@pytest.mark.parametrize("saves", [1, 2])
def test_an_adversarial_training_that_was_killed(tmp_path, monkeypatch, preset, saves):
    poses = poses_of(people(30, 0)[0])
    config = AdversarialConfig.preset(preset, **FEW)

    def train(path=None):
        return train_adversarial(poses, config, seed=3, state=path, every=2)

    resumed = killed_and_resumed(train, tmp_path / "state.safetensors", monkeypatch, saves)
    whole = train()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert whole.sign == resumed.sign
    other = train_adversarial(poses, config, seed=4)
    assert not torch.equal(weights(whole)[0], weights(other)[0])
    with pytest.raises(UserError, match="of a run with other"):
        train_adversarial(poses, config, seed=4, state=tmp_path / "state.safetensors")


@pytest.mark.parametrize("views", ["every", "fixed", "one", "random", "matched"])
def test_all_views_and_all_terms_of_no_weight(views):
    poses = poses_of(people(20, 1)[0])
    off = {f"{n}_weight": 0.0 for n in ("adversarial", "ratio", "symmetry", "facing", "upright")}
    for config in (
        AdversarialConfig(views=views, **FEW),
        AdversarialConfig(views=views, **FEW, **off, again_weight=0.0),
    ):
        told = {}
        lifter = train_adversarial(poses, config, every=4, report=told.__setitem__)
        assert list(told) == [4, 6]
        assert all(np.isfinite(list(numbers.values())).all() for numbers in told.values())
        assert set(lifter.joints) == set(JOINTS) and not lifter.perspective


def test_people_without_a_pelvis_or_with_rare_joints_teach_nothing():
    seen, _ = people(20, 2)
    weight = seen.keypoint_weight.copy()

    def train():
        poses = poses_of(replace(seen, keypoint_weight=weight))
        return train_adversarial(poses, AdversarialConfig(**FEW))

    weight[:11, 0] = 0
    lifter = train()
    assert "nose" not in lifter.joints and "head" in lifter.joints
    weight[:, 11] = 0
    with pytest.raises(UserError, match="both hips"):
        train()


def test_presets():
    with pytest.raises(UserError, match="preset 'x' is unknown; choose one of: robust, paper"):
        AdversarialConfig.preset("x")
    assert AdversarialConfig.preset("robust") == AdversarialConfig()
    paper = AdversarialConfig.preset("paper", width=64)
    assert (paper.adversarial_weight, paper.batch, paper.learning_rate) == (0.1, 1024, 2e-4)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (AdversarialConfig, {"batch": 0}), (AdversarialConfig, {"width": 10**6}),
        (DistilledConfig, {"width": 10**6}), (AdversarialConfig, {"steps": -1}),
        (AdversarialConfig, {"facing_weight": float("nan")}), (AdversarialConfig, {"views": "two"}),
        (AdversarialConfig, {"first_moment": 1.0}), (AdversarialConfig, {"average": 1.0}),
        (AdversarialConfig, {"missing": 1.0}),
        (DistilledConfig, {"rounds": 0}), (DistilledConfig, {"noise": float("inf")}),
        (DistilledConfig, {"kept": 1.5}), (DistilledConfig, {"nearest": 0.0}),
    ],
)  # fmt: skip
def test_numbers_that_no_training_can_have(kind, wrong):
    with pytest.raises(UserError, match=f"option {next(iter(wrong))} is "):
        kind(**wrong)


@pytest.fixture(scope="module")
def quick():
    return RegistrationConfig(iterations=40, starts=2)


def test_a_lesson_shows_bodies_from_all_sides(body):
    bodies = true_people(1, 5)[0]
    with torch.no_grad():
        joints = torch.cat([bodies.xy, torch.zeros(1, len(JOINTS), 1)], 2).float()
        joints[0, JOINTS.index("left_ankle"), 2] = 0.5
    clean = DistilledConfig(batch=4000, noise=0, missing=0, near=0)
    poses, depth = lesson(joints, clean, generator(0))
    x, y, z = (joints[0, JOINTS.index("left_ankle")]).tolist()
    unit = poses.size
    ankles = [JOINTS.index(f"{side}_ankle") for side in ("left", "right")]
    found = torch.stack([poses.xy[:, ankles, 0], depth[:, ankles]], 2) * unit[:, None, None]
    length = found.norm(dim=2)
    either = (length - np.hypot(x, z)).abs().min(1).values  # the left one, or its mirror image
    assert either.max() < 1e-4
    height = (poses.xy[:, ankles, 1] * unit[:, None]).max(1).values
    assert (height - y).abs().max() < 0.2
    yaw = torch.atan2(found[:, 0, 0], found[:, 0, 1])
    shares = torch.histc(yaw, 8, -np.pi, np.pi) / 4000
    assert (shares - 1 / 8).abs().max() < 0.06
    near, _ = lesson(joints, replace(clean, near=1.0, told=1.0), generator(0))
    inverse = near.camera[:, 0] / near.size
    assert (inverse >= 0).all() and 0.4 < inverse.max() < 1 / clean.nearest
    assert near.camera.any(1).float().mean() > 0.95 and not poses.camera.any()


def test_bodies_that_teach_are_those_that_fit(body, quick):
    seen, _ = people(8, 6)
    fits = register(body, seen, quick)
    found = bodies_of(body, fits, 0.5)
    assert found.shape == (4, len(JOINTS), 3) and not found[:, 0].any()
    best = np.flatnonzero(fits.loss <= np.median(fits.loss))
    names = ("coco/left_wrist", "coco/left_hip", "coco/right_hip")
    wrist, *hips = fits.select(best).keypoints(body, names).swapaxes(0, 1)
    expected = (wrist - (hips[0] + hips[1]) / 2) / fits.scale[best, None]
    np.testing.assert_allclose(found[:, JOINTS.index("left_wrist")], expected, atol=1e-5)


@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_distilled_training_that_was_killed(tmp_path, monkeypatch, body, quick, saves):
    """After the last state of a round, and within the second round."""
    seen, _ = people(12, 7)
    config = DistilledConfig(**FEW, rounds=2, still=0.0)
    told = []

    def train(path=None):
        told.clear()
        return train_distilled(
            body, seen, config, quick, seed=1, state=path, every=4, report=told.append
        )

    resumed = killed_and_resumed(train, tmp_path / "state.safetensors", monkeypatch, saves)
    whole = train()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert [one.number for one in told] == [1, 2]
    again = train(tmp_path / "state.safetensors")
    assert told == [] and torch.equal(weights(again)[0], weights(whole)[0])


def test_people_without_keypoints_teach_nothing(body, quick):
    """They may have dense points, which a lifter does not read."""
    seen, _ = people(12, 9)
    config = DistilledConfig(**FEW, rounds=1)
    weight = seen.keypoint_weight.copy()
    weight[[2, 7]] = 0
    some = replace(seen, keypoint_weight=weight)
    others = seen.select(np.delete(np.arange(12), [2, 7]))
    one, same = (train_distilled(body, found, config, quick) for found in (some, others))
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))
    nobody = replace(seen, keypoint_weight=np.zeros_like(weight))
    with pytest.raises(UserError, match="no person to learn from has keypoints"):
        train_distilled(body, nobody, config, quick)


def test_rounds_end_when_the_lifter_stands_still(body, quick):
    seen, _ = people(12, 8)
    told = []
    config = DistilledConfig(**FEW, rounds=5, still=100.0)
    lifter = train_distilled(body, seen, config, quick, report=told.append)
    assert [one.number for one in told] == [1, 2]
    assert lifter.perspective and lifter.joints == JOINTS


def test_a_distilled_lifter_beats_no_depths(body):
    """In seconds, from 400 people's keypoints alone."""
    seen, _ = people(400, 9, noise=0.01)
    config = DistilledConfig(width=64, steps=250, batch=128, rounds=1)
    lifter = train_distilled(body, seen, config, RegistrationConfig(iterations=150))
    new, depth = people(100, 10, noise=0.01)
    lifted = lifter.lift(new)
    known = ~np.isnan(lifted.keypoint_depth)
    error = np.abs(lifted.keypoint_depth - depth)[known]
    assert error.mean() < 0.6 * np.abs(depth[known]).mean()
    share = (error < 2 * lifted.keypoint_depth_spread[known]).mean()
    assert share > 0.75, "the spread is of the size of the errors"
