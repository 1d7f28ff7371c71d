"""register(): observations in, fitted bodies out."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bodyreg import ops
from bodyreg.body import AXIS_ANGLE, Body, Parameters
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.data.reading import as_read
from bodyreg.errors import UserError
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration import cameras, hypotheses, precision, schedule, shapes, solver
from bodyreg.registration.cameras import focal_lengths
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.deviations import joint_deviations, with_focal_unknown
from bodyreg.registration.doubts import doubts
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.floor import visibility_floor
from bodyreg.registration.losses import TERMS
from bodyreg.registration.objective import ExtraLoss
from bodyreg.registration.padding import Padded, padded_counts
from bodyreg.registration.starts import cold_starts, turned_as_seen, warm_starts

COMPOSED = {"ops": "bodyreg.ops", "reference": "bodyreg.reference"}
"""Engines that compose the objective of four ops -> the module that has them."""

COMPOSED_CHUNK = 256
"""People at once with these engines, at most: they keep what they need to differentiate."""

Solve = Callable[[Tensor, Rig, Evidence, Plan], tuple[Tensor, Tensor, Tensor]]
"""(starts, rig, evidence, plan) -> parameters, losses and terms: `ops.fit`, or one like it."""


@torch.inference_mode(False)  # wherever it is called: tensors are kept for the next call
def register(
    body: Body,
    observations: Observations,
    config: RegistrationConfig | None = None,
    *,
    initial: Fits | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    engine: str | None = None,
    extra_loss: ExtraLoss | None = None,
    progress: bool = False,
) -> Fits:
    """Fit the body to every person.

    A person's fit depends only on this person's observations, the body and the configuration. On
    the CPU it has the same bits with any other people, order, chunk size and number of threads. It
    uses no random numbers.

    The function keeps what depends only on the body and the configuration. The next call with the
    same body is then fast, also for few people.

    Args:
        body: The body; its rig has the 24 joints in T-pose.
        observations: N people; every one needs at least one point or keypoint.
        config: Losses, schedule and solver; the preset `accurate` if left out.
        initial: Earlier fits to start from, one for every person, matched by id. Shapes that they
            have need `fit_shape`.
        device: Where to compute.
        dtype: torch.float32 or torch.float64. In float64 a GPU needs more shared memory a block
            than some have (consumer GPUs from sm_86 on): the error says so.
        engine: `fit` runs the whole fit in one kernel. `ops` and `reference` compute the same
            objective step by step, with autograd and Adam: `ops` with compiled kernels, `reference`
            with plain torch. The default is `fit`, or `ops` if there is an `extra_loss`.
        extra_loss: A term of your own, which is added to the objective without a weight. It is a
            function `extra_loss(parameters, evidence)` that returns (B,) losses, which autograd can
            differentiate. B counts paths: a path is one start of one person. `parameters` is a
            `bodyreg.body.Parameters`; its rotation is the raw matrix, and `ops.gram_schmidt` makes
            it orthonormal. `evidence` is a `Padded`; its `person` (B,) gives each path's position
            in `observations`. The values are in the fits' terms, as "extra". If the extra loss of
            a person depends on other people, the fit does too.
        progress: Show a progress bar with people per second.

    Returns:
        N fits with the deviations of their joints and with doubts, in the order of the
        observations. An extra loss does not make deviations smaller. `exchanged` says of which
        evidence left and right were exchanged, and `rejected` which of it was left out
        (`suspect_error`). With `camera="perspective"` they have the focal lengths and principal
        points that they were fitted with. With `fit_shape` they have shapes, and the term "shape"
        of their prior. A warm fit reads the evidence as `initial` has read it, has its doubts about
        the evidence, and has its cameras where the picture's are unknown.

    Raises:
        UserError: the observations do not fit the body; a person has no evidence; the initial fits
            lack a person; a fit is not finite; or solver `lm` is used with an engine other than
            `fit`.
    """
    config = config or RegistrationConfig.preset("accurate")
    engine = engine or ("fit" if extra_loss is None else "ops")
    device = torch.device(device)
    _check_engine(engine, config, extra_loss)
    observations.check(body)
    shapes.check(body, initial, config)

    def fit(
        *args: Any, body: Body = body, config: RegistrationConfig = config, **options: Any
    ) -> Fits:
        return _fit(body, config, device, dtype, engine, extra_loss, *args, **options)

    def with_doubts(fits: Fits, *hypotheses: np.ndarray | float) -> Fits:
        return replace(fits, doubts=doubts(body, observations, config, fits, *hypotheses))

    unknown = cameras.unknown(observations, config)

    def with_unknown(fits: Fits) -> Fits:
        if not len(unknown):
            return fits
        return fits.replaced(unknown, with_focal_unknown(body, fits.select(unknown)))

    if initial is not None:
        initial = matched(initial, observations)
        observations = as_read(observations, initial, body)
        require_evidence(observations)
        fits = shapes.refit(body, observations, initial, config, fit, progress=progress)
        if config.fit_shape:
            fits = shapes.fit(body, observations, fits, config, fit, progress=progress)
        fits = with_unknown(fits)
        fits = _with_sets(fits, initial.exchanged, initial.rejected)
        return with_doubts(fits, *hypotheses.doubts_of(initial))
    require_evidence(observations)
    found = hypotheses.judge(
        body,
        observations,
        fit(observations, None, progress=progress),
        config,
        lambda people, positions: fit(people, None, positions=positions),
    )
    fits, observations = found.fits, found.observations
    if len(unknown):
        first, tried = fits.select(unknown), cameras.tried(observations.select(unknown), config)
        best = cameras.best([fit(some, first, positions=unknown) for some in tried])
        fits = fits.replaced(unknown, best)
    if config.fit_shape:
        fits = shapes.fit(body, observations, fits, config, fit, progress=progress)
    precise = precision.precise(fits, observations, config)
    if len(precise):
        some, first = observations.select(precise), fits.select(precise)
        sharper = precision.for_precise(config)
        again = shapes.refit(body, some, first, sharper, fit, positions=precise)
        if config.fit_shape:
            again = shapes.fit(body, some, again, sharper, fit, positions=precise)
        fits = fits.replaced(precise, precision.with_usual_weights(again, config))
    fits = _with_sets(with_unknown(fits), found.exchanged, found.rejected)
    return with_doubts(fits, found.sides, found.foreign)


def _with_sets(fits: Fits, exchanged: np.ndarray | None, rejected: np.ndarray | None) -> Fits:
    """The fits, with the sets of evidence that they have exchanged and rejected; None is none."""
    nothing = np.zeros(len(fits), np.uint8)
    return replace(
        fits,
        exchanged=nothing if exchanged is None else exchanged,
        rejected=nothing if rejected is None else rejected,
    )


def _fit(
    body: Body,
    config: RegistrationConfig,
    device: torch.device,
    dtype: torch.dtype,
    engine: str,
    extra_loss: ExtraLoss | None,
    observations: Observations,
    initial: Fits | None,
    *,
    positions: np.ndarray | None = None,
    progress: bool = False,
) -> Fits:
    """`register` for checked people with known or assumed cameras.

    Args:
        initial: One for every person, in their order.
        positions: (N,) of the people, for `extra_loss`; from 0 if left out.
    """
    if initial is not None:
        observations = cameras.as_fitted(observations, initial)
    if positions is None:
        positions = np.arange(len(observations))
    rig = make_rig(body, observations.keypoint_name, device, dtype)
    plan = schedule.cold(config) if initial is None else schedule.warm(config)
    plan = plan._replace(settings=plan.settings.to(device))

    extra = extra_loss and _of_whole_scales(extra_loss, body)
    chunks: list[Any] = (_in_turn if engine == "fit" else _alike)(observations, config)
    results = []
    for people in _with_bar(chunks, len(observations)) if progress else chunks:
        some = observations.select(people)
        if initial is None:
            start = cold_starts(len(some), config, device, dtype)
            start = turned_as_seen(start, some, config)
        else:
            start = warm_starts(initial.select(people), body, device, dtype)
        solve = _fused if engine == "fit" else _composed(engine, positions[people], extra)
        evidence = gather(some, config, device, dtype)
        parameters, loss, terms = solve(start, rig, evidence, plan)
        found = as_fits(body, some, config, evidence, parameters, loss, terms)
        deviation = joint_deviations(config, parameters, terms, rig, evidence, plan)
        results.append(replace(found, joint_deviation=deviation))
    if not results:
        return Fits.empty()
    fits = Fits.concatenate(results)
    return fits if engine == "fit" else fits.select(np.argsort(np.concatenate(chunks)))


def _check_engine(engine: str, config: RegistrationConfig, extra_loss: ExtraLoss | None) -> None:
    if engine != "fit" and engine not in COMPOSED:
        raise ValueError(f"engine: expected one of fit, {', '.join(COMPOSED)}, got '{engine}'")
    if engine == "fit" and extra_loss is not None:
        raise ValueError("extra_loss: engine 'fit' cannot take it; use 'ops' or 'reference'")
    if engine != "fit" and config.solver == "lm":
        raise UserError("solver lm needs engine fit, which takes no extra loss; use solver adam")


def _fused(start: Tensor, rig: Rig, evidence: Evidence, plan: Plan) -> tuple[Tensor, ...]:
    """`ops.fit` without autograd's records, which cost time that counts for a few people."""
    with torch.inference_mode():
        return ops.fit(start, rig, evidence, plan)


