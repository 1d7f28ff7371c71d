"""The page about other bodies, on a few people."""

import re

import numpy as np
import pytest

from benchmarks.bodies import ERRORS, Measured, coefficients, table
from benchmarks.hard.study import Study
from bodyreg.body import Body


@pytest.fixture(scope="module")
def measured() -> Measured:
    study = Study.make(14, 5)
    return Measured.together([Measured.of(study, study.people)] * 2)


def test_errors_have_a_row_for_each_group(measured):
    body = Body.default()
    assert measured.before.shape == measured.after.shape == (len(ERRORS), len(measured.child))
    rows = {
        line.split("|")[1].strip(): line.split("|")
        for line in table(body, measured).splitlines()
        if "→" in line and "|" in line
    }
    assert int(rows["adults"][2]) == (~measured.child).sum()
    before, after = map(float, re.findall(r"[\d.]+", rows["adults"][3]))
    adults = ~measured.child
    assert before == pytest.approx(measured.before[0, adults].mean(), abs=0.006)
    assert after == pytest.approx(measured.after[0, adults].mean(), abs=0.006)


def test_coefficients_have_a_row_for_each_direction(measured):
    body = Body.default()
    text = coefficients(body, measured)
    names = [line.split("|")[1].strip() for line in text.splitlines()[2:] if line.startswith("|")]
    assert names == list(body.shape_names)
    np.testing.assert_array_equal(
        measured.shape[: len(measured.shape) // 2], measured.shape[len(measured.shape) // 2 :]
    )
