"""register(): recovers people, refuses bad input, and a fit never depends on its batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.body import AXIS_ANGLE
from bodyreg.data import Fits
from bodyreg.data.observation_checks import LARGEST_WEIGHT
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.losses import POINT_GRAIN
from bodyreg.registration.padding import padded_counts
from bodyreg.registration.schedule import Setting, final_setting
from bodyreg.registration.solver import minimise
from bodyreg.registration.starts import cold_starts

from .conftest import composed, make_people


def pixel_error(fits: Fits, body, people) -> np.ndarray:
    """(N,) mean distance of the true and the fitted vertices, pixels of a 256-pixel frame."""
    gap = fits.vertices(body)[..., :2] - people.vertices.numpy()[..., :2]
    return np.linalg.norm(gap, axis=-1).mean(1) * 128


def same_bits(a: Fits, b: Fits) -> bool:
    arrays = ("id", "frame", "pose", "segment_scale", "rotation", "scale", "translation", "loss")
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in arrays) and all(
        np.array_equal(a.terms[n], b.terms[n]) for n in a.terms
    )


@pytest.mark.parametrize("solver", ["adam", "lm"])
@pytest.mark.parametrize("preset", ["accurate", "paper"])
def test_the_largest_weights_can_be_fitted(body, people, preset, solver):
    """Of which `Observations.check` refuses larger ones."""
    heavy = people.observations.select([0, 1])
    heavy.point_weight[:], heavy.keypoint_weight[:] = LARGEST_WEIGHT, LARGEST_WEIGHT
    fits = register(body, heavy, RegistrationConfig.preset(preset, solver=solver))
    assert np.isfinite(fits.loss).all() and np.isfinite(fits.pose).all()


@pytest.mark.parametrize("preset", ["accurate", "paper"])
def test_recovers_people(body, people, preset):
    """Reference: the people the observations were made of."""
    config = RegistrationConfig.preset(preset, starts=1, iterations=200)
    fits = register(body, people.observations, config)
    assert fits.id.tolist() == people.observations.id.tolist()
    assert np.median(pixel_error(fits, body, people)) < 3
    assert not fits.mirrored.any()
    assert (fits.pose[:, 0] == 0).all()
    np.testing.assert_allclose(
        fits.rotation @ fits.rotation.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-5
    )
    assert set(fits.terms) == set(final_setting(config).weights)
    np.testing.assert_allclose(sum(fits.terms.values()), fits.loss, rtol=1e-4, atol=1e-7)


def test_more_iterations_lower_the_loss(body, people):
    short, long = (
        register(body, people.observations, RegistrationConfig(starts=1, iterations=n))
        for n in (40, 200)
    )
    assert (long.loss < short.loss).all()


ENGINES = pytest.mark.parametrize("engine", ["fit", "ops"])


@ENGINES
@pytest.mark.parametrize("starts", [1, 3])
def test_a_fit_does_not_depend_on_its_company(body, people, engine, starts):
    """The same bits alone, in the batch, in another order, and in other chunks."""
    config = RegistrationConfig(starts=starts, iterations=20)
    together = register(body, people.observations, config, engine=engine)
    order = np.array([4, 0, 5, 2, 1, 3])
    permuted = register(body, people.observations.select(order), config, engine=engine)
    assert same_bits(permuted, together.select(order))
    for chunk in (1, 2, 5):
        assert same_bits(
            register(body, people.observations, replace(config, chunk=chunk), engine=engine),
            together,
        )
    for person in (0, 5):
        alone = register(body, people.observations.select([person]), config, engine=engine)
        assert same_bits(alone, together.select([person]))


@ENGINES
def test_a_fit_does_not_depend_on_threads(body, people, quick, engine, set_threads):
    results = []
    for count in (1, 2, 3):
        set_threads(count)
        results.append(register(body, people.observations, quick, engine=engine))
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


@ENGINES
def test_big_company_changes_no_bit(body, quick, engine):
    """130 people cross every vector width and the chunk size; three are fitted alone again."""
    crowd = make_people(body, 130, seed=2, points=(10, 40)).observations
    config = replace(quick, iterations=5)
    together = register(body, crowd, config, engine=engine)
    for person in (0, 64, 129):
        assert same_bits(
            register(body, crowd.select([person]), config, engine=engine), together.select([person])
        )


@ENGINES
def test_mixed_evidence_changes_no_bit(body, people, quick, engine):
    """One without points, one with points on the rigid head alone, one with points of all kinds."""
    o = people.observations
    head = np.flatnonzero((body.segment[o.point_vertex] == 15).all(1))[:3]
    points = [np.zeros(0, int), head, np.arange(o.point_start[2], o.point_start[3])]
    chosen = np.concatenate(points)
    mixed = replace(
        o.select([0, 1, 2]), point_start=np.cumsum([0] + [len(p) for p in points]),
        point_xy=o.point_xy[chosen], point_vertex=o.point_vertex[chosen],
        point_barycentric=o.point_barycentric[chosen], point_weight=o.point_weight[chosen],
    )  # fmt: skip
    together = register(body, mixed, quick, engine=engine)
    assert together.terms["dense"][0] == 0 and (together.terms["dense"][1:] > 0).all()
    for person in range(3):
        alone = register(body, mixed.select([person]), quick, engine=engine)
        assert same_bits(alone, together.select([person]))


@ENGINES
def test_repeats_give_the_same_bits(body, people, quick, engine):
    assert same_bits(
        register(body, people.observations, quick, engine=engine),
        register(body, people.observations, quick, engine=engine),
    )


def test_points_are_padded_by_the_person_alone(people):
    counts = np.diff(people.observations.point_start)
    padded = padded_counts(people.observations.point_start)
    assert (padded >= counts).all() and (padded - counts < POINT_GRAIN).all()
    assert (padded % POINT_GRAIN == 0).all()


def test_engines_agree(body, people):
    """Float64, 30 iterations: the kernels follow plain torch."""
    config = RegistrationConfig(starts=1, iterations=30)
    ops, reference = (
        register(body, people.observations, config, dtype=torch.float64, engine=engine)
        for engine in ("ops", "reference")
    )
    np.testing.assert_allclose(ops.loss, reference.loss, rtol=1e-5)
    np.testing.assert_allclose(ops.pose, reference.pose, atol=1e-5)


def test_warm_start_lowers_the_error(body, people):
    """50 iterations from a fit that was pushed 0.1 radians and 13 pixels away."""
    config = RegistrationConfig(starts=1, iterations=200, warm_iterations=50)
    good = register(body, people.observations, config)
    rng = np.random.default_rng(3)
    pose = good.pose + rng.normal(0, 0.1, good.pose.shape).astype(np.float32)
    pushed = replace(good, pose=pose, translation=good.translation + np.float32(0.1))
    refined = register(body, people.observations, config, initial=pushed)
    assert (pixel_error(refined, body, people) < 0.5 * pixel_error(pushed, body, people)).all()


def test_initial_fits_are_matched_by_id(body, people, quick):
    config = replace(quick, warm_iterations=5)
    first = register(body, people.observations, quick)
    warm = register(body, people.observations, config, initial=first)
    shuffled = register(body, people.observations, config, initial=first.select([5, 3, 1, 0, 2, 4]))
    assert same_bits(warm, shuffled)
    moved = replace(people.observations, frame=people.observations.frame + np.float32([9, -5, 20]))
    again = register(body, moved, replace(config, warm_iterations=0), initial=first)
    np.testing.assert_allclose(again.scale * 148, first.scale * 128, rtol=1e-5)


def test_initial_fits_of_others_are_refused(body, people, quick):
    fits = register(body, people.observations, replace(quick, iterations=1))
    with pytest.raises(UserError, match="no person 105"):
        register(body, people.observations, quick, initial=fits.select(slice(0, 5)))
    with pytest.raises(UserError, match="twice"):
        register(body, people.observations, quick, initial=fits.select([0, 0, 1, 2, 3, 4, 5]))


def test_six_numbers_cannot_reflect(body, people, quick):
    config = replace(quick, six_numbers=True, iterations=150)
    fits = register(body, people.observations, config)
    assert not fits.mirrored.any() and "det" not in fits.terms
    assert np.median(pixel_error(fits, body, people)) < 4


def test_a_mirrored_start_recovers(body, people):
    """The determinant term turns a reflection back: from det = -0.2 to a rotation."""
    config = RegistrationConfig.preset("paper", starts=1)
    score = composed(reference, body, people.observations, config, torch.float32)
    start = cold_starts(6, config, torch.device("cpu"), torch.float32)[:, 0]
    start[:, AXIS_ANGLE.slices["rotation"].start] = -0.2
    end = minimise(score, start, [Setting({"det": 0.1}, 1.0, 0.1)] * 50)
    assert (torch.linalg.det(AXIS_ANGLE.split(start).rotation) < 0).all()
    assert (torch.linalg.det(AXIS_ANGLE.split(end).rotation) > 0).all()


def test_more_starts_never_raise_the_loss_much(body):
    """People seen from behind: a start from the front alone may end in a wrong place."""
    people = make_people(body, 4, seed=4)
    one, four = (
        register(body, people.observations, RegistrationConfig(starts=n, iterations=200))
        for n in (1, 4)
    )
    assert four.loss.mean() < 1.05 * one.loss.mean()


def without_points(observations):
    none = np.zeros(0)
    return replace(
        observations, point_start=np.zeros(len(observations) + 1, np.int64),
        point_xy=np.zeros((0, 2)), point_vertex=np.zeros((0, 3), np.int32),
        point_barycentric=np.zeros((0, 3)), point_weight=none,
    )  # fmt: skip


def test_keypoints_alone(body, people, quick):
    fits = register(body, without_points(replace(people.observations, keypoint_depth=None)), quick)
    assert all((fits.terms[name] == 0).all() for name in ("dense", "facing", "visibility", "depth"))
    seen = fits.keypoints(body, people.observations.keypoint_name)[..., :2]
    frame = people.observations.frame[:, None]
    want = (people.observations.keypoint_xy - frame[..., :2]) / frame[..., 2:] * [1, -1]
    assert np.median(np.linalg.norm(seen - want, axis=-1)) < 0.05


def test_points_alone(body, people, quick):
    observations = replace(people.observations, keypoint_name=(), keypoint_xy=np.zeros((6, 0, 2)),
                           keypoint_weight=np.zeros((6, 0)), keypoint_depth=None)  # fmt: skip
    fits = register(body, observations, quick)
    assert (fits.terms["keypoint"] == 0).all() and np.isfinite(fits.loss).all()


def test_a_single_point_and_no_people(body, people, quick):
    o = people.observations.select([0])
    single = replace(
        without_points(o), keypoint_weight=np.zeros_like(o.keypoint_weight), point_start=[0, 1],
        point_xy=o.point_xy[:1], point_vertex=o.point_vertex[:1],
        point_barycentric=o.point_barycentric[:1], point_weight=[1.0],
    )  # fmt: skip
    assert np.isfinite(register(body, single, quick).pose).all()
    assert len(register(body, people.observations.select([]), quick)) == 0


def test_a_person_without_evidence_is_refused(body, people, quick):
    weight = people.observations.keypoint_weight.copy()
    weight[2] = 0
    observations = replace(without_points(people.observations), keypoint_weight=weight)
    with pytest.raises(UserError, match="person 102 has no point"):
        register(body, observations, quick)


def test_bad_observations_are_user_errors(body, people, quick):
    o = people.observations
    nan = o.point_xy.copy()
    nan[o.point_start[3]] = np.nan
    with pytest.raises(UserError, match="103"):
        register(body, replace(o, point_xy=nan), quick)
    with pytest.raises(UserError, match="another body"):
        register(body, replace(o, body="0123456789ab"), quick)
    with pytest.raises(UserError, match="out of range"):
        register(body, replace(o, point_vertex=o.point_vertex + len(body.vertices)), quick)


def test_a_diverging_fit_is_a_user_error(body, people, quick):
    with pytest.raises(UserError, match=r"the fit of person 10\d is not finite"):
        register(body, people.observations, replace(quick, learning_rate=1e30))


def test_a_loss_of_ones_own(body, people, quick):
    """The loss pulls every person's camera to its own scale, in any batch and order."""
    wanted = torch.linspace(0.7, 1.2, 6)

    def pull(parameters, evidence):
        return 10 * (parameters.scale - wanted[evidence.person]).square()

    config = replace(quick, starts=2)
    fits = register(body, people.observations, config, extra_loss=pull)
    np.testing.assert_allclose(fits.scale, wanted, atol=0.01)
    assert (fits.terms["extra"] >= 0).all()
    np.testing.assert_allclose(sum(fits.terms.values()), fits.loss, rtol=1e-4)
    order = np.array([3, 0, 5])
    wanted = wanted[order]
    some = register(body, people.observations.select(order), config, extra_loss=pull)
    assert same_bits(some, fits.select(order))
    with pytest.raises(ValueError, match="extra_loss"):
        register(body, people.observations, config, extra_loss=pull, engine="fit")


