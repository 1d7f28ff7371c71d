"""What register reports as a loss is never below zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.evidence import gather
from bodyreg.registration.floor import visibility_floor
from bodyreg.registration.schedule import Setting
from bodyreg.registration.solver import minimise

from .conftest import composed, make_people

ONLY_VISIBILITY = Setting({"visibility": 1.0}, dense_width=float("inf"), learning_rate=0.05)


@pytest.mark.parametrize("sharpness", [0.5, 3.0, 12.0, 40.0])
def test_the_visibility_term_stays_above_its_floor(body, sharpness):
    # Reference: the term itself, at random bodies and at what minimises nothing else.
    people = make_people(body, 6, seed=8).observations
    people.point_weight[:17] = 0
    config = RegistrationConfig(visibility_sharpness=sharpness)
    evidence = gather(people, config, torch.device("cpu"), torch.float64)
    floor = visibility_floor(body, people, evidence.point_weight.numpy(), sharpness)
    objective = composed(reference, body, people, config)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(6, 108, generator=generator, dtype=torch.float64)
    for flat in (start, minimise(objective, start, [ONLY_VISIBILITY] * 150)):
        value = objective(flat, ONLY_VISIBILITY).numpy()
        assert (value >= floor).all()
    assert (floor < 0).all()
    assert (value < 0).all()  # without the floor, the loss would be below zero


@pytest.mark.parametrize("engine", ["fit", "ops"])
def test_a_segment_without_faces(body, engine):
    """Its surface is seen by nothing, so nothing is likely or not."""
    hand, wrist = (body.joint_names.index(f"left_{name}") for name in ("hand", "wrist"))
    ids = np.where(body.weight_joint_ids == hand, wrist, body.weight_joint_ids)
    bare = replace(body, weight_joint_ids=ids)
    assert not (bare.segment == hand).any()
    people = make_people(bare, 3, seed=9).observations
    config = RegistrationConfig(starts=1, iterations=10)
    fits = register(bare, people, config, engine=engine)
    assert np.isfinite(fits.loss).all()


@pytest.mark.parametrize("engine", ["fit", "ops"])
def test_no_reported_term_is_below_zero(body, engine):
    people = make_people(body, 5, seed=9).observations
    config = RegistrationConfig(starts=1, iterations=40)
    fits = register(body, people, config, engine=engine)
    assert all((values >= 0).all() for values in fits.terms.values())
    np.testing.assert_allclose(sum(fits.terms.values()), fits.loss, rtol=1e-4)


def test_points_without_weight_do_not_count(body):
    people = make_people(body, 3, seed=9).observations
    weights = people.point_weight.copy()
    weights[: people.point_start[1]] = 0
    floor = visibility_floor(body, people, weights, 12.0)
    assert floor[0] == 0
    np.testing.assert_array_equal(
        floor[1:], visibility_floor(body, people, people.point_weight, 12.0)[1:]
    )
