"""The page about hard evidence, on a few people."""

import numpy as np
import pytest

from benchmarks.hard.__main__ import false_alarms, limits, planted
from benchmarks.hard.fading import by_limb, by_row
from benchmarks.hard.planting import ERRORS
from benchmarks.hard.study import Study
from bodyreg.data.fits import REASONS


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.make(8, 5)


def test_every_error_has_a_row(study):
    text = planted(study, 3)
    assert [line.split(" | ")[0].strip("| ") for line in text.splitlines()[2:]] == list(ERRORS)
    assert "nan" not in text
    assert "nan" not in false_alarms(study).replace("– |", "")


def test_every_reason_has_a_limit():
    named = {line.split("`")[1] for line in limits().splitlines() if "`" in line}
    assert named == set(REASONS)


def test_planted_errors_are_what_they_are_called(study):
    people = study.people.with_depths(None)
    for name, error in ERRORS.items():
        some = error(people, np.random.default_rng())
        some.check(study.body)
        assert some.has_evidence.all(), name
        assert set(some.id.tolist()) <= set(people.id.tolist())
        one, two = (error(people, np.random.default_rng(4)) for _ in range(2))
        np.testing.assert_array_equal(one.point_xy, two.point_xy)
        np.testing.assert_array_equal(one.keypoint_xy, two.keypoint_xy)


def test_evidence_fades_step_by_step(study):
    people = study.people.with_depths(None)
    for steps in (by_limb(people), by_row(study, people)):
        count = [
            step.people.point_count.sum() + (step.people.keypoint_weight > 0).sum()
            for step in steps
        ]
        assert (np.diff(count) <= 0).all() and count[-1] < count[0] / 2
        unseen = [step.unseen.mean() for step in steps]
        assert (np.diff(unseen) >= 0).all()
        for step in steps:
            assert step.unseen.shape == (len(step.people), 24)
