"""How a network learns flow: the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from bodyreg.flow.augmentation import FlowAugmentation
from bodyreg.flow.lessons import Lessons
from bodyreg.flow.losses import FlowLossConfig, end_point_error, losses_of
from bodyreg.flow.regressor import FlowRegressor
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.training.loops import (
    batches,
    check_batch,
    check_numbers,
    end_step,
    generator,
    mixed_precision,
    summed,
)
from bodyreg.training.optimizers import Optimizers
from bodyreg.training.processes import add_up_gradients
from bodyreg.training.progress import Progress

TOLD = ("flow", "visibility", "parts", "epe")
"""What is told of a step: the unweighted losses, and the end-point error in pixels."""

Watch = Callable[[int, FlowRegressor, Curves], dict[str, float]]
"""(step, regressor, curves) -> numbers by name, such as errors of people who are held out. It does
not change the regressor, and may draw pictures into the curves."""


@dataclass(frozen=True)
class FlowLearningConfig:
    """How a flow network learns. The defaults are the paper's on DeepFashion, and mirroring.

    Attributes:
        epochs: How often it sees every pair.
        batch: Pairs in a step.
        learning_rate: Adam's.
        muon: Muon's learning rate over that of Adam; 0: Adam moves all weights. See
            `training.optimizers`.
        halved_every: Epochs after which it is halved; the first time an epoch earlier, as in the
            paper. 0: never.
        weight_decay: Adam's.
        mixed_precision: Whether a GPU computes the network in bfloat16.
        held_out: Share of the people who are held out to measure errors.
        losses: Weights of the losses.
        augmentation: How pairs are changed.
    """

    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-4
    muon: float = 0.0
    halved_every: int = 8
    weight_decay: float = 4e-4
    mixed_precision: bool = False
    held_out: float = 0.02
    losses: FlowLossConfig = field(default_factory=FlowLossConfig)
    augmentation: FlowAugmentation = field(default_factory=FlowAugmentation)

    def __post_init__(self) -> None:
        check_numbers(self, ("epochs", "batch", "learning_rate"), below_one=("held_out",))

    def falling(self, epoch: int) -> float:
        """The learning rate of an epoch, which counts from 0, over that of the first one."""
        halved = (epoch + 1) // self.halved_every if self.halved_every else 0
        return 0.5**halved


def train_flow(
    start: FlowRegressor,
    lessons: Lessons,
    config: FlowLearningConfig | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    state: Path | None = None,
    every: int = 200,
    curves: Curves = NO_CURVES,
    report: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
    watch: Watch = lambda step, regressor, curves: {},
) -> FlowRegressor:
    """Teach a network flow and visibility.

    The same seed gives the same bits on a CPU with the same number of threads, also if the training
    was killed and goes on from `state`. Processes that torch.distributed has brought together share
    each batch and add up their gradients, so they end where one process does, up to rounding.

    Args:
        start: What is taught; it stays as it is.
        lessons: What it learns from, in pictures of its size; nothing of them is held out here.
        config: How it learns.
        seed: Of everything random.
        device: Where to compute.
        state: The file that keeps the training's state, from which it goes on.
        every: Steps between two such states, and between two reports.
        curves: Takes the losses.
        report: Is told the number of steps that are done, and the numbers `TOLD` of the last one,
            with what `watch` has found.
        watch: Looks at the regressor of now before each report, see `Watch`.

    Raises:
        UserError: there is no pair, or a batch has fewer pairs than there are processes; or the
            state is of another training, or damaged.
        ValueError: the lessons' pictures are of another size, or lack fits that it corrects.
    """
    config = config or FlowLearningConfig()
    how = start.architecture
    check_batch(len(lessons), config.batch, "pair", "pairs")
    if lessons.size != how.size:
        raise ValueError(f"lessons: expected pictures of {how.size}, got {lessons.size}")
    if how.corrects and lessons.fitted is None:
        raise ValueError("lessons: expected fits, whose flow the network corrects, got None")
    network = copy.deepcopy(start.network).to(device)
    config.losses.level_weights(how.levels)
    optimizers = Optimizers(
        network, config.learning_rate, config.muon, weight_decay=config.weight_decay
    )
    random = generator(seed)
    progress = Progress(
        state,
        made_of={
            "config": asdict(config),
            "architecture": asdict(how),
            "seed": seed,
            "start": fingerprint_of(start.network.state_dict().values()),
            "lessons": lessons.fingerprint,
        },
        modules={"network": network},
        optimizers=optimizers.by_name,
        random=random,
    )
    progress.resume()
    for batch in batches(progress, lessons.order, config.epochs, config.batch, seed):
        optimizers.set_share(config.falling(batch.epoch))
        changes = config.augmentation.draw(len(batch), random).select(batch.own)
        lesson = lessons.lesson(batch.chosen[batch.own], changes).to(torch.device(device))

        network.train()
        given = lesson.given if how.corrects else ()
        with mixed_precision(torch.device(device), config.mixed_precision):
            guess = network(lesson.joints, *given)
        losses = losses_of(
            config.losses,
            guess,
            *(lesson.flow, lesson.visibility, lesson.source, lesson.target),
        )
        loss = config.losses.total(losses).sum() / len(batch)
        network.zero_grad()
        loss.backward()
        add_up_gradients(network.parameters())
        optimizers.step()

        with torch.no_grad():
            errors = end_point_error(guess.flow.float(), lesson.flow, lesson.visibility)
        numbers = summed(TOLD, [x.sum() / len(batch) for x in (*losses.values(), errors)])
        end_step(
            progress,
            numbers,
            last=batch.last,
            every=every,
            curves=curves,
            report=report,
            watch=lambda step: watch(step, FlowRegressor(network), curves),
        )
    return FlowRegressor(network.to("cpu").eval())
