"""Doubtful fits, exchanged sides, guessed keypoints and missing limbs, on made people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hard.__main__ import Study
from benchmarks.hard.fading import by_limb
from benchmarks.hard.planting import ERRORS
from bodyreg import RegistrationConfig, register
from bodyreg.data.fits import REASONS
from bodyreg.data.reading import as_read
from bodyreg.data.sides import KEYPOINTS, POINTS, bits
from bodyreg.registration.config import PIXEL
from bodyreg.registration.evidence import keypoint_weights
from bodyreg.registration.hypotheses import ACCEPTED, ACCEPTED_REJECTION

PARAMETERS = ("pose", "segment_scale", "rotation", "translation", "scale", "loss")


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.make(14, 31)


@pytest.fixture(scope="module")
def people(study):
    return study.people.with_depths(None)


@pytest.fixture(scope="module")
def clean(study, people):
    return register(study.body, people)


def spoilt(name, people):
    return ERRORS[name](people, np.random.default_rng(7))


def assert_same(one, other):
    for name in (*PARAMETERS, "exchanged", "rejected"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.doubts.keys() == other.doubts.keys()
    for name, values in one.doubts.items():
        np.testing.assert_array_equal(values, other.doubts[name], err_msg=name)


def test_good_evidence_stays_as_it_is(study, people, clean):
    assert not clean.exchanged.any() and not clean.rejected.any()
    assert clean.doubtful.sum() <= 1
    never = register(study.body, people, RegistrationConfig(suspect_error=np.inf))
    assert_same(never, clean)


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("points of the other side", bits(POINTS)),
        ("keypoints of the other side", bits((), KEYPOINTS)),
        ("all of the other side", bits(POINTS, KEYPOINTS)),
    ],
)
def test_a_person_of_the_other_side_gets_the_fit_of_the_right_side(
    study, people, clean, name, exchange
):
    fits = register(study.body, spoilt(name, people))
    found = fits.exchanged == exchange
    assert found.mean() > 0.9
    for array in PARAMETERS:
        np.testing.assert_array_equal(getattr(fits, array)[found], getattr(clean, array)[found])
    np.testing.assert_array_equal(fits.exchanged[~found], 0)


def test_exchanged_hands_and_feet_are_found_or_do_little(study, people, clean):
    fits = register(study.body, spoilt("hands and feet exchanged", people))
    assert (fits.exchanged > 0).mean() > 0.7
    assert set(fits.exchanged) <= {
        0,
        *(bits(g) for g in (("hands",), ("feet",), ("hands", "feet"))),
    }
    assert study.errors(fits).mean() < 1.2 * study.errors(clean).mean()


def test_a_fit_does_not_depend_on_its_batch(study, people):
    """Good people, exchanged ones and merged ones, in another order and alone."""
    merged = spoilt("two people merged", people)
    sparse = replace(merged, point_weight=np.zeros_like(merged.point_weight))
    mixed = [people, spoilt("all of the other side", people), merged, sparse]
    parts = [some.select(slice(i, i + 3)) for i, some in enumerate(mixed)]
    together = type(people).concatenate(parts)
    fits = register(study.body, together)
    assert (fits.exchanged > 0).sum() >= 3 and (fits.rejected > 0).sum() >= 3
    order = np.random.default_rng().permutation(len(together))
    assert_same(register(study.body, together.select(order)), fits.select(order))
    for person in range(0, len(together), 2):
        one = slice(person, person + 1)
        assert_same(register(study.body, together.select(one)), fits.select(one))


def test_a_warm_fit_keeps_the_sides_and_their_doubts(study, people, clean):
    other = spoilt("all of the other side", people)
    fits = register(study.body, other)
    warm = register(study.body, other, initial=fits)
    np.testing.assert_array_equal(warm.exchanged, fits.exchanged)
    right = register(study.body, people, initial=clean)
    right = replace(
        right, exchanged=fits.exchanged, doubts=right.doubts | {"sides": fits.doubts["sides"]}
    )
    assert_same(warm.select(fits.exchanged > 0), right.select(fits.exchanged > 0))
    unknown = register(study.body, other, initial=replace(fits, exchanged=None, rejected=None))
    np.testing.assert_array_equal(unknown.exchanged, 0)
    np.testing.assert_array_equal(unknown.rejected, 0)


@pytest.mark.parametrize("kind", ["two people merged", "two people merged, keypoints alone"])
def test_what_another_person_shows_is_left_out(study, people, clean, kind):
    other = spoilt(kind, people)
    fits = register(study.body, other)
    before = register(study.body, other, RegistrationConfig(suspect_error=np.inf))
    found = fits.rejected > 0
    assert found.mean() > 0.5 and fits.doubtful[found].all()
    foreign = fits.doubts["foreign"]
    assert (foreign[found] > ACCEPTED / ACCEPTED_REJECTION).all()
    assert (foreign[~found] <= ACCEPTED / ACCEPTED_REJECTION).all()
    assert_same(fits.select(~found & (fits.exchanged == 0)), replace(before, doubts=fits.doubts)
                .select(~found & (fits.exchanged == 0)))  # fmt: skip
    errors = study.errors(fits)[found], study.errors(before)[found]
    assert errors[0].mean() < 0.75 * errors[1].mean()


def test_a_warm_fit_leaves_the_same_out(study, people):
    other = spoilt("two people merged", people)
    fits = register(study.body, other)
    warm = register(study.body, other, initial=fits)
    np.testing.assert_array_equal(warm.rejected, fits.rejected)
    assert warm.doubtful[fits.rejected > 0].all()
    apart = np.linalg.norm(warm.joints(study.body) - fits.joints(study.body), axis=2)
    assert np.median(apart) < 4 * PIXEL
    again = register(study.body, as_read(other, fits, study.body), initial=fits)
    assert_same(warm, again)


@pytest.mark.parametrize("name", ["a strip", "two people merged"])
def test_gross_errors_are_flagged_with_a_reason(study, people, name):
    fits = register(study.body, spoilt(name, people))
    assert fits.doubtful.all()
    for person in range(len(fits)):
        strongest = max(fits.doubts, key=lambda reason: fits.doubts[reason][person])
        assert fits.reasons(person)[0].startswith(REASONS[strongest])


@pytest.mark.parametrize("name", ["legs hidden", "legs hidden, their keypoints invented"])
def test_legs_that_are_not_seen_are_flagged(study, people, name):
    hidden = spoilt(name, people)
    fits = register(study.body, hidden)
    found = fits.doubts["limbs"] > 1
    points = np.bincount(hidden.point_person, minlength=len(hidden)) >= 20
    assert found[points].all() and points.sum() > 10
    assert (register(study.body, people).doubts["limbs"] > 1).sum() <= 2


def test_few_points_small_people_and_mirrored_bodies_are_flagged(study, people):
    weight = np.where(np.arange(people.keypoint_weight.shape[1]) < 4, people.keypoint_weight, 0)
    few = replace(people.keypoints_alone(), keypoint_weight=weight)
    few = few.select(few.has_evidence)
    assert (register(study.body, few).doubts["evidence"] > 1).all()
    tiny = replace(
        people,
        frame=people.frame / 20,
        point_xy=people.point_xy / 20,
        keypoint_xy=people.keypoint_xy / 20,
        focal=people.focal / 20,
        principal_point=None,
        picture_size=None,
    )
    assert (register(study.body, tiny).doubts["small"] > 1).all()
    nobody = register(study.body, people.select(np.zeros(0, int)))
    assert len(nobody) == 0 and len(nobody.doubt) == 0
    paper = register(study.body, people, RegistrationConfig.preset("paper"))
    assert not paper.exchanged.any() and (paper.doubts["pose"] == 0).all()


def test_keypoints_outside_of_the_picture_weigh_less(study, people):
    config, random = RegistrationConfig(), np.random.default_rng()
    size = people.picture_size[0].astype(float)
    xy = people.keypoint_xy.copy()
    xy[:, 0] = [-0.2, 0.5] * size
    xy[:, 1] = [0.5, 1.2] * size
    xy[:, 2] = [0, 1] * size  # a corner
    some = replace(people, keypoint_xy=xy, keypoint_weight=random.uniform(0.5, 1, xy.shape[:2]))
    usual = keypoint_weights(replace(some, picture_size=None), config, np.float64)
    weight = keypoint_weights(some, config, np.float64)
    np.testing.assert_allclose(weight[:, :2], config.outside_share * usual[:, :2])
    np.testing.assert_array_equal(weight[:, 2], usual[:, 2])
    unknown = replace(some, picture_size=np.zeros_like(some.picture_size))
    np.testing.assert_array_equal(keypoint_weights(unknown, config, np.float64), usual)
    equal = replace(config, outside_share=1.0)
    np.testing.assert_array_equal(keypoint_weights(some, equal, np.float64), usual)


def test_guessed_keypoints_do_less_harm(study, people):
    guessed = spoilt("keypoints guessed outside", people)
    now = study.errors(register(study.body, guessed))
    equal = RegistrationConfig(outside_share=1.0, suspect_error=np.inf)
    assert now.mean() < 0.7 * study.errors(register(study.body, guessed, equal)).mean()


def test_guessed_keypoints_do_not_count_as_seen(study, people):
    """Legs below the picture are as doubtful with guessed keypoints as without any."""
    legs = [i for i, name in enumerate(people.keypoint_name) if "knee" in name or "ankle" in name]
    xy, none = people.keypoint_xy.copy(), people.keypoint_weight.copy()
    xy[:, legs, 1] = people.picture_size[:, None, 1] + 1
    none[:, legs] = 0
    alone = people.keypoints_alone()
    guessed = register(study.body, replace(alone, keypoint_xy=xy))
    unseen = register(study.body, replace(alone, keypoint_weight=none))
    for name in ("evidence", "parts", "limbs"):
        np.testing.assert_array_equal(guessed.doubts[name], unseen.doubts[name], err_msg=name)
    assert (guessed.doubts["limbs"] > 1).all()


def test_what_is_not_seen_falls_back_to_the_prior(study, people):
    """Arm by arm and leg by leg: no limb flies off, and deviations grow."""
    body, last = study.body, None
    rest = np.linalg.norm(body.joints - body.joints[0], axis=1).max()
    for step in by_limb(people)[:5]:
        fits = register(body, step.people)
        joints = fits.joints(body) / fits.scale[:, None, None]
        truth = study.true(fits.id).in_frames(fits.frame)
        scale, true = truth.scale, truth.placed(truth.joints)
        apart = (fits.joints(body) - true) / scale[:, None, None] * 1000
        apart -= apart[:, :1].copy()
        assert (np.linalg.norm(joints - joints[:, :1], axis=2) < 1.3 * rest).all()
        deviation = np.linalg.norm(fits.joint_deviation, axis=2)
        axes = np.stack([np.hypot(apart[..., 0], apart[..., 1]), np.abs(apart[..., 2])], 2)
        within = axes <= fits.joint_deviation * (fits.scale / scale)[:, None, None]
        if last is not None:
            assert 0.45 < within[step.unseen].mean() < 0.9
            new = step.unseen & ~last[1]
            assert np.median(deviation[new]) > 1.5 * np.median(last[0][new])
            size = fits.scale / last[2]
            assert ((size > 0.8) & (size < 1.25)).all()
        last = deviation, step.unseen, fits.scale
