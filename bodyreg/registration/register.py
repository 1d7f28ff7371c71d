"""register(): observations in, fitted bodies out."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bodyreg.body import Body
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.registration import schedule
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import Evidence, Rig, make_rig, pack, padded_counts
from bodyreg.registration.fits import Fits
from bodyreg.registration.objective import Objective, frozen_root, split
from bodyreg.registration.solver import minimise
from bodyreg.registration.starts import cold_starts, warm_starts

ENGINES = {"ops": "bodyreg.ops", "reference": "bodyreg.reference"}
"""Engine -> module with the four ops: compiled kernels, or plain torch."""


def register(
    body: Body,
    observations: Observations,
    config: RegistrationConfig | None = None,
    *,
    initial: Fits | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    engine: str = "ops",
    progress: bool = False,
) -> Fits:
    """Fit the body to every person.

    A person's fit depends on nothing but that person's observations, the body and the
    configuration: on the CPU it has the same bits alone, in any company, in any order, for any
    chunk size and number of threads. No random number is drawn.

    Args:
        body: The body; its rig has the 24 joints in T-pose.
        observations: N people; every one needs at least one point or keypoint.
        config: Losses, schedule and solver; the preset `accurate` if left out.
        initial: Earlier fits to start from, one for every person, matched by id.
        device: Where to compute.
        dtype: torch.float32 or torch.float64.
        engine: `ops` for the compiled kernels, `reference` for plain torch.
        progress: Show a progress bar with people per second.

    Returns:
        N fits, in the order of the observations.

    Raises:
        UserError: the observations do not fit the body or hold a person without evidence, the
            initial fits lack a person, or a fit is not finite.
    """
    config = config or RegistrationConfig()
    observations.check(body)
    _require_evidence(observations)
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, got '{engine}'")
    if initial is not None:
        initial = _matched(initial, observations)
    ops = importlib.import_module(ENGINES[engine])
    device = torch.device(device)
    rig = make_rig(body, observations.keypoint_name, device, dtype)

    results, order = [], []
    with tqdm(total=len(observations), unit="person", disable=not progress) as bar:
        for people in _chunks(padded_counts(observations), config.chunk):
            evidence = pack(body, observations, people, config, device, dtype)
            if initial is None:
                flat = _fit_cold(ops, rig, evidence, config)
            else:
                start = warm_starts(initial.select(people), body, device, dtype)
                flat = _fit_warm(ops, rig, evidence, config, start)
            results.append(
                _as_fits(Objective(ops, rig, evidence, config), flat, observations, people)
            )
            order.append(people)
            bar.update(len(people))
    if not results:
        return Fits.empty()
    return Fits.concatenate(results).select(np.argsort(np.concatenate(order)))


def _fit_cold(ops: ModuleType, rig: Rig, evidence: Evidence, config: RegistrationConfig) -> Tensor:
    """(B,108) parameters from T-poses: one start, or many of which the best are carried on."""
    people, starts = len(evidence), config.starts
    flat = cold_starts(people, config, evidence.point_xy.device, evidence.point_xy.dtype)
    if starts == 1:
        return minimise(
            Objective(ops, rig, evidence, config), flat, schedule.cold(config, config.iterations)
        )
    exploring = round(config.explore_share * config.iterations)
    objective = Objective(ops, rig, evidence.repeat(starts), config)
    flat = minimise(objective, flat, schedule.cold(config, exploring))
    carried = min(config.carried, starts)
    flat = _best(objective, flat, starts, carried)

    objective = Objective(ops, rig, evidence.repeat(carried), config)
    finish = schedule.warm(config, config.iterations - exploring, config.carried_learning_rate)
    return _best(objective, minimise(objective, flat, finish), carried, 1)


def _fit_warm(
    ops: ModuleType, rig: Rig, evidence: Evidence, config: RegistrationConfig, start: Tensor
) -> Tensor:
    """(B,108) parameters from earlier ones, under the final weights."""
    run = schedule.warm(config, config.warm_iterations, config.warm_learning_rate)
    return minimise(Objective(ops, rig, evidence, config), start, run)


def _best(objective: Objective, flat: Tensor, candidates: int, kept: int) -> Tensor:
    """Of every person's candidates, in a row, the `kept` ones of lowest final loss, best first."""
    with torch.no_grad():
        loss = objective(flat, schedule.final_setting(objective.config))
    loss = loss.nan_to_num(nan=torch.inf).view(-1, candidates)
    order = loss.argsort(dim=1, stable=True)[:, :kept]
    chosen = flat.view(-1, candidates, flat.shape[1]).gather(
        1, order[..., None].expand(-1, -1, flat.shape[1])
    )
    return chosen.flatten(0, 1)


def _as_fits(
    objective: Objective, flat: Tensor, observations: Observations, people: np.ndarray
) -> Fits:
    """Parameters and their judgement as a record of arrays.

    Raises:
        UserError: a person's numbers are not finite.
    """
    setting = schedule.final_setting(objective.config)
    with torch.no_grad():
        terms = objective.terms(flat, setting)
        loss = objective(flat, setting)
        p = split(flat)
        rotation = objective.engine.gram_schmidt(p.rotation, objective.config.six_numbers)

    def plain(tensor: Tensor) -> np.ndarray:
        return tensor.cpu().numpy().astype(np.float32)

    bad = ~(torch.isfinite(flat).all(1) & torch.isfinite(loss)).cpu().numpy()
    if bad.any():
        raise UserError(
            f"the fit of person {observations.id[people[bad.argmax()]]} is not finite; "
            "check that person's coordinates, or lower learning_rate"
        )
    return Fits(
        id=observations.id[people],
        frame=observations.frame[people],
        pose=plain(frozen_root(p.pose)),
        segment_scale=plain(p.segment_scale),
        rotation=plain(rotation),
        scale=plain(p.scale),
        translation=plain(p.translation),
        loss=plain(loss),
        # Without evidence a term is absent here, but not in another chunk.
        terms={
            name: plain(weight * terms.get(name, torch.zeros_like(loss)))
            for name, weight in setting.weights.items()
        },
    )


def _chunks(padded: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Positions of people in chunks of one padded count each: no one is padded to another's."""
    for count in np.unique(padded):
        people = np.flatnonzero(padded == count)
        for begin in range(0, len(people), size):
            yield people[begin : begin + size]


def _require_evidence(observations: Observations) -> None:
    without = ~observations.has_evidence
    if without.any():
        raise UserError(
            f"person {observations.id[without.argmax()]} has neither a point nor a keypoint of "
            "positive weight; leave such people out with observations.select(has_evidence)"
        )


def _matched(initial: Fits, observations: Observations) -> Fits:
    """The initial fits in the order of the observations, seen through their frames."""
    position = {person: i for i, person in enumerate(initial.id.tolist())}
    if len(position) < len(initial):
        raise UserError("the initial fits name a person twice; ids must be unique to be matched")
    missing = [person for person in observations.id.tolist() if person not in position]
    if missing:
        raise UserError(
            f"the initial fits hold no person {missing[0]}; they must come from observations "
            "with the same ids"
        )
    chosen = initial.select([position[person] for person in observations.id.tolist()])
    return chosen.in_frames(observations.frame)
