"""The loop: it learns, its seed decides, and it goes on where it was killed; painters in files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.painting import (
    Painter,
    PainterArchitecture,
    PaintingConfig,
    PaintingLossConfig,
    learning,
    train_painter,
)
from bodyreg.training import optimizers
from bodyreg.training.checkpoints import load_checkpoint, save_checkpoint
from bodyreg.training.progress import Progress

from .people import SIDE, architecture, lessons_of

QUICK = PaintingConfig(epochs=2, batch=2, losses=PaintingLossConfig(content=0, adversarial_from=2))
KINDS = ("plain", "generator", "pixel_warper", "refiner")


class KilledError(Exception):
    """Of a training."""


@pytest.fixture(scope="module")
def lessons(body):
    return lessons_of(body).painted(np.ones((6, SIDE, SIDE), bool))


def new(kind: str, seed: int = 1) -> Painter:
    below = Painter.new(architecture(), 7) if kind == "pixel_warper" else None
    return Painter.new(architecture(kind), seed, below)


def weights(painter: Painter) -> list[torch.Tensor]:
    return list(painter.network.state_dict().values())


def same(one: Painter, other: Painter) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_rates_fall_along_a_cosine(monkeypatch, lessons):
    """From the whole rate to 2 % of it, whatever the epochs; without `decay` nothing sets them."""
    found: list[float] = []
    for module in (learning, optimizers):
        monkeypatch.setattr(module, "set_learning_rate", lambda rate, adam: found.append(rate))
    train_painter(new("plain"), lessons, QUICK)
    assert not found
    train_painter(new("plain"), lessons, replace(QUICK, decay=True, discriminator_rate=3e-3))
    share = 0.02 + 0.98 * (0.5 + 0.5 * np.cos(np.pi * np.arange(6) / 6))
    np.testing.assert_allclose(found[::2], QUICK.learning_rate * share)
    np.testing.assert_allclose(found[1::2], 3e-3 * share)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_killed(tmp_path, monkeypatch, lessons, kind):
    start, path = new(kind), tmp_path / "state.safetensors"
    before = [tensor.clone() for tensor in weights(start)]
    keep, kept = Progress.save, []

    def train(state=None, seed=2, lessons=lessons):
        config = replace(QUICK, decay=True, muon=20.0 if kind == "refiner" else 0.0)
        return train_painter(start, lessons, config, seed=seed, state=state, every=2)

    def save(progress):
        keep(progress)
        kept.append(progress.step)
        if len(kept) == 2:  # the discriminator has begun
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "save", save)
        with pytest.raises(KilledError):
            train(path)
    resumed, whole = train(path), train()
    assert kept == [2, 4] and same(resumed, whole)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(start), strict=True))
    assert not same(whole, start)
    whole.save(tmp_path / "p.safetensors", about="a test")
    again = Painter.load(tmp_path / "p.safetensors")
    assert again.architecture == whole.architecture and again.facts == {"about": "a test"}
    assert torch.equal(again.paint(lessons), whole.paint(lessons))
    with pytest.raises(UserError, match="of a run with other seed"):
        train(path, seed=3)
    with pytest.raises(UserError, match="of a run with other lessons"):
        train(path, lessons=replace(lessons, radius=3.0))


def test_a_generator_below_a_pixel_warper_stays(lessons):
    start = new("pixel_warper")
    end = train_painter(start, lessons, QUICK)
    before, after = (painter.network.generator.state_dict() for painter in (start, end))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(start.network.warper.last[-1].weight, end.network.warper.last[-1].weight)


@pytest.mark.parametrize("kind", ["generator", "refiner"])
def test_it_learns(lessons, kind):
    config = replace(QUICK, epochs=12, learning_rate=3e-3, mirror=0)
    told = []
    start = new(kind)
    end = train_painter(
        start, lessons, config, every=1, report=lambda step, numbers: told.append(numbers)
    )
    assert len(told) == 36
    assert all(numbers["discriminator"] == 0 for numbers in told[:3])
    assert all(numbers["discriminator"] > 0 for numbers in told[3:])
    first, last = ([n["colour"] for n in some] for some in (told[:3], told[-3:]))
    assert sum(last) < 0.9 * sum(first)
    assert end.errors(lessons)["person"] < start.errors(lessons)["person"]


def test_errors_are_those_of_the_body(lessons):
    painter = new("refiner")
    found, painted = painter.errors(lessons), painter.paint(lessons)
    target = lessons.pictures[lessons.pairs.pairs[:, 1]]
    visibility = lessons.lesson(torch.arange(6)).visibility
    assert set(found) == {
        f"{region}{of}"
        for region in ("person", "visible", "hidden")
        for of in ("", " of paintings")
    }
    for of, pictures in (("", painted), (" of paintings", lessons.paintings)):
        differences = (pictures.double() - target.double()).abs().mean(1) / 255
        assert found[f"person{of}"] == pytest.approx(differences[visibility < 2].mean().item())
        assert found[f"visible{of}"] == pytest.approx(differences[visibility == 0].mean().item())
        assert found[f"hidden{of}"] == pytest.approx(differences[visibility == 1].mean().item())


def test_what_cannot_be_learnt(lessons):
    with pytest.raises(UserError, match="there is no pair to learn from"):
        train_painter(new("plain"), lessons.select(np.arange(0)), QUICK)
    plain = replace(lessons, paintings=None, provenance=None)
    with pytest.raises(ValueError, match="expected paintings"):
        train_painter(new("refiner"), plain, QUICK)
    with pytest.raises(ValueError, match="expected pictures of"):
        train_painter(Painter.new(replace(architecture(), height=64)), lessons, QUICK)
    with pytest.raises(ValueError, match="vgg: expected a network"):
        train_painter(new("plain"), lessons, replace(QUICK, losses=PaintingLossConfig()))


def test_painters_that_cannot_be():
    others = (
        architecture("plain"),
        replace(architecture(), network=replace(architecture().network, width=8)),
        *(replace(architecture(), **{name: 48}) for name in ("height", "width", "radius")),
    )
    same = Painter.new(replace(architecture(), reach=1))
    assert Painter.new(architecture("pixel_warper"), 0, same).architecture.kind == "pixel_warper"
    for kind, below, message in (
        ("pixel_warper", None, "needs a generator that has learnt"),
        ("plain", Painter.new(architecture()), "others need none"),
        *(("pixel_warper", Painter.new(o), "of another kind, size or radius") for o in others),
    ):
        with pytest.raises(UserError, match=message):
            Painter.new(architecture(kind), generator=below)
    for options, message in (
        ({"kind": "some"}, "painter 'some': choose one of plain"),
        ({"height": 200}, "height 200: give 256 to 4,096 pixels, or fewer levels"),
        ({"radius": float("nan")}, "radius nan"),
    ):
        with pytest.raises(UserError, match=message):
            PainterArchitecture(**options)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "some"},
        {"height": 32.0},
        {"radius": 10**400},
        {"network": None},
        {"network": {"levels": 3}},
        {"more": 1},
    ],
)
def test_damaged_painters(tmp_path, change):
    path = tmp_path / "p.safetensors"
    Painter.new(architecture()).save(path)
    tensors, about = load_checkpoint(path, "bodyreg-painter-1")
    about["architecture"] = json.loads(json.dumps(about["architecture"])) | change
    save_checkpoint(path, "bodyreg-painter-1", tensors, about)
    with pytest.raises(UserError, match="what it says of the painter is damaged"):
        Painter.load(path)


def test_whole_numbers_in_a_file(tmp_path):
    """An architecture says 2 where its field is 2.0."""
    about = replace(architecture(), radius=2)
    Painter.new(about).save(tmp_path / "p.safetensors")
    assert Painter.load(tmp_path / "p.safetensors").architecture == about
