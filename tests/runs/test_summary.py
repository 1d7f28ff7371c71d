"""Summaries: those of shards add up to that of the whole, as text too."""

from collections import Counter

import numpy as np
import pytest

from bodyreg.runs.summary import Histogram, Summary


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_median_of_any_size_is_within_a_bin(count):
    values = np.random.default_rng(count).lognormal(1, 2, count).astype(np.float32)
    assert Histogram.of(values).median == pytest.approx(np.median(values), rel=1 / 1024)


def test_histograms_add_up_and_ignore_what_is_not_finite():
    values = np.array([0.0, 1e-20, 3, np.nan, 5, 5, np.inf, 7e9], np.float32)
    whole = Histogram.of(values)
    assert len(whole) == 6
    assert Histogram.of(values[:4]) + Histogram.of(values[4:]) == whole
    assert np.isnan(Histogram().median)
    assert len(Histogram.of(np.full(10**6, 2.5)).counts) == 1


def test_summaries_survive_as_text():
    summary = Summary(
        people=3,
        with_depths=2,
        skipped=Counter(blurred=2),
        cameras=Counter(known=1, weak=2),
        mirrored=1,
        exchanged=1,
        rejected=2,
        doubtful=Counter(parts=2, small=1),
        loss=0.1,
        terms=Counter(dense=0.1, det=0.0),
        distances={"keypoints": Histogram.of([1, 2, 2])},
        deviations={"along": Histogram.of([30, 50, 50])},
        seconds=0.25,
    )
    again = Summary.from_json(summary.to_json())
    assert again == summary
    total = sum([again, Summary(), summary], Summary())
    assert (total.people, total.mirrored, total.skipped) == (6, 2, Counter(blurred=4))
    assert total.with_depths == 4
    assert (total.exchanged, total.rejected) == (2, 4)
    assert total.doubtful == Counter(parts=4, small=2)
    assert total.cameras == Counter(known=2, weak=4)
    assert total.mean_loss == pytest.approx(0.2 / 6)
    assert set(total.mean_terms) == {"dense", "det"}
    assert np.isnan(sum([again, Summary(loss=np.nan)], Summary()).mean_loss)
    assert total.median_pixels == {"keypoints": pytest.approx(2, rel=1e-3)}
    assert total.median_deviations == {"along": pytest.approx(50, rel=1e-3)}