def _composed(engine: str, people: np.ndarray, extra_loss: ExtraLoss | None) -> Solve:
    """The composed solver on the people at these positions."""
    position = torch.from_numpy(people)

    def numbered(loss: ExtraLoss, parameters: Parameters, evidence: Padded) -> Tensor:
        here = position.to(evidence.person.device)[evidence.person]
        return loss(parameters, replace(evidence, person=here))

    return functools.partial(
        solver.fit,
        importlib.import_module(COMPOSED[engine]),
        extra_loss=None if extra_loss is None else functools.partial(numbered, extra_loss),
    )


def _of_whole_scales(extra_loss: ExtraLoss, body: Body) -> ExtraLoss:
    """The loss with segment scales over the template's; solvers have them over the usual ones."""
    if body.proportions is None:
        return extra_loss
    usual = torch.from_numpy(body.proportions)

    def loss(parameters: Parameters, evidence: Padded) -> Tensor:
        scale = parameters.segment_scale
        return extra_loss(parameters._replace(segment_scale=scale * usual.to(scale)), evidence)

    return loss


def as_fits(
    body: Body,
    observations: Observations,
    config: RegistrationConfig,
    evidence: Evidence,
    parameters: Tensor,
    loss: Tensor,
    terms: Tensor,
) -> Fits:
    """Parameters, losses and terms as `Fits`; the visibility term counts from its lowest value.

    Raises:
        UserError: a person's numbers are not finite.
    """
    found, losses = parameters.cpu().numpy(), loss.cpu().numpy()
    bad = ~(np.isfinite(found).all(1) & np.isfinite(losses))
    if bad.any():
        raise UserError(
            f"the fit of person {observations.id[bad.argmax()]} is not finite; "
            "check that person's coordinates, or lower learning_rate"
        )
    places = AXIS_ANGLE.slices
    raw = np.ascontiguousarray(found[:, places["rotation"]]).reshape(-1, 3, 3)
    with torch.inference_mode():
        rotation = ops.gram_schmidt(torch.from_numpy(raw), config.six_numbers)
    blocks = {name: found[:, place].astype(np.float32) for name, place in places.items()}
    pose = blocks["pose"].reshape(-1, *AXIS_ANGLE.pose)
    pose[:, 0] = 0
    if body.proportions is not None:
        blocks["segment_scale"] *= body.proportions
    weights = schedule.final_setting(config).weights
    values = np.ascontiguousarray(terms.cpu().numpy().T, np.float32)
    if "visibility" in weights:
        floor = weights["visibility"] * visibility_floor(
            body, observations, evidence.point_weight.cpu().numpy(), config.visibility_sharpness
        )
        values[TERMS.index("visibility")] -= floor
        losses = losses - floor
    return Fits(
        id=observations.id.copy(),
        frame=observations.frame.copy(),
        pose=pose,
        segment_scale=blocks["segment_scale"],
        rotation=rotation.numpy().astype(np.float32),
        scale=blocks["scale"][:, 0],
        translation=blocks["translation"],
        loss=losses.astype(np.float32),
        terms={
            name: values
            for name, values in zip((*TERMS, "extra"), values, strict=False)
            if name in weights or name == "extra"
        },
        **cameras.camera_arrays(observations, config),
    )


