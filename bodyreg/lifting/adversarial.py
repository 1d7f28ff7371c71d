"""A lifter trained against a judge, from 2-D poses alone.

The cGAN of "Learning Body Shape and Pose from Dense Correspondences" (Yoshiyasu & Gamez, 2019).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from bodyreg.errors import UserError
from bodyreg.lifting.joints import JOINTS, Poses, some_hidden
from bodyreg.lifting.lifter import Lifter, known_joints
from bodyreg.lifting.losses import (
    bone_ratio,
    bone_symmetry,
    facing,
    fronts,
    joints_of,
    judged,
    likelihood,
    seen_from,
    upright,
)
from bodyreg.lifting.network import Discriminator, Generator, check_width
from bodyreg.lifting.sign import calibrated_sign
from bodyreg.training.checkpoints import fingerprint_of
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.training.loops import (
    check_numbers,
    cosine,
    end_step,
    follow,
    generator,
    seeded,
)
from bodyreg.training.optimizers import set_learning_rate
from bodyreg.training.progress import Progress

FIXED_VIEWS = torch.arange(1, 8) * math.pi / 4
"""Radians. The paper has fixed views and does not say which; these are around the circle, without
the view of the picture itself."""

SPREAD_FACTOR = 3.0
"""A network knows how far it disagrees with itself from another side. Errors that it makes from all
sides are larger: on made people, depths were three times as far from the truth."""

SPREAD_SHARE = 0.02
"""Weight of the likelihood that teaches the spread, against the squared error of the depths. The
depths are hardly taught by it."""


Views = Literal["every", "fixed", "one", "random", "matched"]


@dataclass(frozen=True)
class AdversarialConfig:
    """Weights and schedule of the training. The defaults are the preset `robust`.

    A weight of 0 removes its term. Lengths are in units of `Poses`, about metres.

    Attributes:
        width: Features between the layers of both networks.
        steps: Steps of each of the two networks.
        batch: Poses in a step.
        learning_rate: Adam's.
        decay: Whether it falls along a cosine to 5 %.
        first_moment: Adam's first decay rate.
        average: Decay rate of the moving average of the weights, which becomes the lifter; 0: the
            last weights do.
        adversarial_weight: How real the lifted poses look from other sides.
        ratio_weight: Squared error of bones against the trunk, by the built-in body.
        symmetry_weight: Squared difference of the two sides' bones, in shares of the trunk.
        facing_weight: Hinge on heads, hips, knees and elbows that bend the wrong way.
        upright_weight: Squared sine of the trunk's lean toward or away from the viewer.
        again_weight: Squared difference from what the network lifts of the lifted pose as it is
            seen from another side.
        missing: Mean share of joints that are hidden; it differs between people.
        judge_noise: Standard deviation of noise on all joints that are judged, so that poses of
            pictures are not known by the habits of their annotators.
        views: Sides from which lifted poses are seen: one of seven fixed ones (`fixed`; `every`
            takes all of them at once), 90 degrees (`one`), any (`random`), or the sides from which
            other people of the batch are lifted to be seen (`matched`), because pictures do not
            show people equally from all sides.
    """

    width: int = 128
    steps: int = 700
    batch: int = 256
    learning_rate: float = 1e-3
    decay: bool = True
    first_moment: float = 0.5
    average: float = 0.99
    adversarial_weight: float = 0.5
    ratio_weight: float = 0.1
    symmetry_weight: float = 0.1
    facing_weight: float = 1.0
    upright_weight: float = 1.0
    again_weight: float = 1.0
    missing: float = 0.05
    judge_noise: float = 0.05
    views: Views = "matched"

    def __post_init__(self) -> None:
        positive = ("width", "steps", "batch", "learning_rate")
        check_numbers(self, positive, below_one=("first_moment", "average", "missing"))
        check_width(self.width)
        views = get_args(Views)
        if self.views not in views:
            raise UserError(f"option views is '{self.views}'; choose one of: {', '.join(views)}")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> AdversarialConfig:
        """A named configuration, with fields changed by keyword.

        Args:
            name: `robust`, the defaults, or `paper`: as the paper writes it. On a CPU this is slow;
                a smaller width and batch make it fast.
            **changes: Field -> value.

        Raises:
            UserError: unknown preset.
        """
        if name not in PRESETS:
            raise UserError(f"preset '{name}' is unknown; choose one of: {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)


PRESETS = {
    "robust": AdversarialConfig(),
    "paper": AdversarialConfig(
        width=1024,
        steps=1200,  # 60 epochs of MPII's 20,000 poses
        batch=1024,
        learning_rate=2e-4,
        decay=False,
        average=0.0,
        adversarial_weight=0.1,
        ratio_weight=1.0,
        symmetry_weight=1.0,
        facing_weight=0.0,
        upright_weight=0.0,
        again_weight=0.0,
        missing=0.0,
        judge_noise=0.0,
        views="every",
    ),
}
"""Named configurations."""


def train_adversarial(
    poses: Poses,
    config: AdversarialConfig | None = None,
    *,
    seed: int = 0,
    state: Path | None = None,
    every: int = 200,
    curves: Curves = NO_CURVES,
    report: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
) -> Lifter:
    """Train a lifter on 2-D poses.

    The same seed gives the same bits with the same number of threads, also if the training was
    killed and goes on from `state`.

    Args:
        poses: N people; those without a pelvis, by which depths count, are not used. The cameras
            are not read: rays are parallel.
        config: Weights and schedule; the preset `robust` if left out.
        seed: Of everything random.
        state: The file that keeps the training's state, from which it goes on.
        every: Steps between two such states, and between two reports.
        curves: Takes the losses.
        report: Is told the number of steps that are done, and the losses.

    Raises:
        UserError: no person has both hips; or the state is of another training, or damaged.
    """
    config = config or AdversarialConfig()
    poses = poses.select(poses.present[:, 0] > 0)
    if not len(poses):
        raise UserError("no person to learn from has both hips")
    joints = known_joints(poses)
    poses = poses.seen_by(poses.present.new_tensor([float(n in joints) for n in JOINTS]), False)

    random = generator(seed)
    with seeded(seed):
        lifting, judge = Generator(config.width), Discriminator(config.width)
    average = copy.deepcopy(lifting)
    betas = config.first_moment, 0.999
    lifting_adam, judge_adam = (
        torch.optim.Adam(network.parameters(), config.learning_rate, betas)
        for network in (lifting, judge)
    )
    progress = Progress(
        state,
        made_of={
            "config": vars(config),
            "seed": seed,
            "poses": fingerprint_of(vars(poses).values()),
        },
        modules={"lifting": lifting, "judge": judge, "average": average},
        optimizers={"lifting": lifting_adam, "judge": judge_adam},
        random=random,
    )
    progress.resume()
    while progress.step < config.steps:
        rate = config.learning_rate
        if config.decay:
            rate *= cosine(progress.step / config.steps, 0.05)
        set_learning_rate(rate, lifting_adam, judge_adam)

        batch = sampled(poses, config, random)
        depth, _ = lifting(batch)
        body = joints_of(batch, depth)
        count = len(FIXED_VIEWS) if config.views == "every" else 1
        many, bodies = batch.repeated(count), body.repeat(count, 1, 1)
        seen, seen_depth = seen_from(many, bodies, _angles(config.views, bodies, random))

        terms: dict[str, Tensor] = {}
        if config.adversarial_weight:
            real = sampled(poses, config, random)
            noisy = functools.partial(_noisy, config.judge_noise, random)
            judging = judged(judge(noisy(real)), real=True)
            judging = judging + judged(judge(noisy(seen.detached())), real=False)
            judge_adam.zero_grad()
            judging.backward()
            judge_adam.step()
            judge.requires_grad_(False)
            terms["adversarial"] = judged(judge(noisy(seen)), real=True)
            judge.requires_grad_(True)
            curves.add_scalar("judge", judging.item(), progress.step)
        terms["ratio"] = bone_ratio(batch, body)
        terms["symmetry"] = bone_symmetry(batch, body)
        terms["facing"] = facing(batch, body)
        terms["upright"] = upright(batch, body)
        if config.again_weight:
            view = seen.select(slice(0, len(batch)))
            again, spread = lifting(view)
            error = (again - seen_depth[: len(batch)]) * view.present
            terms["again"] = error.square().sum(1).mean() / 2 + SPREAD_SHARE * likelihood(
                error, spread, view.present
            )
        loss = torch.stack([getattr(config, f"{n}_weight") * t for n, t in terms.items()]).sum()
        lifting_adam.zero_grad()
        loss.backward()
        lifting_adam.step()
        follow(average, lifting, config.average)

        end_step(
            progress,
            {name: term.item() for name, term in terms.items()},
            last=progress.step + 1 == config.steps,
            every=every,
            curves=curves,
            report=report,
        )
    sign = calibrated_sign(average, poses)
    return Lifter(average, joints, sign, spread_factor=SPREAD_FACTOR)


def sampled(poses: Poses, config: AdversarialConfig, random: torch.Generator) -> Poses:
    """A batch of people, drawn with replacement; half of them mirrored, some joints hidden."""
    some = poses.select(torch.randint(len(poses), (config.batch,), generator=random))
    some = some.where(torch.rand(config.batch, generator=random) < 0.5, some.mirrored())
    if not config.missing:
        return some
    known = some_hidden(config.batch, config.missing, random)
    known[:, 0] = 1  # depths count from the pelvis
    return some.seen_by(known, False)


def _noisy(noise: float, random: torch.Generator, poses: Poses) -> Poses:
    """The poses with noise on the joints that are present."""
    if not noise:
        return poses
    moves = noise * torch.randn(poses.xy.shape, generator=random)
    return replace(poses, xy=poses.xy + moves * poses.present[..., None])


def _angles(views: str, joints: Tensor, random: torch.Generator) -> Tensor:
    """(N,) radians, the turns from which joints (N, J, 3) are seen."""
    count = len(joints)
    if views == "every":
        return FIXED_VIEWS.repeat_interleave(count // len(FIXED_VIEWS))
    if views == "fixed":
        return FIXED_VIEWS[torch.randint(len(FIXED_VIEWS), (count,), generator=random)]
    if views == "one":
        return torch.full((count,), math.pi / 2)
    if views == "random":
        return 2 * math.pi * torch.rand(count, generator=random)
    with torch.no_grad():
        x, _, z = fronts(joints).unbind(1)
        yaw = torch.atan2(x, z)
    return yaw[torch.randperm(count, generator=random)] - yaw
