"""Presets against the numbers they stand for; schedules against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.registration.schedule import (
    TERMS,
    cold,
    cosine_tail,
    final_setting,
    first_setting,
    geometric,
    warm,
)  # fmt: skip


def test_paper_is_the_papers():
    """Reference: the reconstruction's table of weights, schedule and initial values."""
    config = RegistrationConfig.preset("paper")
    assert final_setting(config).weights == {
        "dense": 1, "keypoint": 1, "depth": 1, "scale_smoothness": 0.05, "joint": 1e-3,
        "exponential": 1e-3, "det": 0.1,
    }  # fmt: skip
    assert first_setting(config).weights == {
        "dense": 1, "keypoint": 1, "depth": 1, "scale_smoothness": 10, "joint": 1,
        "exponential": 1, "det": 0.1,
    }  # fmt: skip
    assert config.evidence == "mean" and math.isinf(config.dense_width)
    assert (config.iterations, config.warm_iterations) == (300, 100)
    assert (config.learning_rate, config.learning_rate_end, config.camera_scale) == (0.1, 1, 0.9)
    assert (config.stiff, config.anneal_share, config.starts) == ("anneal", 0.6, 1)
    assert not config.six_numbers


def test_accurate_is_the_default():
    assert RegistrationConfig.preset("accurate") == RegistrationConfig()
    weights = final_setting(RegistrationConfig()).weights
    assert {"dense", "keypoint", "depth", "facing", "visibility", "prior", "limit"} < weights.keys()
    assert not {"joint", "exponential"} & weights.keys()


def test_preset_takes_changes():
    assert RegistrationConfig.preset("paper", iterations=7).iterations == 7
    with pytest.raises(UserError, match="preset 'fast' is unknown"):
        RegistrationConfig.preset("fast")


@pytest.mark.parametrize(
    "change",
    [
        {"dense_weight": -1.0}, {"prior_weight": math.nan}, {"dense_width": 0.0},
        {"learning_rate": -0.1}, {"iterations": -1}, {"starts": 0}, {"carried": 0}, {"chunk": 0},
        {"decay_share": 1.5}, {"anneal_share": 0.0}, {"stiff": "hard"}, {"evidence": "median"},
        {"facing_margin": 1.0}, {"depth_weight_start": 0.0}, {"dense_width": math.inf},
        {"stiff_scale_weight": 0.0, "stiff": "anneal"},
    ],
)  # fmt: skip
def test_values_out_of_range_are_user_errors(change):
    with pytest.raises(UserError, match=next(iter(change))):
        RegistrationConfig(**change)


def test_annealing_is_geometric():
    """Stiffness halves its logarithm halfway, and is gone after the first 60 %."""
    config = RegistrationConfig.preset("paper")
    run = cold(config, 100)
    assert run.setting(0) == first_setting(config)
    assert run.setting(30).weights["scale_smoothness"] == pytest.approx(math.sqrt(10 * 0.05))
    assert run.setting(30).weights["joint"] == pytest.approx(math.sqrt(1 * 1e-3))
    for iteration in (60, 80, 100):
        assert run.setting(iteration) == final_setting(config)
    assert geometric(4.0, 1.0, 0.5) == 2 and geometric(math.inf, math.inf, 0.5) == math.inf


def test_stiffness_modes():
    paper = RegistrationConfig.preset("paper")
    stiff, soft = first_setting(paper), final_setting(paper)
    for mode, begins, ends in (
        ("anneal", stiff, soft),
        ("constant", stiff, stiff),
        ("none", soft, soft),
    ):
        run = cold(replace(paper, stiff=mode), 50)
        assert run.setting(0) == begins and run.setting(50) == ends


def test_width_and_weights_of_accurate_anneal():
    config = RegistrationConfig(dense_width=0.1, dense_width_start=0.4)
    run = cold(config, 100)
    assert run.setting(0).dense_width == 0.4
    assert run.setting(30).dense_width == pytest.approx(0.2)
    assert run.setting(60).dense_width == 0.1
    assert run.setting(0).weights["prior"] == config.prior_weight_start
    assert run.setting(99).weights["prior"] == config.prior_weight
    assert all(warm(config, 50, 0.03).setting(i) == run.setting(100) for i in (0, 49))


def test_learning_rate_falls_along_a_cosine():
    """Full until 60 %, halfway between the ends at 80 %, 5 % at the end."""
    config = RegistrationConfig()
    rate = cold(config, 200).learning_rate
    assert [rate(i) for i in (0, 60, 120)] == [0.1] * 3
    assert rate(160) == pytest.approx(0.1 * 0.525)
    assert cosine_tail(200, 200, 0.4, 0.05) == pytest.approx(0.05)
    assert all(rate(i + 1) < rate(i) for i in range(120, 199))
    constant = cold(RegistrationConfig.preset("paper"), 200).learning_rate
    assert {constant(i) for i in range(200)} == {0.1}


def test_terms_without_weight_are_left_out():
    config = RegistrationConfig(
        **{f"{term}_weight": 0.0 for term in TERMS if term not in ("depth", "prior")}
    )
    assert final_setting(config).weights.keys() == {"depth", "prior"}
