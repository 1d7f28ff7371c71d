"""Which fits are labels, and how far they are trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Fits, UserError
from bodyreg.regression import LabelConfig, confidence_of
from bodyreg.regression.labels import kept

from .people import some_fits

DEVIATIONS, LOSSES = [10, 20, 20, 40, 60], np.array([1, 2, 2, 2.1, 1e9], np.float32)


def doubted() -> Fits:
    deviation = np.ones((5, 24, 2)) * np.array(DEVIATIONS)[:, None, None]
    return replace(some_fits(5, 18), joint_deviation=deviation, loss=LOSSES)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        ("deviation", [1, 1, 1, 0.25, 0]),
        ("loss", [1, 1, 1, (2 / 2.1) ** 2, 0]),
        ("both", [1, 1, 1, 0.25, 0]),
        ("none", [1, 1, 1, 1, 1]),
    ],
)
def test_doubtful_fits_teach_less(confidence, expected):
    found = confidence_of(doubted(), LabelConfig(confidence=confidence))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_both_is_the_lower_of_the_two_weights():
    fits = replace(doubted(), loss=np.array([1, 1, 2, 1, 1], np.float32))
    found = confidence_of(fits, LabelConfig(confidence="both"))
    np.testing.assert_allclose(found, [1, 1, 0.25, 0.25, 0])


@pytest.mark.parametrize(("doubtful", "rejected"), [(1.5, 2), (2.5, 1), (4.0, 0)])
def test_what_is_rejected_can_be_chosen(doubtful, rejected):
    found = confidence_of(doubted(), LabelConfig(doubtful=doubtful))
    assert (found == 0).sum() == rejected


def test_fits_of_wrong_evidence_are_no_labels():
    fits = doubted()
    wrong, little = np.float32([0.9, 1.1, 0, 0, 0]), np.float32([2, 0, 2, 0, 2])
    fits = replace(fits, doubts={"foreign": wrong, "parts": little})
    np.testing.assert_allclose(confidence_of(fits), [1, 0, 1, 0.25, 0], rtol=1e-6)
    for confidence in ("loss", "none"):
        config = LabelConfig(confidence=confidence)
        np.testing.assert_array_equal(confidence_of(fits, config), confidence_of(doubted(), config))


def test_fits_that_tell_less():
    fits = doubted()
    without = replace(fits, joint_deviation=None)
    np.testing.assert_array_equal(
        confidence_of(without), confidence_of(fits, LabelConfig(confidence="loss"))
    )
    np.testing.assert_array_equal(confidence_of(replace(without, loss=None)), np.ones(5))
    np.testing.assert_array_equal(confidence_of(replace(without, loss=np.zeros(5))), np.ones(5))
    assert confidence_of(Fits.empty()).shape == (0,)


@pytest.mark.parametrize("confidence", ["deviation", "none"])
def test_mirrored_bodies_are_no_labels(confidence):
    fits = some_fits(5, 18)
    mirrored = fits.rotation * np.array([1, 1, 1, -1, 1])[:, None, None].astype(np.float32)
    found = confidence_of(
        replace(fits, loss=None, rotation=mirrored), LabelConfig(confidence=confidence)
    )
    np.testing.assert_array_equal(found, [1, 1, 1, 0, 1])


def test_the_fit_of_lower_loss_is_kept():
    before, new = some_fits(4, 1), some_fits(4, 2)
    before.loss[:], new.loss[:] = [1, 2, 3, 4], [2, 1, 3, np.inf]
    found, better = kept(before, new)
    assert better.tolist() == [False, True, False, False]
    assert found.loss.tolist() == [1, 1, 3, 4]
    for place, source in enumerate((before, new, before, before)):
        np.testing.assert_array_equal(found.pose[place], source.pose[place])
        np.testing.assert_array_equal(found.scale[place], source.scale[place])


def test_labels_that_cannot_be_chosen():
    for wrong in ({"confidence": "luck"}, {"doubtful": 1.0}, {"doubtful": float("nan")}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            LabelConfig(**wrong)
