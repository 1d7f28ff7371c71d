"""What is trained: a row for each training, as options of `python -m train.deform_and_learn`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.experiments.bodies.people import People
from bodyreg.lifting import AdversarialConfig, DistilledConfig

ROUNDS = 5
"""Of the paper. Most trainings have as many units of epochs."""


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes:
        crowd, studio: People to learn from, of each kind.
        held_out: People of each kind to measure errors of.
        side: Pixels of the network's pictures.
        epochs: Of a unit; a training has five.
        refits: People of each kind whose pictures the network is refitted to.
        set: Options of all rows.
        lifters: How lifters are taught.
    """

    crowd: int
    studio: int
    held_out: int
    side: int
    epochs: int
    refits: int
    set: tuple[str, ...]
    lifters: dict[str, AdversarialConfig | DistilledConfig]

    @property
    def learn(self) -> dict[str, People]:
        """Kind -> the people to learn from."""
        counts = {"crowd": self.crowd, "studio": self.studio}
        return {kind: People(kind, n, 9001 + 2 * place) for place, (kind, n) in _numbered(counts)}

    @property
    def held(self) -> dict[str, People]:
        """Kind -> the people who are held out: other people, in other clothes and poses."""
        counts = {"crowd": self.held_out, "studio": self.held_out}
        return {kind: People(kind, n, 9002 + 2 * place) for place, (kind, n) in _numbered(counts)}


def _numbered(counts: dict[str, int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(counts.items()))


PLAIN = (
    "labels.keep_best=false",
    "labels.confidence=none",
    "learning.muon=0",
    "learning.losses.position_weight=0",
    "architecture.six_numbers=false",
)
"""All labels weigh 1, the network gives nine numbers for a rotation, and Adam moves all weights, as
in the paper."""

SIZES = {
    "small": Size(
        crowd=12500,
        studio=8000,
        held_out=500,
        side=64,
        epochs=8,
        refits=100,
        set=(
            "architecture.width=24",
            "learning.losses.parameter_weight=50",
            "learning.learning_rate=1e-3",
            "learning.average=0.999",
            "learning.augmentation.angle=0.2",
            "learning.augmentation.zoom=0.1",
            "learning.augmentation.blur=0.1",
            "learning.augmentation.occlusion=0.1",
        ),
        lifters={"robust": AdversarialConfig(), "distilled": DistilledConfig()},
    ),
    "smoke": Size(
        crowd=10,
        studio=8,
        held_out=6,
        side=32,
        epochs=1,
        refits=2,
        set=("architecture.width=8", "side=32", "learning.batch=6", "registration.iterations=5"),
        lifters={
            "robust": AdversarialConfig(width=8, steps=3, batch=8),
            "distilled": DistilledConfig(width=8, rounds=1, steps=3, batch=8),
        },
    ),
}


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        title: For people.
        labels: The preset of `register` that fits the labels, or the truth.
        lifter: What gives keypoints their depths.
        rounds: Rounds of registration and learning.
        units: Epochs of a round, in units of the size's.
        set: Further options, as of --set.
        sets: Kinds of people to learn from.
        begin: The row whose network is taught; a new one if empty.
        seed: Of everything random.
    """

    title: str
    labels: Literal["paper", "accurate", "truth"] = "paper"
    lifter: Literal["robust", "distilled", "none"] = "robust"
    rounds: int = 1
    units: float = ROUNDS
    set: tuple[str, ...] = ()
    sets: tuple[str, ...] = ("crowd", "studio")
    begin: str = ""
    seed: int = 0

    def options(self, size: Size) -> tuple[str, ...]:
        """--set of `python -m train.deform_and_learn`."""
        epochs = self.epochs(size, size.epochs)
        return (f"rounds={self.rounds}", f"learning.epochs={epochs}", *PLAIN, *size.set, *self.set)

    def epochs(self, size: Size, unit: int) -> int:
        """Epochs of a round, if a unit has so many.

        Fewer people are seen more often: all trainings of as many units see as many pictures.
        """
        counts = {kind: people.count for kind, people in size.learn.items()}
        more = sum(counts.values()) / sum(counts[kind] for kind in self.sets)
        return max(1, round(unit * self.units * more))


EVIDENCE_ALONE = ("learning.losses.parameter_weight=0",)
BODIES = (
    "learning.losses.scale_smoothness_weight=0.05",
    "learning.losses.joint_weight=0.001",
    "learning.losses.exponential_weight=0.001",
)
"""The registration's terms of bodies, for a network that learns without labels."""

POSITIONS = ("learning.losses.position_weight=5",)
"""Labels also teach where joints are."""

MUON = (*POSITIONS, "learning.muon=20")

FIVE = {"rounds": ROUNDS, "units": 1}
TRUSTED = ("labels.keep_best=true", "labels.confidence=loss")

ROWS = {
    "one": Row("one long round"),
    "five": Row("five rounds", **FIVE),
    "truth": Row("taught by the truth", labels="truth", lifter="none"),
    "accurate": Row("`accurate` labels, one long round", labels="accurate", lifter="distilled"),
    "distilled-one": Row("distilled lifting, one long round", lifter="distilled"),
    "single-without": Row(
        "single step without lifted depths and terms of joints",
        lifter="none",
        set=(*EVIDENCE_ALONE, BODIES[0]),
    ),
    "single": Row("single step with all losses", set=(*EVIDENCE_ALONE, *BODIES)),
    "crowd": Row("the crowd alone", sets=("crowd",)),
    "studio": Row("the studio alone", sets=("studio",)),
    "accurate-fifth": Row(
        "`accurate` labels, a fifth of the compute", labels="accurate", lifter="distilled", units=1
    ),
    "positions": Row(
        "`accurate` labels and their joints",
        labels="accurate",
        lifter="distilled",
        set=POSITIONS,
    ),
    "muon": Row(
        "`accurate` labels and their joints, by Muon",
        labels="accurate",
        lifter="distilled",
        set=MUON,
    ),
    "proper": Row(
        "`accurate` labels and their joints, by Muon, no reflections",
        labels="accurate",
        lifter="distilled",
        set=(*MUON, "architecture.six_numbers=true"),
    ),
    "trusted-five": Row(
        "five rounds, labels kept and weighed by their losses", set=TRUSTED, **FIVE
    ),
    "deviation": Row(
        "`accurate` labels weighed by their deviations, one long round",
        labels="accurate",
        lifter="distilled",
        set=("labels.confidence=deviation",),
    ),
    "pose": Row(
        "a fifth on 2-D evidence alone", set=(*EVIDENCE_ALONE, *BODIES), lifter="none", units=1
    ),
    "pose-then-accurate": Row(
        "2-D evidence alone in the first fifth, then `accurate` labels",
        labels="accurate",
        lifter="distilled",
        units=ROUNDS - 1,
        begin="pose",
    ),
    "one-again": Row("one long round, another seed", seed=1),
    "five-again": Row("five rounds, another seed", seed=1, **FIVE),
}
"""Name -> row, in the order in which they are trained: what tells most comes first."""
