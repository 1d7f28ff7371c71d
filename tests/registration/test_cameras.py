"""Focal lengths that pictures do not tell are found by the fit."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from bodyreg import Body
from bodyreg.data import Fits
from bodyreg.registration import RegistrationConfig, register
from bodyreg.registration.cameras import TRIED, as_fitted, best

from .conftest import near
from .standing import SIDE, standing

module = importlib.import_module("bodyreg.registration.register")

DIAGONAL = math.hypot(SIDE, SIDE)
QUICK = RegistrationConfig(iterations=40, starts=2, warm_iterations=10, precise_error=0.0)


@pytest.fixture(scope="module")
def upright():
    """Exact pictures of the built-in body from 2.5 m, 8 m and far away, of known size."""
    seen = standing(Body.default(), (2.5, 8, math.inf), (0.3, 1.2))
    return replace(seen, focal=None, principal_point=None)


def test_the_picture_tells_the_distance(upright):
    fits = register(Body.default(), upright)
    found = np.where(np.isnan(fits.focal), math.inf, fits.focal) / DIAGONAL
    np.testing.assert_allclose(found, [1, 1, 2, 2, math.inf, math.inf], rtol=1e-6)


def test_the_lowest_loss_stays(upright):
    """Reference: the same by hand. Nothing is found without `find_focal`, nor in a warm fit."""
    body = Body.default()
    first = register(body, upright, replace(QUICK, find_focal=False))
    np.testing.assert_allclose(first.focal, 2 * DIAGONAL, rtol=1e-6)
    hand = [
        register(
            body,
            replace(upright, focal=np.full(len(upright), share * 2 * DIAGONAL)),
            QUICK,
            initial=replace(first, focal=None, principal_point=None),
        )
        for share in TRIED
    ]
    fits = register(body, upright, QUICK)
    lowest = np.min([one.loss for one in hand], axis=0)
    np.testing.assert_array_equal(fits.loss, lowest)
    for person, chosen in enumerate(np.argmin([one.loss for one in hand], axis=0)):
        np.testing.assert_array_equal(fits.pose[person], hand[chosen].pose[person])
    warm = register(body, upright, QUICK, initial=fits)
    np.testing.assert_array_equal(warm.focal, fits.focal)


@pytest.mark.parametrize("precise", [0.0, 4.0])
def test_deviations_have_the_share_of_an_assumed_focal_length(upright, monkeypatch, precise):
    """Those of cold fits, of a second fit to precise points, and of warm fits."""

    def marked(body: Body, fits: Fits) -> Fits:
        more = np.full(fits.joint_deviation.shape, 500, np.float32)
        return replace(fits, joint_deviation=fits.joint_deviation + more)

    monkeypatch.setattr(module, "with_focal_unknown", marked)
    focal = np.where(np.arange(len(upright)) % 2, math.nan, 2 * DIAGONAL)
    some, config = replace(upright, focal=focal), replace(QUICK, precise_error=precise)
    cold = register(Body.default(), some, config)
    for fits in (cold, register(Body.default(), some, config, initial=cold)):
        np.testing.assert_array_equal(
            fits.joint_deviation.min((1, 2)) >= 500, np.isnan(focal), err_msg=str(precise)
        )


def test_cameras_that_fits_cannot_hold_are_infinitely_far(upright, tmp_path):
    """A focal length of any size is one of a fit that can be saved and read."""
    body, few = Body.default(), upright.select([0, 0, 0, 0])
    known = replace(few, focal=np.float32([1e8, 3e38, np.inf, 9e7]))
    fits = register(body, known, replace(QUICK, iterations=5))
    np.testing.assert_array_equal(fits.focal, np.float32([np.nan, np.nan, np.nan, 9e7]))
    for person in (0, 1):
        np.testing.assert_array_equal(fits.pose[person], fits.pose[2])
    assumed = register(body, few, replace(QUICK, iterations=5, assumed_focal=1e300))
    np.testing.assert_array_equal(assumed.focal, np.full(4, np.nan))
    for found in (fits, assumed):
        found.save(tmp_path / "fits.npz")
        np.testing.assert_array_equal(Fits.load(tmp_path / "fits.npz").focal, found.focal)


def test_equal_losses_keep_the_first(upright):
    fits = register(Body.default(), upright, replace(QUICK, find_focal=False))
    other = replace(fits, pose=fits.pose + 1, loss=fits.loss - [0, 0, 0, 1, 0, 0])
    chosen = best([fits, other])
    np.testing.assert_array_equal(chosen.pose[:3], fits.pose[:3])
    np.testing.assert_array_equal(chosen.pose[3], other.pose[3])


@pytest.mark.parametrize("engine", ["fit", "ops"])
def test_a_fit_does_not_depend_on_its_company(body, people, engine):
    """Known, found and no cameras: alone, and in one call."""
    seen = near(people.observations)
    focal = seen.focal.copy()
    focal[1::2] = np.nan
    seen = replace(seen, focal=focal, picture_size=np.tile(np.int32([400, 300]), (len(seen), 1)))
    seen.picture_size[3] = 0
    config = replace(QUICK, iterations=6, warm_iterations=3)
    together = register(body, seen, config, engine=engine)
    for person in range(len(seen)):
        alone = register(body, seen.select([person]), config, engine=engine)
        for name in ("pose", "rotation", "focal", "loss"):
            np.testing.assert_array_equal(
                getattr(alone, name)[0], getattr(together, name)[person], err_msg=name
            )


def test_a_loss_of_ones_own_knows_its_people(body, people):
    """`person` is the position in the observations, also where focal lengths are tried."""
    seen = near(people.observations)
    seen = replace(seen, picture_size=np.tile(np.int32([400, 300]), (len(seen), 1)))
    seen.focal[2:4] = np.nan
    asked = []

    def extra(parameters, evidence):
        asked.append(set(evidence.person.tolist()))
        return parameters.scale.flatten() * 0

    config = replace(QUICK, iterations=2, warm_iterations=1)
    register(body, seen, config, extra_loss=extra)
    assert set.union(*asked) == set(range(len(seen)))
    assert set.union(*asked[-2:]) <= {2, 3}


def test_cameras_of_earlier_fits(body, people):
    seen = near(people.observations)
    fits = register(body, seen, replace(QUICK, iterations=2, warm_iterations=1))
    seen.focal[0] = np.nan
    fits.focal[:2] = 321, np.nan
    expected = seen.focal.copy()
    expected[0] = 321
    np.testing.assert_array_equal(as_fitted(seen, fits).focal, expected)
    fits.focal[0] = np.nan  # it was fitted without perspective
    assert as_fitted(seen, fits).focal[0] == math.inf
    assert as_fitted(seen, replace(fits, focal=None, principal_point=None)) is seen
