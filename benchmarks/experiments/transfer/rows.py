"""What is trained: a row for each network, as options of `train.flow` and `train.transfer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.experiments.transfer.people import People
from bodyreg.painting.painter import Kind

Bodies = Literal["fits", "truth"]
"""By which bodies people are painted: those registered to noisy joints, or their true ones."""


PAINTED: dict[Bodies, str] = {"fits": "painted", "truth": "painted-truth"}
"""By which bodies -> name of the task that paints pairs to learn from without training."""


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes:
        learn: People to learn from.
        held_out: People to measure errors of: others, in other clothes and poses.
        side: Pixels of the pictures that networks see.
        flow_pairs, painting_pairs: Of each person, to learn from; there are twenty.
        painting_seconds: CPU-seconds of a row that paints, about.
        flow_set, painting_set: Options of all rows, as of --set.
    """

    learn: People
    held_out: People
    side: int
    flow_pairs: int
    painting_pairs: int
    painting_seconds: float
    flow_set: tuple[str, ...] = ()
    painting_set: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[People, People]:
        """All sets."""
        return self.held_out, self.learn


@dataclass(frozen=True)
class FlowRow:
    """A network that tells flow by joints.

    Attributes:
        title: For people.
        preset: Of `python -m train.flow`.
        set: Further options, as of --set.
        seed: Of everything random.
    """

    title: str
    preset: str = "small"
    set: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class PaintingRow:
    """A network that paints.

    Attributes:
        title: For people.
        kind: As of `python -m train.transfer --preset small`.
        cost: CPU-seconds of a step, measured. Rows of cheap steps get more of them.
        bodies: By which people are painted.
        share: Of `Size.painting_seconds`.
        begin: The row whose generator is used.
        set: Further options, as of --set.
        seed: Of everything random.
    """

    title: str
    kind: Kind
    cost: float
    bodies: Bodies = "fits"
    share: float = 1.0
    begin: str = ""
    set: tuple[str, ...] = ()
    seed: int = 0

    @property
    def paintings(self) -> str:
        """The task that paints what the row refines; none if empty."""
        return PAINTED[self.bodies] if self.kind == "refiner" else ""

    def steps(self, size: Size) -> int:
        """Steps of the training."""
        return max(2, round(self.share * size.painting_seconds / self.cost))


SIZES = {
    "small": Size(
        learn=People(1600, 9101),
        held_out=People(60, 9102),
        side=64,
        flow_pairs=8,
        painting_pairs=8,
        painting_seconds=600,
        flow_set=("epochs=4", "halved_every=1"),
    ),
    "smoke": Size(
        learn=People(3, 9101),
        held_out=People(2, 9102),
        side=32,
        flow_pairs=4,
        painting_pairs=3,
        painting_seconds=1,
        flow_set=(
            "epochs=1",
            "architecture.levels=3",
            "architecture.height=32",
            "architecture.width=32",
            "architecture.channels=4",
        ),
        painting_set=(
            "batch=2",
            "architecture.network.warped=2",
            "architecture.network.levels=3",
            "architecture.network.width=4",
            "architecture.network.widest=8",
            "architecture.height=32",
            "architecture.width=32",
        ),
    ),
}


def gated(gating: str) -> tuple[str, ...]:
    """Options of a generator whose warped features are told of the visibility so."""
    return (f"architecture.network.gating={gating}",)


HALF = {"kind": "generator", "cost": 0.44, "share": 0.5}
WARPER = {"kind": "pixel_warper", "cost": 0.37, "share": 0.5}

FLOW_ROWS = {
    "unet": FlowRow("network `unet`, by joints alone"),
    "correction": FlowRow("network that corrects the fits to noisy joints", "correction"),
    "unet_v2": FlowRow("network `unet_v2`, by joints alone", set=("architecture.kind=unet_v2",)),
}

PAINTING_ROWS = {
    "refiner": PaintingRow("refiner", "refiner", 0.28),
    "no-flow": PaintingRow("no flow", "generator", 0.31, set=("architecture.network.warped=0",)),
    "warped": PaintingRow("warped features", "generator", 0.30, set=gated("none")),
    "residual": PaintingRow("+ visibility: `residual`", "generator", 0.44),
    "half": PaintingRow("`residual`, half of the steps", **HALF),
    "pixel": PaintingRow("+ pixel warping (half and half)", begin="half", **WARPER),
    "refiner-ssim": PaintingRow(
        "refiner that learns SSIM, too", "refiner", 0.29, set=("losses.structure=2",)
    ),
    "refiner-truth": PaintingRow("refiner", "refiner", 0.28, "truth"),
    "hard-gate": PaintingRow(
        "+ visibility: `hard_gate`", "generator", 0.30, set=gated("hard_gate")
    ),
    "soft-gate": PaintingRow(
        "+ visibility: `soft_gate`", "generator", 0.34, set=gated("soft_gate")
    ),
    "residual-alone": PaintingRow(
        "+ a residual block without visibility", "generator", 0.37, set=gated("residual_alone")
    ),
    "plain": PaintingRow("one encoder, no flow", "plain", 0.25),
    "residual-truth": PaintingRow("+ visibility: `residual`", "generator", 0.44, "truth"),
    "half-truth": PaintingRow("`residual`, half of the steps", bodies="truth", **HALF),
    "pixel-truth": PaintingRow(
        "+ pixel warping (half and half)", bodies="truth", begin="half-truth", **WARPER
    ),
    "warped-again": PaintingRow(
        "warped features, another seed", "generator", 0.30, set=gated("none"), seed=1
    ),
    "residual-again": PaintingRow(
        "+ visibility: `residual`, another seed", "generator", 0.44, seed=1
    ),
}

ORDER = ("refiner", "unet", "correction")
ROWS: dict[str, FlowRow | PaintingRow] = {
    name: (FLOW_ROWS | PAINTING_ROWS)[name]
    for name in dict.fromkeys((*ORDER, *PAINTING_ROWS, *FLOW_ROWS))
}
"""Name -> row, in the order in which they are trained: what tells most comes first."""
