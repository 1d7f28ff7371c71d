"""Deform-and-learn: its rules one by one, and runs that are killed anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import Fits, RegistrationConfig, UserError, register
from bodyreg.data.sides import KEYPOINTS, bits, with_exchanged
from bodyreg.lifting import AdversarialConfig, DistilledConfig, Lifter, train_adversarial
from bodyreg.lifting.joints import poses_of
from bodyreg.metrics import joint_errors
from bodyreg.regression import (
    Album,
    AlternationConfig,
    Architecture,
    LabelConfig,
    LearningConfig,
    Lessons,
    Regressor,
    alternation,
    confidence_of,
    deform_and_learn,
    train_regressor,
)
from bodyreg.regression.views import MARGIN

from .people import drawn, seen_exactly, standing

SIDE = 32
FAST = RegistrationConfig.preset("paper", iterations=60, warm_iterations=20)
QUICK = AlternationConfig(
    rounds=2, registration=FAST, learning=LearningConfig(epochs=1, batch=4, average=0.9)
)
KEPT = LabelConfig(keep_best=True, confidence="loss")


class KilledError(BaseException):
    """Of a run; nothing may catch it."""


def album(body, count: int, seed: int) -> Album:
    """People whose joints are known; their keypoints have no depths."""
    fits = standing(count, seed)
    names = (*body.joint_names, "head_top")
    joints = fits.keypoints(body, names) / fits.scale[:, None, None]
    people = seen_exactly(body, fits, seed).with_depths(None)
    return Album(people, drawn(body, fits, round(MARGIN * SIDE)), joints)


@pytest.fixture(scope="module")
def people(body):
    return [album(body, 9, 1), album(body, 5, 2)]


@pytest.fixture(scope="module")
def start():
    return Regressor.new(Architecture("small", 8), SIDE, 1)


@pytest.fixture
def run(body, people, start, tmp_path):
    """Runs, by default of the first data set alone, in `tmp_path / "run"`."""

    def call(config=QUICK, albums=people[:1], folder=tmp_path / "run", **options):
        return deform_and_learn(body, albums, start, config, folder=folder, **options)

    return call


def nothing_more(*arguments, **options):
    raise KilledError


def history(folder) -> list[dict]:
    return json.loads((folder / "history.json").read_text())["rounds"]


def without_times(folder) -> dict[str, object]:
    """All files of a run, and its history without seconds."""

    def timeless(value):
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if "seconds" not in k}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    found: dict[str, object] = {name: path.read_bytes() for name, path in files.items()}
    return found | {"history.json": timeless(json.loads(found["history.json"]))}


def test_a_run_that_is_killed_anywhere_ends_with_the_same_bytes(run, people, tmp_path, monkeypatch):
    """Before each file that it writes: in every stage, and between any two."""
    config = replace(
        QUICK, lifter=AdversarialConfig(width=16, steps=4, batch=8), further=True, labels=KEPT
    )
    options = {"config": config, "held_out": people[1:], "every": 2, "seed": 3}
    move, moves = os.replace, []

    def watched(source, target):
        moves.append(str(target))
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", watched)
        run(folder=tmp_path / "whole", **options)
    expected = without_times(tmp_path / "whole")
    assert not any("state" in name for name in expected)
    kinds = ("history", "lifter.state", "lifter.", "labels1", "learn.state", "learn.", "further.")
    assert all(any(kind in path for path in moves) for kind in kinds)

    for number, path in enumerate(moves):
        folder, count = tmp_path / str(number), iter(range(len(moves)))

        def killed(source, target, number=number, count=count):
            if next(count) == number:
                raise KilledError
            move(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed)
            with pytest.raises(KilledError):
                run(folder=folder, **options)
        run(folder=folder, **options)
        assert without_times(folder) == expected, path


def test_a_finished_stage_is_not_repeated(run, monkeypatch, tmp_path):
    config = replace(QUICK, lifter=DistilledConfig(width=8, rounds=1, steps=2, batch=4))
    first, told = run(config), []
    for name in ("register", "train_regressor", "train_distilled"):
        monkeypatch.setattr(alternation, name, nothing_more)
    again = run(config, report=lambda done: told.append(done.number))
    assert told == [1, 2]
    for one, other in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)
    lifter = Lifter.load(tmp_path / "run" / "lifter.safetensors")
    assert lifter.facts["people"] == 9


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"learning": replace(QUICK.learning, epochs=2)}, "learning.epochs"),
        ({"registration": replace(FAST, warm_iterations=21)}, "registration.warm_iterations"),
        ({"labels": KEPT}, "labels.confidence"),
        ({"rounds": 3}, "rounds"),
        ({"lifter": DistilledConfig()}, "lifter.width"),
        ({"seed": 4}, "seed"),
        ({"albums": 1}, "data set 1"),
        ({"held_out": 1}, "held-out data set 1"),
    ],
)
def test_another_runs_folder_is_refused(run, people, monkeypatch, change, names):
    for name in ("register", "train_regressor"):  # the folder is enough
        monkeypatch.setattr(alternation, name, nothing_more)
    with pytest.raises(KilledError):
        run()
    options = {n: [people[v]] for n, v in change.items() if n in ("albums", "held_out")}
    options |= {n: v for n, v in change.items() if n == "seed"}
    config = replace(QUICK, **{n: v for n, v in change.items() if n not in options})
    with pytest.raises(UserError, match=f"holds a run with other .*{names}.*; give") as error:
        run(config, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", '{"made_of": {}}', '{"made_of": {}, "rounds": [1]}'])
def test_a_damaged_history_is_refused(run, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.json").write_text(content)
    with pytest.raises(UserError, match=r"history\.json: "):
        run()


def test_rounds_fit_and_learn_from_what_the_round_before_has_found(body, run, people, start):
    """By hand: a cold fit, a training, a warm fit from its predictions, a training."""
    found = run(replace(QUICK, labels=KEPT))
    one, regressor, parts = people[0], start, ((0, 0.5), (0.5, 1))
    labels = register(body, one.people, FAST)
    for number, part in enumerate(parts, 1):
        if number == 2:
            seen = regressor.predict(one.in_frames(SIDE), one.people, FAST)
            warm = register(body, one.people, FAST, initial=seen)
            better = warm.loss < labels.loss
            chosen = np.where(better, 9, 0) + np.arange(9)
            labels = Fits.concatenate([labels, warm]).select(chosen)
            assert 0 < better.sum() < 9
        lessons = Lessons.of(body, one, labels, confidence_of(labels, KEPT))
        config = replace(QUICK.learning, part=part)
        regressor = train_regressor(body, regressor, lessons, config, FAST, seed=number)
    for mine, theirs in zip(
        regressor.network.parameters(), found.network.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("keep_best", [True, False])
def test_a_new_fit_becomes_the_label_if_its_loss_is_lower(body, run, tmp_path, keep_best):
    run(replace(QUICK, labels=LabelConfig(keep_best=keep_best)))
    paths = [tmp_path / "run" / f"round{number}" / "labels1.npz" for number in (1, 2)]
    first, second = (Fits.load(path) for path in paths)
    worse, entry = second.loss > first.loss, history(tmp_path / "run")[1]["register"]["labels"][0]
    if keep_best:
        same = second.loss == first.loss
        np.testing.assert_array_equal(second.pose[same], first.pose[same])
        assert not worse.any() and entry["new"] == (~same).mean() and 0 < same.sum() < 9
    else:
        assert worse.any() and entry["new"] == 1
    assert entry["loss"] == pytest.approx(second.loss.mean())


def test_data_sets_and_their_shares(run, people, monkeypatch, tmp_path):
    """The last round is on the second data set alone, whose people are fitted only then."""
    taught, teach, fitted = [], train_regressor, []

    def watched(body, start, lessons, config, *rest, **options):
        taught.append(lessons)
        return teach(body, start, lessons, config, *rest, **options)

    def watched_register(body, observations, config, *, initial=None, **options):
        fitted.append((len(observations), initial is None))
        return register(body, observations, config, initial=initial, **options)

    monkeypatch.setattr(alternation, "train_regressor", watched)
    monkeypatch.setattr(alternation, "register", watched_register)
    config = replace(QUICK, rounds=3, shares=(0.25, 0.75), last_shares=(0, 1))
    run(config, people)
    assert [lessons.parts for lessons in taught] == [(9, 5), (9, 5), (5,)]
    assert [lessons.shares for lessons in taught] == [(0.25, 0.75), (0.25, 0.75), None]
    assert fitted == [(9, True), (5, True), (9, False), (5, False), (5, False)]
    rounds = [entry["register"]["labels"] for entry in history(tmp_path / "run")]
    assert [[one["data_set"] for one in some] for some in rounds] == [[1, 2], [1, 2], [2]]
    for wrong in ((1,), (0, 0)):
        with pytest.raises(UserError, match="shares"):
            run(replace(config, last_shares=wrong), people, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_fits_can_go_on_from_the_labels(body, run, people, tmp_path):
    run(replace(QUICK, starts="labels"))
    first, second = (
        Fits.load(tmp_path / "run" / f"round{number}" / "labels1.npz") for number in (1, 2)
    )
    expected = register(body, people[0].people, FAST, initial=first)
    np.testing.assert_array_equal(second.pose, expected.pose)


def test_later_rounds_read_the_evidence_as_the_first_one(body, run, people, tmp_path):
    """A prediction tells nothing of exchanged sides; the fit of the round before does."""
    wrong = np.full(9, bits((), KEYPOINTS), np.uint8)
    spoilt = replace(people[0], people=with_exchanged(people[0].people, wrong, body))
    config = RegistrationConfig.preset("accurate", camera="weak")
    run(replace(QUICK, registration=config, labels=LabelConfig(keep_best=False)), [spoilt])
    first, second = (
        Fits.load(tmp_path / "run" / f"round{number}" / "labels1.npz") for number in (1, 2)
    )
    assert (first.exchanged > 0).sum() > 4
    for name in ("exchanged", "rejected"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    np.testing.assert_array_equal(second.doubts["sides"], first.doubts["sides"])
    assert second.loss[first.exchanged > 0].mean() < 3 * first.loss[first.exchanged > 0].mean()


def test_labels_weigh_as_they_are_trusted(body, run, monkeypatch, tmp_path):
    taught, teach = [], train_regressor

    def watched(body, start, lessons, *rest, **options):
        taught.append(lessons.confidence)
        return teach(body, start, lessons, *rest, **options)

    monkeypatch.setattr(alternation, "train_regressor", watched)
    config = LabelConfig(confidence="loss", doubtful=1.05)
    run(replace(QUICK, labels=config))
    for number, (weights, entry) in enumerate(
        zip(taught, history(tmp_path / "run"), strict=True), 1
    ):
        fits = Fits.load(tmp_path / "run" / f"round{number}" / "labels1.npz")
        np.testing.assert_array_equal(weights, confidence_of(fits, config))
        told = entry["register"]["labels"][0]
        assert told["rejected"] == (weights == 0).float().mean() > 0
        assert told["confidence"] == pytest.approx(weights.mean().item())


def test_history_has_errors_of_labels_and_of_people_who_are_held_out(body, run, people, tmp_path):
    config = replace(QUICK, further=True)
    run(config, held_out=people[1:])
    folder, other = tmp_path / "run", people[1]
    rounds = history(folder)
    for number, entry in enumerate(rounds, 1):
        labels = Fits.load(folder / f"round{number}" / "labels1.npz")
        names = {"learn": "network"} | ({"further": "further"} if number == 2 else {})
        errors = {"labels": joint_errors(labels, people[0].joints, body)}
        told = {"labels": entry["register"]["labels"][0], **entry["measure"]["held_out"][0]}
        for file, name in names.items():
            taught = Regressor.load(folder / f"round{number}" / f"{file}.safetensors")
            seen = taught.predict(other.in_frames(SIDE), other.people, FAST)
            errors[name] = joint_errors(seen, other.joints, body)
            if name == "network":
                refined = register(body, other.people, FAST, initial=seen)
                errors["refined"] = joint_errors(refined, other.joints, body)
        assert told.keys() == errors.keys()
        for name, expected in errors.items():
            for metric, values in expected.items():
                assert told[name][metric] == pytest.approx(values.mean()), (number, name)
        assert entry["learn"]["seconds"] > 0 and entry["register"]["cpu_seconds"] > 0
    assert {"seconds", "cpu_seconds"} == rounds[1]["further"].keys()


def test_further_training_has_the_labels_of_the_round_before(body, run, people, tmp_path):
    run(replace(QUICK, further=True))
    folder = tmp_path / "run"
    labels = Fits.load(folder / "round1" / "labels1.npz")
    lessons = Lessons.of(body, people[0], labels, np.ones(9, np.float32))
    before = Regressor.load(folder / "round1" / "learn.safetensors")
    config = replace(QUICK.learning, part=(0.5, 1))
    expected = train_regressor(body, before, lessons, config, FAST, seed=2)
    found = Regressor.load(folder / "round2" / "further.safetensors")
    for one, other in zip(expected.network.parameters(), found.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_lifter_is_taught_by_the_people_themselves(run, people, monkeypatch, tmp_path):
    """Its depths are in the fits; so are they of people who are held out."""
    seen = []

    def watched(body, observations, config, **options):
        seen.append(observations.keypoint_depth)
        return register(body, observations, config, **options)

    monkeypatch.setattr(alternation, "register", watched)
    config = replace(QUICK, rounds=1, lifter=AdversarialConfig(width=16, steps=3, batch=8))
    run(config, held_out=people[1:])
    lifter = Lifter.load(tmp_path / "run" / "lifter.safetensors")
    for depth, one in zip(seen, people, strict=True):
        expected = lifter.lift(one.people).keypoint_depth
        np.testing.assert_array_equal(depth, expected)
        assert np.isfinite(expected).any()


def test_a_lifter_is_taught_by_all_data_sets(run, people, monkeypatch):
    """Whatever they call their keypoints."""
    taught = []

    def watched(poses, config, **options):
        taught.append(poses)
        return train_adversarial(poses, config, **options)

    monkeypatch.setattr(alternation, "train_adversarial", watched)
    names = [name.replace("coco/", "lsp/") for name in people[1].people.keypoint_name]
    other = replace(people[1].people, keypoint_name=tuple(names))
    lifter = AdversarialConfig(width=16, steps=2, batch=4)
    config = replace(QUICK, rounds=1, lifter=lifter, shares=(1, 0))
    run(config, [people[0], replace(people[1], people=other)])
    expected = [poses_of(one.people).xy for one in people]
    assert torch.equal(taught[0].xy, torch.cat(expected))


def test_what_no_run_can_have():
    for wrong in ({"rounds": 0}, {"starts": "anywhere"}):
        with pytest.raises(UserError, match=f"option {next(iter(wrong))} is"):
            AlternationConfig(**wrong)
    with pytest.raises(UserError, match=r"option learning\.part follows from the rounds"):
        AlternationConfig(learning=LearningConfig(part=(0.0, 0.5)))


def test_the_papers_run():
    paper = AlternationConfig()
    assert (paper.rounds, paper.learning) == (5, LearningConfig.paper())
    registration = paper.registration
    assert (registration.iterations, registration.warm_iterations) == (300, 100)
    assert registration.stiff == "anneal" and registration.learning_rate == 0.1
    assert not paper.labels.keep_best and paper.labels.confidence == "none"
