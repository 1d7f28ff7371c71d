"""Inputs of the benchmarks of whole registrations."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.crowd import crowd
from bodyreg import ops
from bodyreg.body import AXIS_ANGLE, Body
from bodyreg.data import Fits, Observations, Truth, read_densepose_coco
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration import RegistrationConfig, schedule
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.objective import frozen_root
from bodyreg.registration.starts import cold_starts

Problem = tuple[Tensor, Rig, Evidence, Plan]
"""The arguments of `ops.fit` and of its peers."""


@functools.lru_cache(maxsize=16)
def people(count: int, points: int = 120, seed: int = 0) -> Observations:
    """A crowd; cached."""
    return crowd(Body.default(), count, seed, points)


@functools.cache
def made_people(count: int, seed: int) -> tuple[Observations, Truth]:
    """People of `bodyreg.synthetic` and their truth, written to and read from DensePose-COCO.

    Raises:
        ImportError: a package that `bodyreg.synthetic` needs is not installed.
    """
    from bodyreg.synthetic.dataset import make_dataset
    from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco

    body = Body.default()
    pictures, truth = make_dataset(body, count, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.json"
        write_densepose_coco(path, pictures, body.charts.name)
        return read_densepose_coco(path, body)[0], truth


def problem(observations: Observations, config: RegistrationConfig, device: str) -> Problem:
    """The people as arguments of `ops.fit`: ragged, without preparation."""
    place, dtype = torch.device(device), torch.float32
    plan = schedule.cold(config)
    return (
        cold_starts(len(observations), config, place, dtype),
        make_rig(Body.default(), observations.keypoint_name, place, dtype),
        gather(observations, config, place, dtype),
        plan._replace(settings=plan.settings.to(place)),
    )


def person_iterations(problem: Problem) -> int:
    """Iterations of all paths of all people."""
    start, _, _, plan = problem
    people, candidates, total = *start.shape[:2], 0
    for _, iterations, kept in schedule.phases(plan):
        total += people * candidates * iterations
        candidates = min(candidates, kept)
    return total


def vertex_error(parameters: Tensor, observations: Observations, truth: Truth) -> float:
    """Mean distance of all vertices after Procrustes, millimetres, as `bodyreg demo` prints it."""
    from bodyreg.metrics import evaluate

    p = AXIS_ANGLE.split(parameters.cpu())
    fits = Fits(
        id=observations.id,
        frame=observations.frame,
        pose=frozen_root(p.pose).numpy(),
        segment_scale=p.segment_scale.numpy(),
        rotation=ops.gram_schmidt(p.rotation).numpy(),
        scale=p.scale.numpy(),
        translation=p.translation.numpy(),
        loss=np.zeros(len(observations), np.float32),
    )
    return float(evaluate(fits, truth, Body.default())["vertex"].mean())
