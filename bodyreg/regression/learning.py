"""How a network learns to see bodies: the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from bodyreg.body import Body, Parameters
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.regression.augmentation import AugmentationConfig
from bodyreg.regression.lessons import Lessons
from bodyreg.regression.losses import (
    LossConfig,
    evidence_losses,
    evidence_of,
    in_views,
    label_losses,
    rig_of,
    total,
)
from bodyreg.regression.regressor import Regressor
from bodyreg.regression.views import MARGIN
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.training.loops import (
    batches,
    check_batch,
    check_numbers,
    cosine,
    end_step,
    follow,
    generator,
    mixed_precision,
    summed,
)
from bodyreg.training.optimizers import Optimizers
from bodyreg.training.processes import add_up_gradients
from bodyreg.training.progress import Progress

TOLD = ("parameter", "position", "dense", "keypoint", "depth")
"""The losses that are told of a step, unweighted means over its people."""

Watch = Callable[[int, Regressor, Curves], dict[str, float]]
"""(step, regressor, curves) -> numbers by name, such as errors of people who are held out. It does
not change the regressor, and may draw pictures into the curves."""


@dataclass(frozen=True)
class LearningConfig:
    """How a network learns. The defaults suit a small network; the paper's are of `paper`.

    Attributes:
        epochs: How often it sees every person.
        batch: People in a step.
        learning_rate: Adam's.
        muon: Muon's learning rate over that of Adam; 0: Adam moves all weights. See
            `training.optimizers`.
        decay: Whether it falls along a cosine to 2 %.
        part: From where to where on this cosine, from 0 to 1; a round of several takes a part.
        mixed_precision: Whether a GPU computes the network in bfloat16. Weights, what the network
            says and losses are float32, and so is everything on a CPU.
        clip: Length to which longer gradients are cut.
        average: Decay rate of the moving average of the weights, which becomes the regressor; at
            the start it is less; 0: the last weights do.
        losses: Weights of the losses.
        augmentation: How pictures are changed.
    """

    epochs: int = 30
    batch: int = 64
    learning_rate: float = 1e-3
    muon: float = 0.0
    decay: bool = True
    part: tuple[float, float] = (0.0, 1.0)
    mixed_precision: bool = True
    clip: float = 1.0
    average: float = 0.999
    losses: LossConfig = field(default_factory=LossConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        check_numbers(self, ("batch", "learning_rate", "clip"), below_one=("average",))
        if len(self.part) != 2 or not 0 <= self.part[0] <= self.part[1] <= 1:
            raise UserError(
                f"option part is {self.part}; give two numbers of 0 to 1, the lower first"
            )

    @classmethod
    def paper(cls) -> LearningConfig:
        """One round of the paper: 50 epochs of batches of 30."""
        return cls(epochs=50, batch=30, learning_rate=1e-4, decay=False, average=0.0)


def train_regressor(
    body: Body,
    start: Regressor,
    lessons: Lessons,
    config: LearningConfig | None = None,
    registration: RegistrationConfig | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    state: Path | None = None,
    every: int = 200,
    curves: Curves = NO_CURVES,
    report: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
    watch: Watch = lambda step, regressor, curves: {},
) -> Regressor:
    """Teach a network what people's bodies are.

    The same seed gives the same bits on a CPU with the same number of threads, also if the training
    was killed and goes on from `state`. Processes that torch.distributed has brought together share
    each batch and add up their gradients, so they end where one process does, up to rounding.

    Args:
        body: The body of the labels.
        start: What is taught; it stays as it is.
        lessons: What it learns from, in pictures of its side.
        config: How it learns.
        registration: Says what the cameras are, and how the spread of a depth counts; the preset
            `accurate` if left out.
        seed: Of everything random.
        device: Where to compute.
        state: The file that keeps the training's state, from which it goes on.
        every: Steps between two such states, and between two reports.
        curves: Takes the losses.
        report: Is told the number of steps that are done, and the losses of the last one, with what
            `watch` has found.
        watch: Looks at the regressor of now before each report, see `Watch`.

    Raises:
        UserError: there is no person or loss to learn from, or a batch has fewer people than there
            are processes; or the state is of another training, or damaged.
        ValueError: the lessons' pictures are of another side.
    """
    config = config or LearningConfig()
    registration = registration or RegistrationConfig.preset("accurate")
    check_batch(len(lessons), config.batch, "person", "people")
    if lessons.crops.shape[2] != round(MARGIN * start.side):
        raise ValueError(
            f"lessons: expected crops of {round(MARGIN * start.side)} pixels, got "
            f"{lessons.crops.shape[2]}"
        )
    network = copy.deepcopy(start.network).to(device)
    average = copy.deepcopy(network)
    optimizers = Optimizers(network, config.learning_rate, config.muon)
    random = generator(seed)
    progress = Progress(
        state,
        made_of={
            "config": asdict(config),
            "registration": {name: str(value) for name, value in vars(registration).items()},
            "seed": seed,
            "start": fingerprint_of(start.network.state_dict().values()),
            "lessons": fingerprint_of(
                (
                    *vars(lessons.people).values(),
                    *(lessons.crops, *lessons.labels, lessons.confidence),
                    *(lessons.parts, lessons.shares),
                )
            ),
            "body": body.fingerprint,
        },
        modules={"network": network, "average": average},
        optimizers=optimizers.by_name,
        random=random,
    )
    progress.resume()
    rig = rig_of(body, lessons.people.keypoint_name, torch.device(device))
    evidence = evidence_of(rig, lessons.people, registration)
    network.train()
    for batch in batches(progress, lessons.order, config.epochs, config.batch, seed):
        if config.decay:
            begin, end = config.part
            optimizers.set_share(cosine(begin + (end - begin) * batch.passed, 0.02))

        mine = batch.chosen[batch.own]
        views = config.augmentation.views(len(batch), random).select(batch.own)
        looks = config.augmentation.looks(len(batch), random).select(batch.own)
        seen = in_views(evidence.select(mine), views, torch.device(device))
        crops, confidence = lessons.crops[mine].to(device), lessons.confidence[mine].to(device)
        labels = Parameters(*(block[mine].to(device) for block in lessons.labels))
        views, looks = views.to(device), looks.to(device)

        pictures = looks.show(views.show(crops.float() / 255, start.side))
        with mixed_precision(torch.device(device), config.mixed_precision):
            seen_bodies = network(pictures)
        found = views.undo(seen_bodies)
        of_labels = label_losses(rig, found, labels)
        of_evidence = evidence_losses(rig, seen, found, config.losses.of_bodies)
        loss = total(config.losses, of_labels, of_evidence, confidence).sum() / len(batch)
        if not loss.requires_grad:
            raise UserError(
                "nothing to learn from: no loss has both a weight and something to read"
            )
        network.zero_grad()
        loss.backward()
        add_up_gradients(network.parameters())
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizers.step()
        # The average of few steps must not remember the start.
        follow(average, network, min(config.average, (1 + progress.step) / (10 + progress.step)))

        terms = {name: confidence * term for name, term in of_labels.items()} | of_evidence
        none = torch.zeros_like(confidence)
        numbers = summed(TOLD, [terms.get(name, none).sum() / len(batch) for name in TOLD])
        end_step(
            progress,
            numbers,
            last=batch.last,
            every=every,
            curves=curves,
            report=report,
            watch=lambda step: watch(step, Regressor(average, start.side), curves),
        )
    return Regressor(average.to("cpu").eval(), start.side, body=body.fingerprint)
