"""Fits in usual proportions, and proportions learned from people of which nothing else is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.data import Observations, read_densepose_coco
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig, learn_proportions, register
from bodyreg.registration.trace import stops, trace
from bodyreg.synthetic import people as made_people
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco

from .conftest import make_people, near

LIMBS = {"hip": 0.95, "knee": 0.92, "shoulder": 1.06}


@pytest.fixture(scope="module")
def usual() -> np.ndarray:
    return np.random.default_rng(3).uniform(0.85, 1.15, 24).astype(np.float32)


@pytest.fixture(scope="module")
def proportioned(body, usual):
    return body.with_proportions(usual)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Observations, np.ndarray]:
    """Made people whose legs and arms are shorter and longer by LIMBS, and their true scales."""
    body, path = Body.default(), tmp_path_factory.mktemp("planted") / "people.json"
    scale = np.ones(24)
    for name, value in LIMBS.items():
        scale[[body.joint_names.index(f"{side}_{name}") for side in ("left", "right")]] = value
    sample = made_people.sample_segment_scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_people, "sample_segment_scale", lambda *of: scale * sample(*of))
        pictures, truth = make_dataset(body, 120, 17)
    write_densepose_coco(path, pictures, body.charts.name)
    observations, _ = read_densepose_coco(path, body)
    return observations.select(observations.has_evidence), truth.segment_scale


def of_limbs(segment_scale: np.ndarray) -> np.ndarray:
    """Scales of trunk, thighs, shanks, upper arms and forearms, over their geometric mean."""
    limbs = [segment_scale[[0, 3, 6, 9]].mean(), *segment_scale[[1, 4, 16, 18]]]
    return limbs / np.exp(np.log(limbs).mean())


def test_planted_proportions_are_recovered(planted):
    """Without depths, four tenths of the template's errors are left at most."""
    observations, true = planted
    found = learn_proportions(Body.default(), observations.with_depths(None))
    assert min(found.people.values()) > 100
    true = of_limbs(true.mean(0))
    template, learned = 1 - true, of_limbs(found.segment_scale) - true
    assert np.linalg.norm(learned) < 0.4 * np.linalg.norm(template)
    np.testing.assert_array_equal(found.segment_scale[[4, 16]], found.segment_scale[[5, 17]])


def test_the_body_keeps_its_stature(planted):
    observations, _ = planted
    body = Body.default()
    found = learn_proportions(body, observations.select(slice(0, 30)))
    assert np.abs(found.segment_scale - 1).max() > 0.02
    fit = register(body, observations.select([0]), RegistrationConfig(iterations=0))
    fit = replace(fit, pose=0 * fit.pose, segment_scale=found.segment_scale[None])
    fit = replace(fit, rotation=np.eye(3, dtype=np.float32)[None], scale=np.ones(1, np.float32))
    assert np.ptp(fit.vertices(body)[0, :, 1]) == pytest.approx(body.stature, abs=1e-5)


def test_few_people_change_little(planted):
    """The same differences count less if one person shows them than if a hundred do."""
    observations, _ = planted
    for person in range(3):
        one = observations.select([person])
        few, many = (
            np.log(list(learn_proportions(Body.default(), some).limbs.values()))
            for some in (one, Observations.concatenate([one] * 100))
        )
        assert np.linalg.norm(few) < 0.8 * np.linalg.norm(many)


def test_people_of_the_bodys_proportions_change_nothing(tmp_path):
    body, path = Body.default(), tmp_path / "people.json"
    pictures, _ = make_dataset(body, 80, 18)
    write_densepose_coco(path, pictures, body.charts.name)
    observations, _ = read_densepose_coco(path, body)
    found = learn_proportions(body, observations.select(observations.has_evidence))
    np.testing.assert_array_equal(found.segment_scale, 1)


def test_keypoints_alone_tell_legs_only(planted):
    observations, _ = planted
    people = Observations.of_keypoints(
        observations.keypoint_name, observations.keypoint_xy, observations.keypoint_weight
    )
    assert people.keypoint_name == COCO_17.keypoints
    found = learn_proportions(Body.default(), people.select(people.has_evidence))
    for name in ("trunk", "upper arms", "forearms"):
        assert (found.limbs[name], found.people[name]) == (1, 0)
    assert found.people["thighs"] > 100 and found.limbs["shanks"] < 0.97
    arms = [name.endswith(("wrist", "elbow")) for name in COCO_17.keypoints]
    alone = replace(people, keypoint_weight=np.float32(people.keypoint_weight * arms))
    with pytest.raises(UserError, match="they need dense points, or keypoints of hips, knees"):
        learn_proportions(Body.default(), alone.select(alone.has_evidence))
    with pytest.raises(UserError, match="they need dense points, or keypoints of hips, knees"):
        learn_proportions(Body.default(), people.select(slice(0, 0)))


