"""Deform-and-learn: registration gives the labels that teach a network where registration begins.

"Learning Body Shape and Pose from Dense Correspondences" (Yoshiyasu & Gamez, 2019): a lifter is
taught once. Then rounds of registration and learning alternate. In the first one, fits begin at the
T-pose. In later ones they begin at what the network has learnt to see, which is nearer to the
truth, so the labels become better, and with them the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import as_read
from bodyreg.errors import UserError
from bodyreg.files import is_file
from bodyreg.lifting import (
    AdversarialConfig,
    DistilledConfig,
    Lifter,
    train_adversarial,
    train_distilled,
)
from bodyreg.lifting.joints import poses_of
from bodyreg.metrics import joint_errors
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.cameras import as_fitted
from bodyreg.regression.history import History, Round, flat
from bodyreg.regression.labels import LabelConfig, confidence_of, kept
from bodyreg.regression.learning import LearningConfig, Watch, train_regressor
from bodyreg.regression.lessons import Album, Lessons, check_shares, joined
from bodyreg.regression.regressor import Regressor
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves, named
from bodyreg.training.processes import from_first, is_first, together

SEEDS = 1000
"""Seeds of a run's trainings are this many times its own, and the number of the round."""


@dataclass(frozen=True)
class AlternationConfig:
    """How registration and learning alternate. The defaults are the paper's.

    Attributes:
        rounds: Rounds of registration and learning.
        lifter: How a lifter is taught before the first round, on the keypoints of all data sets.
            None: no lifter is taught, and the people's own depths count, if they have any.
        registration: How people are fitted: in the first round by a cold fit, with `iterations`
            from the T-pose, stiff at first as `stiff` says; in later rounds by a warm fit with
            `warm_iterations`.
        labels: Which fits become labels, and how far they are trusted.
        learning: How the network learns in each round. If its learning rate decays, it does so
            along all rounds, and each round takes its `part`.
        starts: Where the fits of later rounds begin: at the network's `predictions`, or at the
            `labels` of the round before, which is one long registration.
        shares: Of each data set in an epoch, in any unit; empty: by their numbers of people.
        last_shares: The same in the last round. A data set without a share is not fitted in it.
        further: Whether later rounds also teach a copy of the network with the labels of the round
            before, so that the gain by new labels is known. It costs as much as the round.
    """

    rounds: int = 5
    lifter: AdversarialConfig | DistilledConfig | None = None
    registration: RegistrationConfig = field(
        default_factory=lambda: RegistrationConfig.preset("paper")
    )
    labels: LabelConfig = field(
        default_factory=lambda: LabelConfig(keep_best=False, confidence="none")
    )
    learning: LearningConfig = field(default_factory=LearningConfig.paper)
    starts: Literal["predictions", "labels"] = "predictions"
    shares: tuple[float, ...] = ()
    last_shares: tuple[float, ...] = ()
    further: bool = False

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UserError(f"option rounds is {self.rounds}; it must be at least 1")
        if self.starts not in ("predictions", "labels"):
            raise UserError(f"option starts is '{self.starts}'; choose predictions or labels")
        if self.learning.part != (0.0, 1.0):
            raise UserError("option learning.part follows from the rounds; leave it out")

    def shares_of(self, number: int) -> tuple[float, ...]:
        """The shares of the data sets in a round."""
        return self.last_shares if number == self.rounds and self.last_shares else self.shares