def _in_turn(observations: Observations, config: RegistrationConfig) -> list[slice]:
    """Chunks of people, in the order of the observations."""
    size = config.chunk
    return [slice(begin, begin + size) for begin in range(0, len(observations), size)]


def _alike(observations: Observations, config: RegistrationConfig) -> list[np.ndarray]:
    """Positions of people, in chunks of people with the same padded number of points.

    In a chunk, all or none are seen in perspective. So no person's points are padded, and no op
    is chosen, because of another person, which would change bits.
    """
    kind, size = padded_counts(observations.point_start), min(config.chunk, COMPOSED_CHUNK)
    kind = 2 * kind + np.isfinite(focal_lengths(observations, config))
    chunks = []
    for one in np.unique(kind):
        people = np.flatnonzero(kind == one)
        chunks += [people[begin : begin + size] for begin in range(0, len(people), size)]
    return chunks


def _with_bar(chunks: Sequence[slice] | Sequence[np.ndarray], people: int) -> Iterator:
    """The chunks, with a progress bar that moves after each of them."""
    from tqdm import tqdm

    with tqdm(total=people, unit="person") as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(np.arange(people)[chunk]))


def require_evidence(observations: Observations) -> None:
    """Refuse people without evidence.

    Raises:
        UserError: naming the first one.
    """
    without = ~observations.has_evidence
    if without.any():
        raise UserError(
            f"person {observations.id[without.argmax()]} has no point and no keypoint of positive "
            "weight, or all in one place; leave such people out with "
            "observations.select(observations.has_evidence)"
        )


def matched(initial: Fits, observations: Observations) -> Fits:
    """The initial fits in the order of the observations, seen through their frames.

    Raises:
        UserError: they name a person twice, or lack one.
    """
    position = {person: i for i, person in enumerate(initial.id.tolist())}
    if len(position) < len(initial):
        raise UserError("the given fits name a person twice; ids must be unique to be matched")
    missing = [person for person in observations.id.tolist() if person not in position]
    if missing:
        raise UserError(
            f"the given fits hold no person {missing[0]}; they must come from observations "
            "with the same ids"
        )
    chosen = initial.select([position[person] for person in observations.id.tolist()])
    return chosen.in_frames(observations.frame)
