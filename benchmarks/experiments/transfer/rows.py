"""What is trained: a row for each network, as options of `train.flow` and `train.transfer`."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.experiments.transfer.people import Bodies, People
from bodyreg.painting.painter import Kind

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


FLOW_ROWS = {
    "unet": FlowRow("network `unet`, by joints alone"),
    "correction": FlowRow("network that corrects the fits to noisy joints", "correction"),
}

WITHOUT_FLOW = ("architecture.network.warped=0",)
WARPED = ("architecture.network.gating=none",)
SSIM = ("losses.structure=2",)

PAINTING_ROWS = {
    "plain": PaintingRow("one encoder, no flow", "plain", 0.25),
    "no-flow": PaintingRow("no flow", "generator", 0.31, set=WITHOUT_FLOW),
    "warped": PaintingRow("warped features", "generator", 0.30, set=WARPED),
    "residual": PaintingRow("+ visibility", "generator", 0.44),
    "half": PaintingRow("+ visibility, half of the steps", "generator", 0.44, share=0.5),
    "pixel": PaintingRow(
        "+ pixel warping (half and half)", "pixel_warper", 0.37, share=0.5, begin="half"
    ),
    "refiner": PaintingRow("refiner", "refiner", 0.28),
    "refiner-ssim": PaintingRow("refiner that learns SSIM, too", "refiner", 0.29, set=SSIM),
    "residual-dense": PaintingRow("+ visibility", "generator", 0.44, "dense"),
    "residual-truth": PaintingRow("+ visibility", "generator", 0.44, "truth"),
    "refiner-truth": PaintingRow("refiner", "refiner", 0.28, "truth"),
    "warped-again": PaintingRow(
        "warped features, another seed", "generator", 0.30, set=WARPED, seed=1
    ),
    "residual-again": PaintingRow("+ visibility, another seed", "generator", 0.44, seed=1),
}
"""The paper's ablation, from `plain` to `pixel`; the refiner; better bodies; other seeds."""

ROWS: dict[str, FlowRow | PaintingRow] = FLOW_ROWS | PAINTING_ROWS
"""Name -> row, in the order in which they are trained."""