@pytest.mark.parametrize(
    "extra",
    [
        lambda p, _: p.scale.sum(), lambda p, _: p.pose[:, 1], lambda p, _: p.scale[:, None],
        lambda p, _: p.scale.detach().numpy(), lambda p, _: None, lambda p, _: 0.0,
    ],
)  # fmt: skip
def test_a_loss_of_ones_own_has_one_number_for_each_path(body, people, quick, extra):
    with pytest.raises(
        ValueError, match=r"extra_loss: expected a tensor of \d losses, one for each"
    ):
        register(body, people.observations, replace(quick, starts=1), extra_loss=extra)


def test_where_there_is_no_lm(body, people):
    config = RegistrationConfig(solver="lm")
    with pytest.raises(UserError, match="solver lm needs engine fit"):
        register(body, people.observations, config, engine="ops")


def test_unknown_engine(body, people):
    with pytest.raises(ValueError, match="engine: expected one of fit, ops, reference"):
        register(body, people.observations, engine="cuda")


def test_adam_is_adam(body, people):
    """Reference: torch.optim.Adam on the same objective, float64."""
    config = RegistrationConfig.preset("paper")
    score = composed(reference, body, people.observations.select([0, 1]), config)
    start = cold_starts(2, config, torch.device("cpu"), torch.float64)[:, 0]
    setting = replace(final_setting(config), learning_rate=0.1)
    ours = minimise(score, start, [setting] * 10)
    theirs = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        score(theirs, setting).sum().backward()
        optimizer.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-9, atol=1e-9)
