r"""Teach a network to see bodies, by rounds of registration and learning. It needs no 3-D data.

    bodyreg synthesize --people 4000 --formats densepose-coco --out made
    python -m train.deform_and_learn --densepose-coco made/densepose-coco/densepose.json \
        --images made/densepose-coco/images --out runs/learned

First a lifter is taught, which gives the people's keypoints depths. Each round then fits bodies to
the people, from what the network sees in their pictures (in the first round from the T-pose), and
teaches the network these fits. The folder gets regressor.safetensors, history.json with errors and
times, and the labels of each round. If the command was killed, the same command continues, and
ends with the same numbers. They depend on the number of threads, OMP_NUM_THREADS. `torchrun
--nproc-per-node N -m train.deform_and_learn ...` starts processes that share each batch. It needs
`pip install bodyreg[train]`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bodyreg import Body, Observations, RegistrationConfig, UserError
from bodyreg.lifting import AdversarialConfig, DistilledConfig, Lifter
from bodyreg.regression import (
    Album,
    AlternationConfig,
    Architecture,
    AugmentationConfig,
    LabelConfig,
    LearningConfig,
    deform_and_learn,
)
from bodyreg.regression.history import Round
from train.options import (
    PAPERS,
    SMALL,
    NetworkOptions,
    NewNetwork,
    Teaching,
    another,
    changed,
    held_out_of,
    in_pictures,
    joints_of,
    run,
    start_of,
)
from train.watching import watcher


@dataclass(frozen=True)
class Recipe(NewNetwork, AlternationConfig):
    """How a new network is taught."""


WEIGHED = LabelConfig(keep_best=True, confidence="loss")
PRESETS = {
    "paper": Recipe(lifter=AdversarialConfig(), **vars(PAPERS)),
    "small": Recipe(
        lifter=DistilledConfig(), labels=WEIGHED, learning=replace(SMALL, epochs=6, average=0.99)
    ),
    "smoke": Recipe(
        rounds=2,
        labels=WEIGHED,
        learning=LearningConfig(
            epochs=12,
            batch=32,
            learning_rate=2e-3,
            average=0.99,
            augmentation=AugmentationConfig(
                angle=0.2, zoom=0.1, colour=0.2, blur=0.0, occlusion=0.0
            ),
        ),
        architecture=Architecture("small", 16),
        side=48,
    ),
}

Depths = Literal["distilled", "robust", "paper", "given", "none"]


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of `python -m train.deform_and_learn`.

    Attributes:
        out: Folder of regressor.safetensors, of history.json, and of the rounds.
        preset: paper: ResNet-50, 224 pixels, 5 rounds of 50 epochs. small: 64 pixels, for a CPU.
            smoke: two short rounds of a smaller network, 48 pixels, without a lifter.
        labels: How people are fitted: by the preset paper or accurate of `bodyreg register`.
        depths: Where the keypoints' depths come from: a lifter that is taught in the run on the
            people's own 2-D poses (distilled, robust or paper, see train.lift), the people's files
            (given), or nowhere (none). Without it, as the preset says.
        lifter: A lifter's file, instead of --depths.
        also: A further data set to learn from: its format, its path, and the folder of its
            pictures. May name several, one after the other. --set shares=0.5,0.5 mixes them.
        truth: Files of the truth, of each data set in their order, to measure the labels' errors.
            Nothing learns from them.
    """

    out: Path
    preset: Literal["paper", "small", "smoke"] = "small"
    labels: Literal["paper", "accurate"] = "paper"
    depths: Depths | None = None
    lifter: Path | None = None
    also: tuple[tuple[str, Path, Path], ...] = ()
    truth: tuple[Path, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    return run("train.deform_and_learn", Options, __doc__, train, arguments)


def train(options: Options, command: str) -> None:
    """Run all rounds. Of several processes, the first one writes and prints."""
    body, teaching = Body.default(), Teaching.of(options, command, options.device)
    recipe = recipe_of(options)
    start = start_of(options, recipe, PRESETS[options.preset])
    data_sets = [in_pictures(options, body)]
    data_sets += [another(*one, body) for one in options.also]
    if options.truth and len(options.truth) != len(data_sets):
        raise UserError(f"--truth: {len(options.truth)} files of {len(data_sets)} data sets")
    truths = [joints_of(t, p, body) for t, (_, p) in zip(options.truth, data_sets, strict=False)]
    albums = [
        Album.of(images, people, start.side, joints)
        for (images, people), joints in zip(
            data_sets, truths or [None] * len(data_sets), strict=True
        )
    ]
    held_out = held_out_of(options, body, start.side)
    if options.depths != "given":
        lifter = None if options.lifter is None else Lifter.load(options.lifter)
        albums, held_out = (
            [replace(album, people=with_depths(album.people, lifter)) for album in some]
            for some in (albums, held_out)
        )
    with teaching.curves() as writer:
        regressor = deform_and_learn(
            body,
            albums,
            start,
            recipe,
            folder=options.out,
            held_out=held_out,
            seed=options.seed,
            device=teaching.device,
            facts=teaching.facts,
            curves=writer,
            tell=teaching.tell,
            watch=teaching.watch(watcher(body, [], albums[0], recipe.registration)),
            report=tell_round if teaching.first else lambda done: None,
        )
    if teaching.first:
        path = options.out / "regressor.safetensors"
        regressor.save(path, **teaching.facts, people=sum(map(len, albums)))
        print(f"{sum(map(len, albums)):,} people; regressor: {path}")


def recipe_of(options: Options) -> Recipe:
    """The preset with what the options change."""
    recipe = PRESETS[options.preset]
    if options.labels == "accurate":
        confidence = "deviation" if recipe.labels.confidence != "none" else "none"
        recipe = replace(
            recipe,
            registration=RegistrationConfig.preset("accurate"),
            labels=replace(recipe.labels, confidence=confidence),
        )
    if options.lifter is not None and options.depths is not None:
        raise UserError("--lifter and --depths both say where depths come from; leave out one")
    if options.depths == "distilled":
        recipe = replace(recipe, lifter=DistilledConfig())
    elif options.depths in ("robust", "paper"):
        recipe = replace(recipe, lifter=AdversarialConfig.preset(options.depths))
    elif options.lifter is not None or options.depths is not None:
        recipe = replace(recipe, lifter=None)
    return changed(recipe, options.set)


def with_depths(people: Observations, lifter: Lifter | None) -> Observations:
    """The people with the depths that a lifter gives, or without depths."""
    return people.with_depths(None) if lifter is None else lifter.lift(people)


def tell_round(done: Round) -> None:
    """Print what a round has found."""
    parts = []
    for entry in done.entries["register"]["labels"]:
        error = f"{entry['bone_mpjpe']:.1f} mm, " if "bone_mpjpe" in entry else ""
        parts.append(f"labels {error}loss {entry['loss']:.5f}, {100 * entry['new']:.0f} % new")
    for errors in done.entries["measure"]["held_out"]:
        parts += [f"{name} {error['bone_mpjpe']:.1f} mm" for name, error in errors.items()]
    share = 100 * done.share("register")
    print(
        f"round {done.number}: {'; '.join(parts)}; registration {share:.1f} % of the time",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
