"""Train a lifter, which gives keypoints their depths, on 2-D poses alone.

    python -m train.lift --mpii poses.npy --out runs/lifter
    python -m train.lift --observations people.npz --preset robust --out runs/cgan
    python -m train.lift --poses poses.npy --skeleton COCO-17 --out runs/lifter
    bodyreg lift --observations people.npz --lifter runs/lifter/lifter.safetensors --out lifted.npz

If the command was killed, the same command continues, and ends with the same numbers. They depend
on the number of threads, OMP_NUM_THREADS; without it there is one. It needs `pip install
bodyreg[train]`.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from bodyreg import Body, Observations, UserError
from bodyreg.cli.sources import Sources, missing_source
from bodyreg.data.frames import spread_out
from bodyreg.data.skeletons import SKELETONS
from bodyreg.lifting import (
    AdversarialConfig,
    DistilledConfig,
    Round,
    train_adversarial,
    train_distilled,
)
from bodyreg.lifting.joints import poses_of
from bodyreg.npz import load_npy
from train.options import Teaching, changed, people_of, run


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    """Options of `python -m train.lift`.

    Attributes:
        out: Folder of lifter.safetensors, and of the training's state.
        poses: 2-D poses (.npy): (N, J, 2) or (N, 2 J) pixels, y down; NaN = absent.
        skeleton: The joints of --poses, by name: COCO-17, MPII-16, H36M-17 ...
        preset: distilled: taught by fits of the same people. robust, paper: against a judge (cGAN).
        seed: Of everything random.
        set: Other fields of DistilledConfig or AdversarialConfig, as NAME=VALUE.
        curves: Folder of TensorBoard's curves.
    """

    out: Path
    poses: Path | None = None
    skeleton: str = "COCO-17"
    preset: Literal["distilled", "robust", "paper"] = "distilled"
    seed: int = 0
    set: tuple[str, ...] = ()
    curves: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    return run("train.lift", Options, __doc__, train, arguments)


def train(options: Options, command: str) -> None:
    """Train a lifter, and write it."""
    body, teaching = Body.default(), Teaching.of(options, command)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # the network is so small that threads wait for each other
    people = taught(options, body)
    print(f"{len(people):,} people to learn from", flush=True)
    state = options.out / "state.safetensors"
    with teaching.curves() as writer:
        if options.preset == "distilled":
            lifter = train_distilled(
                body,
                people,
                changed(DistilledConfig(), options.set),
                seed=options.seed,
                state=state,
                curves=writer,
                report=tell_round,
            )
        else:
            lifter = train_adversarial(
                poses_of(people),
                changed(AdversarialConfig.preset(options.preset), options.set),
                seed=options.seed,
                state=state,
                curves=writer,
                report=teaching.tell,
            )
    path = options.out / "lifter.safetensors"
    teaching.keep(lifter, path, "lifter", len(people), "people")


def taught(options: Options, body: Body) -> Observations:
    """The people that the options name."""
    if options.poses is None:
        return people_of(options, body, ", or --poses,")
    if not missing_source(options):
        raise UserError("give --poses or a file of people, not both")
    if options.skeleton not in SKELETONS:
        raise UserError(f"--skeleton {options.skeleton}: choose one of {', '.join(SKELETONS)}")
    names = SKELETONS[options.skeleton].keypoints
    poses = load_npy(options.poses, kind="poses")
    if poses.dtype.kind != "f" or poses.shape[1:] not in ((len(names), 2), (2 * len(names),)):
        raise UserError(
            f"{options.poses}: {poses.dtype} of shape {poses.shape}, expected floats (N, "
            f"{len(names)}, 2), pixels of {options.skeleton}"
        )
    if (abs(poses) == float("inf")).any():
        raise UserError(f"{options.poses}: a coordinate is infinite (NaN = absent)")
    xy = poses.reshape(len(poses), len(names), 2)
    xy = xy[spread_out(xy, ~_isnan(xy))]
    people = Observations.of_keypoints(names, xy, ~_isnan(xy))
    people.check(body, source=str(options.poses))
    return people


def tell_round(done: Round) -> None:
    """Print what a round has found."""
    moved = f", depths moved by {done.moved:.3f} m in the last round" * math.isfinite(done.moved)
    print(f"round {done.number}: mean loss of fits {done.loss:.5f}{moved}", flush=True)


def _isnan(xy: Any) -> Any:
    return (xy != xy).any(axis=2)


if __name__ == "__main__":
    sys.exit(main())