def test_damaged_points_teach_something_possible(planted):
    observations, _ = planted
    random = np.random.default_rng()
    some = observations.select(slice(0, 20))
    noise = random.normal(0, 200, some.point_xy.shape)
    some = replace(some, point_xy=np.float32(some.point_xy + noise))
    found = learn_proportions(Body.default(), some, RegistrationConfig.preset("paper"))
    assert ((found.segment_scale >= 0.5) & (found.segment_scale <= 2)).all()


def test_learning_does_not_depend_on_proportions_that_a_body_has(planted, usual):
    observations, _ = planted
    some, body = observations.select(slice(0, 12)), Body.default()
    one, other = (learn_proportions(b, some) for b in (body, body.with_proportions(usual)))
    np.testing.assert_array_equal(one.segment_scale, other.segment_scale)


@pytest.mark.parametrize("engine", ["fit", "ops"])
@pytest.mark.parametrize("camera", ["weak", "perspective"])
@pytest.mark.parametrize("preset", ["accurate", "paper"])
def test_engines_agree(proportioned, people, engine, camera, preset):
    """Against the reference, step by step, in float64.

    No evidence is left out: a hand of which only the wrist is seen can turn freely, and then
    rounding alone decides how it turns.
    """
    config = RegistrationConfig.preset(
        preset,
        iterations=6,
        starts=1,
        refresh=1,
        six_numbers=False,
        camera=camera,
        suspect_error=np.inf,
    )
    seen = near(people.observations)
    ours, theirs = (
        register(proportioned, seen, config, engine=one, dtype=torch.float64)
        for one in (engine, "reference")
    )
    for name in ("pose", "segment_scale", "rotation", "scale", "loss"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=2e-6)


def test_scales_without_evidence_are_the_usual_ones(proportioned, usual, people):
    """Where nothing is seen, priors pull to the proportions. A fit begins with them."""
    seen = people.observations
    begin = register(proportioned, seen, RegistrationConfig(iterations=0))
    np.testing.assert_array_equal(begin.segment_scale, np.tile(usual, (len(seen), 1)))
    shoulders = np.float32(np.arange(len(seen.keypoint_name)) < 2) * seen.keypoint_weight
    seen = replace(seen, point_weight=0 * seen.point_weight, keypoint_weight=shoulders)
    fits = register(proportioned, seen, RegistrationConfig())
    legs = [4, 5, 7, 8]
    np.testing.assert_allclose(fits.segment_scale[:, legs] / usual[legs], 1, atol=0.03)


def test_people_of_these_proportions_have_lower_losses(body, quick):
    usual = 1 + 0.12 * np.sin(np.arange(24) ** 2).astype(np.float32)
    people = make_people(body, 12, seed=4)
    before = register(body, people.observations, quick)
    scales = np.float32(people.segment_scale.mean(0))
    after = register(body.with_proportions(scales), people.observations, quick)
    wrong = register(body.with_proportions(usual), people.observations, quick)
    assert after.loss.mean() < before.loss.mean() < wrong.loss.mean()


def test_a_warm_fit_begins_with_the_initial_one(body, proportioned, people, quick):
    initial = register(body, people.observations, quick)
    config = replace(quick, warm_iterations=0)
    again = register(proportioned, people.observations, config, initial=initial)
    np.testing.assert_allclose(again.segment_scale, initial.segment_scale, atol=1e-6)
    np.testing.assert_array_equal(again.pose, initial.pose)


def test_a_trace_ends_with_the_fit(proportioned, people, quick):
    quick = replace(quick, precise_error=0.0)
    fits = register(proportioned, people.observations, quick)
    along = trace(proportioned, people.observations, quick, stops(quick))
    np.testing.assert_array_equal(along[-1].segment_scale, fits.segment_scale)
    np.testing.assert_array_equal(along[-1].loss, fits.loss)


def test_a_loss_of_ones_own_reads_whole_scales(proportioned, usual, people):
    seen = []

    def loss(parameters, evidence):
        seen.append(parameters.segment_scale.detach())
        return 0 * parameters.scale

    config = RegistrationConfig(iterations=0, starts=1)
    register(proportioned, people.observations, config, extra_loss=loss)
    np.testing.assert_allclose(seen[0], np.tile(usual, (len(seen[0]), 1)), rtol=1e-6)


def test_a_fit_does_not_depend_on_its_batch(proportioned, people, quick):
    together = register(proportioned, people.observations, quick)
    for row in range(len(together)):
        alone = register(proportioned, people.observations.select([row]), quick)
        np.testing.assert_array_equal(alone.segment_scale[0], together.segment_scale[row])