def deform_and_learn(
    body: Body,
    albums: Sequence[Album],
    start: Regressor,
    config: AlternationConfig | None = None,
    *,
    folder: Path,
    held_out: Sequence[Album] = (),
    seed: int = 0,
    device: str | torch.device = "cpu",
    facts: Mapping[str, Any] | None = None,
    every: int = 200,
    curves: Curves = NO_CURVES,
    tell: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
    watch: Watch = lambda step, regressor, curves: {},
    report: Callable[[Round], None] = lambda done: None,
) -> Regressor:
    """Teach a network what people's bodies are, from what their pictures show.

    `folder` gets lifter.safetensors, history.json, and for each round its labels, a file of fits
    for each data set, and its regressor. If the run is killed in any stage, the same call goes on,
    and ends with the same bits on a CPU with the same number of threads. A finished stage is not
    repeated.

    Args:
        body: The body to fit.
        albums: The data sets to learn from.
        start: The network that is taught; it stays as it is.
        config: How.
        folder: The run's folder.
        held_out: Data sets to measure errors of; their joints are known.
        seed: Of everything random.
        device: Where to compute.
        facts: What made the files, for their headers.
        every: Steps of learning between two states that are kept, and between two calls of `tell`.
        curves: Takes the losses.
        tell: Is told the number of steps that are done in a round, and the losses of the last one.
        watch: As of `train_regressor`.
        report: Is told of each round that is done.

    Raises:
        UserError: the folder holds a run of something else; the shares do not fit the data sets; a
            person has no evidence; or as `train_regressor`.
    """
    config = config or AlternationConfig()
    for number in (1, config.rounds):
        check_shares(config.shares_of(number), len(albums))
    history = History(folder, _made_of(body, albums, start, config, held_out, seed))
    albums, held_out = _lifted(body, albums, held_out, config, folder, seed, dict(facts or {}))
    teach = partial(train_regressor, body, device=device, every=every, report=tell, watch=watch)
    run = _Run(body, albums, held_out, config, seed, device, dict(facts or {}), teach, curves)
    regressor, labels = start, run.no_labels
    for number in range(1, config.rounds + 1):
        now = history.round(number)
        before, labels = labels, run.register(now, regressor, labels)
        copy = None
        if config.further and number > 1:
            old = [new if last is None else last for last, new in zip(before, labels, strict=True)]
            copy = run.learn(now, "further", regressor, old)
        regressor = run.learn(now, "learn", regressor, labels)
        run.measure(now, labels, regressor, copy)
        report(now)
    return regressor


Labels = Sequence[Fits | None]
"""Of each data set; None: not fitted yet."""


@dataclass(frozen=True)
class _Run:
    """The stages of a round, and what does not change from round to round."""

    body: Body
    albums: Sequence[Album]
    held_out: Sequence[Album]
    config: AlternationConfig
    seed: int
    device: str | torch.device
    facts: Mapping[str, Any]
    teach: Callable[..., Regressor]
    curves: Curves

    @property
    def no_labels(self) -> Labels:
        return [None] * len(self.albums)

    def used(self, now: Round) -> list[int]:
        """Positions of the data sets that a round learns from."""
        shares = self.config.shares_of(now.number)
        return [n for n in range(len(self.albums)) if not shares or shares[n] > 0]

    def register(self, now: Round, regressor: Regressor, before: Labels) -> Labels:
        """Fit the people, from where the round says, and keep what become labels."""
        labels = list(before)
        paths = {n: now.folder / f"labels{n + 1}.npz" for n in self.used(now)}
        if now.finished("register"):
            for n, path in paths.items():
                labels[n] = Fits.load(path)
            return labels
        with now.stage("register") as entry:
            entry["labels"] = []
            for n, path in paths.items():
                album, last = self.albums[n], before[n]
                found = self._fitted(album, None if now.number == 1 else regressor, last)
                better = np.ones(len(found), bool)
                if last is not None and self.config.labels.keep_best:
                    found, better = kept(last, found)
                weight = confidence_of(found, self.config.labels)
                assert found.loss is not None
                entry["labels"].append(
                    {
                        "data_set": n + 1,
                        "people": len(found),
                        "loss": float(found.loss.mean()),
                        "new": float(better.mean()),
                        "confidence": float(weight.mean()),
                        "rejected": float((weight == 0).mean()),
                    }
                    | self._errors(album, found)
                )
                self.keep(found, path)
                labels[n] = found
        return labels

    def learn(self, now: Round, name: str, regressor: Regressor, labels: Labels) -> Regressor:
        """The regressor, taught with these labels."""
        path, state = (now.folder / f"{name}{kind}.safetensors" for kind in ("", ".state"))
        if now.finished(name):
            _remove(state)
            return Regressor.load(path)
        used, shares = self.used(now), self.config.shares_of(now.number)
        rounds = self.config.rounds
        part = ((now.number - 1) / rounds, now.number / rounds)
        with now.stage(name):
            lessons = [
                Lessons.of(self.body, self.albums[n], fits, confidence_of(fits, self.config.labels))
                for n in used
                if (fits := labels[n]) is not None
            ]
            taught = self.teach(
                regressor,
                Lessons.mixed(lessons, [shares[n] for n in used] if shares else ()),
                replace(self.config.learning, part=part),
                self.config.registration,
                seed=SEEDS * self.seed + now.number,
                state=state,
                curves=named(self.curves, f"round{now.number}/{name}"),
            )
            self.keep(taught, path)
        _remove(state)
        return taught

    def keep(self, what: Fits | Regressor, path: Path) -> None:
        """Write a file. Of several processes, the first one does."""
        with together():
            if is_first():
                what.save(path, **self.facts)

    def measure(
        self, now: Round, labels: Labels, regressor: Regressor, copy: Regressor | None
    ) -> None:
        """Write down the errors of what the network sees in people who are held out."""
        if now.finished("measure"):
            return
        with now.stage("measure") as entry:
            entry["held_out"] = []
            for album in self.held_out:
                seen = self._seen(regressor, album)
                refined = self._register(album.people, seen)
                errors = {"network": self._errors(album, seen)}
                if copy is not None:
                    errors["further"] = self._errors(album, self._seen(copy, album))
                errors["refined"] = self._errors(album, refined)
                entry["held_out"].append(errors)

    def _fitted(self, album: Album, regressor: Regressor | None, last: Fits | None) -> Fits:
        """Fits of a round, which read the evidence as the last ones have.

        Args:
            album: The people.
            regressor: What later rounds begin at; None in the first one.
            last: The fits of the last round that had these people, if one had.
        """
        if regressor is None:
            return self._register(album.people, None)
        if last is None:
            return self._register(album.people, self._seen(regressor, album))
        start = last
        if self.config.starts == "predictions":
            start = self._seen(regressor, album, last)
        # The evidence is read first: what a prediction is far from is not yet another person's.
        start = replace(start, exchanged=None, rejected=None, doubts=last.doubts)
        found = self._register(as_read(album.people, last, self.body), start)
        return replace(found, exchanged=last.exchanged, rejected=last.rejected)

    def _register(self, people: Observations, initial: Fits | None) -> Fits:
        return register(
            self.body, people, self.config.registration, initial=initial, device=self.device
        )

    def _seen(self, regressor: Regressor, album: Album, last: Fits | None = None) -> Fits:
        """What the network sees, by the cameras of the last fits."""
        people = album.people if last is None else as_fitted(album.people, last)
        regressor.network.to(self.device)
        seen = regressor.predict(album.in_frames(regressor.side), people, self.config.registration)
        regressor.network.to("cpu")
        return seen

    def _errors(self, album: Album, fits: Fits) -> dict[str, float]:
        """Mean errors in millimetres; empty where the truth is not known."""
        if album.joints is None:
            return {}
        errors = joint_errors(fits, album.joints, self.body)
        return {name: float(values.mean()) for name, values in errors.items()}


