"""Precise dense points weigh more in a second fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Body
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.config import PIXEL
from bodyreg.registration.precision import precise

from .standing import standing

ONCE = RegistrationConfig(iterations=60, starts=2, warm_iterations=20, precise_error=0.0)
TWICE = replace(ONCE, precise_error=2.2 * PIXEL)


@pytest.fixture(scope="module")
def people():
    """Two pictures of the built-in body; in the second, points are 6 pixels off."""
    seen = standing(Body.default(), (5.0, 5.0), (0.3,))
    noise = 6 * np.random.default_rng(5).standard_normal(seen.point_xy.shape)
    second = seen.point_person == 1
    xy = np.where(second[:, None], seen.point_xy + noise, seen.point_xy)
    return replace(seen, point_xy=xy.astype(np.float32))


def test_the_distances_decide(people):
    """Reference: distances that are measured on the surface of the fits."""
    body = Body.default()
    fits = register(body, people, ONCE)
    surface = fits.seen(fits.vertices(body))[..., :2]
    person = people.point_person
    corners = surface[person[:, None], people.point_vertex]
    at = (corners * people.point_barycentric[..., None]).sum(1)
    square = ((at - people.points_in_frame()) ** 2).sum(1)
    robust = square * ONCE.dense_width**2 / (ONCE.dense_width**2 + square)
    error = np.sqrt([robust[person == i].mean() for i in range(2)])
    assert error[0] < TWICE.precise_error < error[1]
    for i in range(2):
        for share, chosen in ((0.999, False), (1.001, True)):
            limit = replace(TWICE, precise_error=share * error[i])
            assert (i in precise(fits, people, limit)) == chosen
    by_count = replace(ONCE, evidence="mean")
    again = register(body, people, by_count)
    assert precise(again, people, replace(by_count, precise_error=TWICE.precise_error)) == [0]


def test_precise_people_go_on_and_others_stay(people):
    body = Body.default()
    first, second = register(body, people, ONCE), register(body, people, TWICE)
    weight = ONCE.dense_weight * ONCE.precise_factor
    more = replace(ONCE, dense_weight=weight, warm_iterations=ONCE.iterations)
    hand = register(body, people, more, initial=first)
    for name in ("pose", "segment_scale", "rotation", "scale", "translation"):
        np.testing.assert_array_equal(getattr(second, name)[0], getattr(hand, name)[0])
        np.testing.assert_array_equal(getattr(second, name)[1], getattr(first, name)[1])
    assert second.loss[1] == first.loss[1]
    assert second.terms["dense"][0] < first.terms["dense"][0]


def test_the_loss_has_the_usual_weights(people):
    body = Body.default()
    fits = register(body, people, TWICE)
    usual = register(body, people, replace(ONCE, warm_iterations=0), initial=fits)
    np.testing.assert_allclose(fits.loss, usual.loss, rtol=1e-4)
    for name, values in usual.terms.items():
        np.testing.assert_allclose(fits.terms[name], values, rtol=1e-3, atol=1e-8)


def test_keypoints_alone_are_not_precise_points(people):
    alone = replace(people, point_weight=np.zeros_like(people.point_weight))
    fits = register(Body.default(), alone, TWICE)
    assert len(precise(fits, alone, TWICE)) == 0
