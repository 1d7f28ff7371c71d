"""Presets against the numbers they stand for; schedules against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.registration.losses import TERMS
from bodyreg.registration.schedule import (
    ADAM,
    LM,
    Setting,
    annealed,
    cold,
    cosine_tail,
    final_setting,
    first_setting,
    geometric,
    iterations_per_person,
    settled,
    warm,
)  # fmt: skip


def test_paper_is_the_papers():
    """Reference: the reconstruction's table of weights, schedule and starts; scale_level ours."""
    config = RegistrationConfig.preset("paper")
    assert final_setting(config).weights == {
        "dense": 1, "keypoint": 1, "depth": 1, "scale_smoothness": 0.05, "joint": 1e-3,
        "exponential": 1e-3, "det": 0.1, "scale_level": 1e-2,
    }  # fmt: skip
    assert first_setting(config).weights == {
        "dense": 1, "keypoint": 1, "depth": 1, "scale_smoothness": 10, "joint": 1,
        "exponential": 1, "det": 0.1, "scale_level": 1e-2,
    }  # fmt: skip
    assert config.evidence == "mean" and math.isinf(config.dense_width)
    assert (config.iterations, config.warm_iterations) == (300, 100)
    assert (config.learning_rate, config.learning_rate_end, config.camera_scale) == (0.1, 1, 0.9)
    assert (config.stiff, config.anneal_share, config.starts) == ("anneal", 0.6, 1)
    assert not config.six_numbers and config.camera == "weak"


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
        {"stiff_scale_weight": 0.0, "stiff": "anneal"}, {"solver": "newton"}, {"refresh": 0},
        {"iterations": 10**30}, {"starts": 10**9}, {"refresh": 2**64}, {"chunk": 2**31},
        {"lm_iterations": -1}, {"lm_adam_iterations": -1},
        {"camera": "fisheye"}, {"assumed_focal": 1e-3}, {"assumed_focal": math.nan},
        {"visibility_sharpness": 200.0}, {"camera_scale": math.inf},
        {"precise_error": 1e200}, {"precise_factor": 0.0}, {"precise_factor": math.inf},
    ],
)  # fmt: skip
def test_values_out_of_range_are_user_errors(change):
    with pytest.raises(UserError, match=next(iter(change))):
        RegistrationConfig(**change)


def test_annealing_is_geometric():
    """Stiffness halves its logarithm halfway, and is gone after the first 60 %."""
    config = RegistrationConfig.preset("paper")
    run = annealed(config, 100, 0.6)
    assert run[0] == first_setting(config)
    assert run[30].weights["scale_smoothness"] == pytest.approx(math.sqrt(10 * 0.05))
    assert run[30].weights["joint"] == pytest.approx(math.sqrt(1 * 1e-3))
    assert run[60] == run[80] == run[99] == final_setting(config)
    assert geometric(4.0, 1.0, 0.5) == 2 and geometric(math.inf, math.inf, 0.5) == math.inf


def test_stiffness_modes():
    paper = RegistrationConfig.preset("paper")
    stiff, soft = first_setting(paper), final_setting(paper)
    for mode, begins, ends in (
        ("anneal", stiff, soft),
        ("constant", stiff, stiff),
        ("none", soft, soft),
    ):
        run = annealed(replace(paper, stiff=mode), 50, 0.6)
        assert run[0] == begins and run[-1] == ends


def test_width_and_weights_of_accurate_anneal():
    config = RegistrationConfig(dense_width=0.1, dense_width_start=0.4)
    run = annealed(config, 100, 0.6)
    assert run[0].dense_width == 0.4
    assert run[30].dense_width == pytest.approx(0.2)
    assert run[60].dense_width == 0.1
    assert run[0].weights["prior"] == config.prior_weight_start
    assert run[99].weights["prior"] == config.prior_weight
    assert all(setting == run[99] for setting in settled(config, 50, 0.03))


def test_learning_rate_falls_along_a_cosine():
    """Full until 60 %, halfway between the ends at 80 %, 5 % at the end."""
    config = RegistrationConfig()
    rate = [setting.learning_rate for setting in annealed(config, 200, 0.6)]
    assert [rate[i] for i in (0, 60, 120)] == [0.12] * 3
    assert rate[160] == pytest.approx(0.12 * 0.525)
    assert cosine_tail(200, 200, 0.4, 0.05) == pytest.approx(0.05)
    assert all(rate[i + 1] < rate[i] for i in range(120, 199))
    constant = annealed(RegistrationConfig.preset("paper"), 200, 0.6)
    assert {setting.learning_rate for setting in constant} == {0.1}


def test_a_setting_is_a_row():
    """The columns of a row are the terms' weights, the width and the learning rate."""
    setting = Setting({"keypoint": 2.0, "det": 0.5}, math.inf, 0.1)
    row = setting.row()
    assert row[1] == 2 and row[15:] == [0.5, math.inf, 0.1] and sum(map(bool, row)) == 4
    again = Setting.of_row(row)
    assert again == setting and again.learning_rate == 0.1


@pytest.mark.parametrize(
    ("changes", "phases"),
    [
        ({"starts": 1}, [ADAM, 320, 1]),
        ({}, [ADAM, 192, 1, ADAM, 128, 1]),
        ({"starts": 2, "carried": 5, "explore_share": 0.25}, [ADAM, 80, 2, ADAM, 240, 1]),
        ({"solver": "lm", "starts": 1}, [ADAM, 60, 1, LM, 8, 1]),
        ({"solver": "lm", "lm_adam_iterations": 20, "lm_iterations": 9}, [ADAM, 20, 1, LM, 9, 1]),
    ],
)
def test_phases_of_a_cold_fit(changes, phases):
    """Solver, iterations and kept candidates; a row for each iteration and one that judges."""
    config = RegistrationConfig(**changes)
    plan = cold(config)
    assert list(plan.phases) == phases
    rows = [Setting.of_row(row) for row in plan.settings.tolist()]
    assert len(rows) == sum(phases[1::3]) + 1
    assert rows[0] == first_setting(config) and rows[-1] == final_setting(config)
    explored = annealed(config, phases[1], 1.0 if config.solver == "lm" else 0.6)
    assert rows[: phases[1]] == explored
    assert [r.learning_rate for r in rows[: phases[1]]] == [r.learning_rate for r in explored]
    assert all(row == final_setting(config) for row in rows[phases[1] :])


def test_iterations_per_person():
    """4 starts of 192 and one of 128; 4 of 60 and one of 8; one that is warm."""
    assert iterations_per_person(RegistrationConfig()) == 896
    assert iterations_per_person(RegistrationConfig(solver="lm")) == 248
    assert iterations_per_person(RegistrationConfig(), warm_start=True) == 100
    assert iterations_per_person(RegistrationConfig.preset("paper")) == 300


def test_phases_of_a_warm_fit():
    config = RegistrationConfig(warm_iterations=50, starts=4)
    plan = warm(config)
    assert plan.phases == (ADAM, 50, 1) and plan.settings.shape == (51, 18)
    assert plan.settings[0, 17] == config.warm_learning_rate
    assert warm(replace(config, solver="lm")).phases == (LM, config.lm_iterations, 1)
    for name in ("facing_margin", "visibility_sharpness", "scale_low", "scale_high", "refresh"):
        assert getattr(plan, name) == getattr(config, name)


def test_terms_without_weight_are_left_out():
    config = RegistrationConfig(
        **{f"{term}_weight": 0.0 for term in TERMS if term not in ("depth", "prior")}
    )
    assert final_setting(config).weights.keys() == {"depth", "prior"}