def _lifted(
    body: Body,
    albums: Sequence[Album],
    held_out: Sequence[Album],
    config: AlternationConfig,
    folder: Path,
    seed: int,
    facts: Mapping[str, Any],
) -> tuple[Sequence[Album], Sequence[Album]]:
    """The data sets with lifted depths, if a lifter is wanted."""
    if config.lifter is None:
        return albums, held_out
    path, state = folder / "lifter.safetensors", folder / "lifter.state.safetensors"
    if from_first(is_file(path)):
        lifter = Lifter.load(path)
    else:
        people = joined([album.people.keypoints_alone() for album in albums])
        if isinstance(config.lifter, DistilledConfig):
            lifter = train_distilled(body, people, config.lifter, seed=seed, state=state)
        else:
            lifter = train_adversarial(poses_of(people), config.lifter, seed=seed, state=state)
        with together():
            if is_first():
                lifter.save(path, **facts, people=len(people))
    _remove(state)
    lift = [replace(album, people=lifter.lift(album.people)) for album in (*albums, *held_out)]
    return lift[: len(albums)], lift[len(albums) :]


def _remove(state: Path) -> None:
    """Remove the state of a training that is finished."""
    if is_first():
        state.unlink(missing_ok=True)


def _made_of(
    body: Body,
    albums: Sequence[Album],
    start: Regressor,
    config: AlternationConfig,
    held_out: Sequence[Album],
    seed: int,
) -> dict[str, Any]:
    """What a run's results depend on; the names are for users."""
    made_of = {
        "seed": seed,
        "body": body.fingerprint,
        "start": fingerprint_of(start.network.state_dict().values()),
    }
    for kind, several in (("data set", albums), ("held-out data set", held_out)):
        for number, album in enumerate(several, 1):
            values = (*vars(album.people).values(), album.crops, album.joints)
            made_of[f"{kind} {number}"] = fingerprint_of(values)
    return made_of | flat("", config)
