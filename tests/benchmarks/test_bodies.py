"""The page about other bodies: its numbers, and how they are measured."""

import re

import numpy as np
import pytest

from benchmarks.bodies import ERRORS, Measured, coefficients, table
from benchmarks.hard.study import Study
from bodyreg.body import Body

PEOPLE = 60


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Random errors and coefficients."""
    random, names = np.random.default_rng(3), Body.default().shape_names
    true = random.normal(0, 0.5, (PEOPLE, len(names)))
    before = random.uniform(1, 50, (len(ERRORS), PEOPLE))
    return Measured(
        before=before,
        after=before * random.uniform(0.5, 1.2, before.shape),
        shape=0.5 * true + random.normal(0, 0.1, true.shape),
        true=true,
        child=random.random(PEOPLE) < 0.3,
    )


def test_rows_have_the_means_of_their_people(measured):
    text, adult = table(Body.default(), measured), ~measured.child
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    rows = {row[0].strip(): row[1:] for row in rows}
    heavy = adult & (measured.true[:, Body.default().shape_names.index("weight")] > 0.35)
    for name, people in (("adults", adult), ("children", ~adult), ("heavy adults", heavy)):
        count, *cells, nearer = rows[name]
        assert int(count) == people.sum()
        for number, cell in enumerate(cells):
            before, after = map(float, re.findall(r"[\d.]+", cell))
            assert before == pytest.approx(measured.before[number, people].mean(), abs=0.051)
            assert after == pytest.approx(measured.after[number, people].mean(), abs=0.051)
        share = (measured.after[1] < measured.before[1])[people].mean()
        assert int(nearer.strip(" %")) == pytest.approx(100 * share, abs=0.51)


def test_coefficients_have_a_row_for_each_direction(measured):
    names = Body.default().shape_names
    text = coefficients(Body.default(), measured)
    rows = [line.split("|")[1:-1] for line in text.splitlines()[2:] if line.startswith("|")]
    assert [row[0].strip() for row in rows] == list(names)
    for row, ours, true in zip(rows, measured.shape.T, measured.true.T, strict=True):
        assert float(row[1]) == pytest.approx(np.corrcoef(ours, true)[0, 1], abs=0.006)


def test_people_are_measured_twice():
    study = Study.make(6, 7)
    found = Measured.of(study, study.people)
    both = Measured.together([found, found])
    assert both.before.shape == both.after.shape == (len(ERRORS), 2 * len(found.child))
    assert np.isfinite(both.before).all() and (found.before != found.after).any()
    assert both.shape.any(1).all() and len(both.true) == len(both.child) == 2 * len(found.child)
