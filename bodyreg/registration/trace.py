"""Fits along their iterations: what `register` returns with fewer iterations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration import schedule
from bodyreg.registration.cameras import as_fitted
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.register import as_fits, matched, require_evidence
from bodyreg.registration.starts import cold_starts, turned_as_seen, warm_starts

STOPS = 24
"""Stops of a phase: half are evenly spaced, half are early, where the fit changes most."""


def stops(config: RegistrationConfig, *, warm_start: bool = False) -> list[int]:
    """Numbers of iterations at which to look at a fit, over all phases, from 0 to the last."""
    plan = schedule.warm(config) if warm_start else schedule.cold(config)
    marks, begin = {0}, 0
    for _, count, _ in schedule.phases(plan):
        early, even = np.geomspace(1, max(count, 1), STOPS // 2), np.linspace(0, count, STOPS // 2)
        marks |= {begin + min(round(at), count) for at in (*early, *even)}
        begin += count
    return sorted(marks)


def trace(
    body: Body,
    observations: Observations,
    config: RegistrationConfig,
    marks: Sequence[int],
    *,
    initial: Fits | None = None,
) -> list[Fits]:
    """Fit people as `register` does on a CPU, and stop at several iterations.

    Each mark is a fit from the beginning with a shorter plan, so the result is exact: it is what
    `register` returns after so many iterations, the best of the starts by the final weights. At the
    last of `stops` it has the same bits as `register`'s, unless that goes on by warm fits: to find
    a focal length (`find_focal`; here it is the assumed one), or because points are precise
    (`precise_error`). Where distant points are rejected, it is near. All losses use the final
    weights, so they can be compared between marks.

    Args:
        body: The body.
        observations: N people, as their fits have read them (`data.reading.as_read`). All are
            fitted at once; memory is enough for some hundreds.
        config: The configuration of the registration.
        marks: M numbers of iterations, from 0.
        initial: Earlier fits to start from, matched by id.

    Returns:
        M times N fits.

    Raises:
        UserError: as `register`.
    """
    observations.check(body)
    require_evidence(observations)
    device, dtype = torch.device("cpu"), torch.float32
    if initial is None:
        plan = schedule.cold(config)
        start = cold_starts(len(observations), config, device, dtype)
        start = turned_as_seen(start, observations, config)
    else:
        plan = schedule.warm(config)
        initial = matched(initial, observations)
        observations = as_fitted(observations, initial)
        start = warm_starts(initial, body, device, dtype)
    rig = make_rig(body, observations.keypoint_name, device, dtype)
    evidence = gather(observations, config, device, dtype)
    return [
        as_fits(
            body,
            observations,
            config,
            evidence,
            *ops.fit(start, rig, evidence, schedule.truncated(plan, mark)),
        )
        for mark in marks
    ]
