"""How a painter learns: the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from bodyreg.painting.discriminator import Discriminator
from bodyreg.painting.lessons import PaintingLessons
from bodyreg.painting.losses import (
    PaintingLossConfig,
    discriminator_loss,
    painting_losses,
    realism_loss,
)
from bodyreg.painting.painter import Painter
from bodyreg.painting.vgg import Vgg19
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.training.loops import (
    batches,
    check_batch,
    check_numbers,
    cosine,
    end_step,
    generator,
    mixed_precision,
    seeded,
    summed,
)
from bodyreg.training.optimizers import Optimizers, set_learning_rate
from bodyreg.training.processes import add_up_gradients
from bodyreg.training.progress import Progress

TOLD = ("colour", "structure", "content", "style", "realism", "discriminator")
"""The losses that are told of a step, unweighted but for the last; 0 if they do not count."""

BETAS, DECAY = (0.5, 0.999), 4e-4
"""Adam's momenta, and the weight decay of the discriminator."""

Watch = Callable[[int, Painter, Curves], dict[str, float]]
"""(step, painter, curves) -> numbers by name, such as errors of pairs that are held out. It does
not change the painter, and may draw pictures into the curves."""


@dataclass(frozen=True)
class PaintingConfig:
    """How a painter learns. The defaults are the paper's, and mirroring.

    Attributes:
        epochs: How often it sees every pair.
        batch: Pairs in a step.
        learning_rate: Adam's.
        muon: Muon's learning rate over that of Adam, for the painter; 0: Adam moves all weights.
            See `training.optimizers`.
        discriminator_rate: That of the discriminator.
        decay: Whether both fall along a cosine to 2 %.
        mirror: Share of pairs that are mirrored.
        mixed_precision: Whether a GPU computes the painter in bfloat16. The discriminator and the
            losses are float32.
        held_out: Share of the people who are held out to measure errors.
        losses: Weights of the losses.
    """

    epochs: int = 30
    batch: int = 8
    learning_rate: float = 2e-4
    muon: float = 0.0
    discriminator_rate: float = 2e-5
    decay: bool = False
    mirror: float = 0.5
    mixed_precision: bool = False
    held_out: float = 0.02
    losses: PaintingLossConfig = field(default_factory=PaintingLossConfig)

    def __post_init__(self) -> None:
        positive = ("epochs", "batch", "learning_rate", "discriminator_rate")
        check_numbers(self, positive, below_one=("held_out",))


def train_painter(
    start: Painter,
    lessons: PaintingLessons,
    config: PaintingConfig | None = None,
    *,
    vgg: Vgg19 | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    state: Path | None = None,
    every: int = 200,
    curves: Curves = NO_CURVES,
    report: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
    watch: Watch = lambda step, painter, curves: {},
) -> Painter:
    """Teach a network to paint.

    The same seed gives the same bits on a CPU with the same number of threads, also if the training
    was killed and goes on from `state`. Processes that torch.distributed has brought together share
    each batch and add up their gradients, so they end where one process does, up to rounding.

    Args:
        start: What is taught; it stays as it is.
        lessons: What it learns from, in pictures of its size; a refiner needs paintings.
        config: How it learns.
        vgg: Compares pictures, see `vgg_for`.
        seed: Of everything random.
        device: Where to compute.
        state: The file that keeps the training's state, from which it goes on.
        every: Steps between two such states, and between two reports.
        curves: Takes the losses.
        report: Is told the number of steps that are done, and the numbers `TOLD` of the last one,
            with what `watch` has found.
        watch: Looks at the painter of now before each report, see `Watch`.

    Raises:
        UserError: there is no pair, or a batch has fewer pairs than there are processes; or the
            state is of another training, or damaged.
        ValueError: the lessons are of another size, or lack paintings, or `vgg` is missing.
    """
    config = config or PaintingConfig()
    how, losses, there = start.architecture, config.losses, torch.device(device)
    check_batch(len(lessons), config.batch, "pair", "pairs")
    if lessons.pairs.size != (how.height, how.width):
        raise ValueError(
            f"lessons: expected pictures of {(how.height, how.width)}, got {lessons.pairs.size}"
        )
    network = copy.deepcopy(start.network).to(there)
    with seeded(seed):
        judge = Discriminator(how.network.batch_statistics).to(there)
    vgg = None if vgg is None else vgg.to(there)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizers = Optimizers(network, config.learning_rate, config.muon, betas=BETAS)
    judges = torch.optim.Adam(
        judge.parameters(), config.discriminator_rate, BETAS, weight_decay=DECAY
    )
    random = generator(seed)
    progress = Progress(
        state,
        made_of={
            "config": asdict(config),
            "architecture": asdict(how),
            "seed": seed,
            "start": fingerprint_of(start.network.state_dict().values()),
            "vgg": None if vgg is None else fingerprint_of(vgg.state_dict().values()),
            "lessons": lessons.fingerprint,
        },
        modules={"network": network, "discriminator": judge},
        optimizers={**optimizers.by_name, "discriminator": judges},
        random=random,
    )
    progress.resume()
    for batch in batches(progress, lessons.pairs.order, config.epochs, config.batch, seed):
        mirror = torch.rand(len(batch), generator=random) < config.mirror
        lesson = lessons.lesson(batch.chosen[batch.own], mirror[batch.own]).to(there)
        share = len(lesson.target) / len(batch)
        adversarial = losses.adversarial > 0 and batch.epoch + 1 >= losses.adversarial_from

        if config.decay:
            falling = cosine(batch.passed, 0.02)
            optimizers.set_share(falling)
            set_learning_rate(falling * config.discriminator_rate, judges)
        network.train()
        with mixed_precision(there, config.mixed_precision):
            painted = network(lesson)
        painted = painted.float()
        found = painting_losses(painted, lesson.target, losses, vgg)
        if adversarial:
            judge.requires_grad_(True)
            of_true = judge(lesson.source, lesson.target, lesson.pose)
            of_painted = judge(lesson.source, painted.detach(), lesson.pose)
            found["discriminator"] = discriminator_loss(of_true, of_painted, losses)
            judges.zero_grad()
            (share * found["discriminator"]).backward()
            add_up_gradients(judge.parameters())
            judges.step()
            judge.requires_grad_(False)
            scores = judge(lesson.source, painted, lesson.pose)
            found["realism"] = realism_loss(scores, True, losses)
        factors = {
            "colour": losses.colour,
            "structure": losses.structure,
            "content": losses.content,
            "style": losses.style,
            "realism": losses.adversarial,
        }
        terms = [factor * found[name] for name, factor in factors.items() if name in found]
        network.zero_grad()
        (share * torch.stack(terms).sum()).backward()
        add_up_gradients(weights)
        optimizers.step()

        none = torch.zeros((), device=there)
        numbers = summed(TOLD, [share * found.get(name, none) for name in TOLD])
        end_step(
            progress,
            numbers,
            last=batch.last,
            every=every,
            curves=curves,
            report=report,
            watch=lambda step: watch(step, Painter(network), curves),
        )
    return Painter(network.to("cpu").eval())
