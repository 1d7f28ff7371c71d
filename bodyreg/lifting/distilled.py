"""A lifter taught by fits of the same people: deform-and-learn on keypoints alone.

A round fits bodies to all people's keypoints, with the depths that the lifter of the round before
gives them, and teaches the lifter what these bodies look like from any side. The truth is not
known: what is learnt is what bodies, their limits and many pictures have in common.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError
from bodyreg.lifting.joints import (
    JOINTS,
    MIDDLES,
    Poses,
    joints_from,
    mirrored,
    normalised,
    poses_of,
    some_hidden,
)
from bodyreg.lifting.lifter import Lifter
from bodyreg.lifting.losses import likelihood
from bodyreg.lifting.network import Generator, check_width
from bodyreg.registration import RegistrationConfig, register
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.training.loops import check_numbers, cosine, generator, seeded
from bodyreg.training.optimizers import set_learning_rate
from bodyreg.training.progress import Progress

NEAREST = 0.3
"""Of a point's distance from the camera over the pelvis'. Nearer points do not grow any more."""


@dataclass(frozen=True)
class DistilledConfig:
    """How a lifter is taught. Lengths are metres of a person as tall as the built-in body.

    Attributes:
        width: Features between the layers of the network.
        rounds: Rounds of fitting and teaching, at most.
        still: Rounds end when the depths of half of the joints change by less than this.
        steps: Steps of a round.
        batch: Bodies in a step.
        learning_rate: Adam's; in each round it falls along a cosine.
        kept: Share of the people, those whose fits have the lowest losses, that teach.
        noise: Mean standard deviation of the noise of keypoints; it differs between people.
        missing: Mean share of joints that are hidden; it differs between people.
        near: Share of bodies that are seen by a camera in perspective.
        nearest: Distance of the nearest camera.
        aside: Standard deviation of the camera's principal point from the pelvis.
        told: Share of these cameras that the lifter is told of.
    """

    width: int = 256
    rounds: int = 4
    still: float = 0.005
    steps: int = 4000
    batch: int = 256
    learning_rate: float = 1e-3
    kept: float = 0.95
    noise: float = 0.02
    missing: float = 0.1
    near: float = 0.5
    nearest: float = 2.0
    aside: float = 0.3
    told: float = 0.6

    def __post_init__(self) -> None:
        positive = ("width", "rounds", "steps", "batch", "learning_rate", "kept", "nearest")
        check_numbers(self, positive)
        check_width(self.width)
        for name in ("kept", "missing", "near", "told"):
            if getattr(self, name) > 1:
                raise UserError(f"option {name} is {getattr(self, name)}; it is a share, at most 1")


class Round(NamedTuple):
    """A round that begins.

    Attributes:
        number: From 1.
        loss: Mean loss of its fits.
        moved: Median change of depths by the round before, metres; infinity if there was none
            before that one.
    """

    number: int
    loss: float
    moved: float


def train_distilled(
    body: Body,
    observations: Observations,
    config: DistilledConfig | None = None,
    registration: RegistrationConfig | None = None,
    *,
    seed: int = 0,
    state: Path | None = None,
    every: int = 500,
    curves: Curves = NO_CURVES,
    report: Callable[[Round], None] = lambda round: None,
) -> Lifter:
    """Teach a lifter by fits.

    The same seed gives the same bits with the same number of threads, also if the training was
    killed and goes on from `state`.

    Args:
        body: The body to fit.
        observations: N people. Only their keypoints are used; people without any teach nothing.
        config: How it is taught.
        registration: How people are fitted; the preset `accurate` if left out.
        seed: Of everything random.
        state: The file that keeps the training's state, from which it goes on.
        every: Steps between two such states.
        curves: Takes the losses.
        report: Is told of each round, when its people are fitted.

    Raises:
        UserError: no person has keypoints, or as `register` and `poses_of`; or the state is of
            another training, or damaged.
    """
    config = config or DistilledConfig()
    registration = registration or RegistrationConfig.preset("accurate")
    people = observations.keypoints_alone()
    people = people.select(people.has_evidence)
    if not len(people):
        raise UserError("no person to learn from has keypoints")
    poses = poses_of(people)
    random = generator(seed)
    with seeded(seed):
        network = Generator(config.width)
    before = copy.deepcopy(network)
    adam = torch.optim.Adam(network.parameters(), config.learning_rate)
    progress = Progress(
        state,
        made_of={
            "config": vars(config),
            "registration": {name: str(value) for name, value in vars(registration).items()},
            "seed": seed,
            "people": fingerprint_of(vars(people).values()),
            "body": body.fingerprint,
        },
        modules={"network": network, "before": before},
        optimizers={"network": adam},
        random=random,
    )
    progress.resume()
    moved = math.inf
    while True:
        number, done = divmod(progress.step, config.steps)
        if done == 0:
            moved = math.inf if number < 2 else _moved(before, network, poses)
            if number >= config.rounds or moved <= config.still:
                return Lifter(network, perspective=True)
            before.load_state_dict(network.state_dict())
        seen = Lifter(before, perspective=True).lift(people) if number else people
        fits = register(body, seen, registration)
        assert fits.loss is not None
        report(Round(number + 1, float(fits.loss.mean()), moved))
        bodies = bodies_of(body, fits, config.kept)
        for step in range(done, config.steps):
            set_learning_rate(config.learning_rate * cosine(step / config.steps), adam)
            view, depth = lesson(bodies, config, random)
            guess, spread = network(view)
            loss = likelihood(guess - depth, spread, view.present)
            adam.zero_grad()
            loss.backward()
            adam.step()
            progress.step += 1
            curves.add_scalar("likelihood", loss.item(), progress.step)
            if progress.step % every == 0 or step + 1 == config.steps:
                progress.save()


def bodies_of(body: Body, fits: Fits, kept: float) -> Tensor:
    """(N, J, 3) joints of fitted bodies, metres from the pelvis, in the camera's axes.

    Args:
        body: The body.
        fits: Its fits, with losses.
        kept: Share of the fits, those of the lowest losses.
    """
    assert fits.loss is not None
    fits = fits.select(fits.loss <= np.quantile(fits.loss, kept))
    places = fits.keypoints(body, COCO_17.keypoints) / fits.scale[:, None, None]
    joints = joints_from(COCO_17.joints, torch.from_numpy(places))
    return joints - joints[:, :1]


def lesson(
    bodies: Tensor, config: DistilledConfig, random: torch.Generator
) -> tuple[Poses, Tensor]:
    """What pictures would show of some bodies (N, J, 3), and the depths that they have.

    Bodies are turned about the vertical axis and mirrored. Cameras are near or far, keypoints have
    noise, and some are missing.

    Returns:
        The poses, and depths (batch, J) in their units.
    """
    count, joints = config.batch, len(JOINTS)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=random)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=random)

    some = bodies[torch.randint(len(bodies), (count,), generator=random)]
    some = mirrored(some).where(uniform(1, 1) < 0.5, some)
    angle = 2 * math.pi * uniform(1)
    x, y, z = some.unbind(2)
    x, z = x * angle.cos() + z * angle.sin(), z * angle.cos() - x * angle.sin()
    flat = torch.stack([x, y], 2)

    inverse = uniform(1) / config.nearest * (uniform(1) < config.near)
    point = config.aside * normal(2)
    nearness = (1 - inverse * z).clamp(min=NEAREST)
    xy = flat + (inverse * z / nearness)[..., None] * (flat - point[:, None])
    xy = xy + 2 * config.noise * uniform(1, 1) * normal(joints, 2)
    for joint, ((one, two), *_) in MIDDLES.items():
        if one in JOINTS:
            xy[:, JOINTS.index(joint)] = (xy[:, JOINTS.index(one)] + xy[:, JOINTS.index(two)]) / 2
    present = some_hidden(count, config.missing, random)
    present[:, JOINTS.index("nose")] *= uniform() < 0.5  # not all data sets have it
    camera = torch.cat([inverse, point], 1) * (uniform(1) < config.told)
    poses = normalised(xy * present[..., None], present, camera)
    return poses, z / poses.size.clamp(min=SMALLEST)[:, None]


SMALLEST = 0.2
"""Size of a body that seems so small that its depths would be huge in its own units."""


def _moved(one: Generator, other: Generator, poses: Poses) -> float:
    """Median distance between the depths of two networks, in the poses' units."""
    (a, _), (b, _) = (Lifter(network, perspective=True).depths(poses) for network in (one, other))
    return float(((a - b).abs() / poses.size[:, None]).nanmedian())
