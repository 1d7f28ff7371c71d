"""A truncated fit equals the beginning of the full fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.body import AXIS_ANGLE
from bodyreg.registration import register, schedule, solver
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.floor import visibility_floor
from bodyreg.registration.starts import cold_starts
from bodyreg.registration.trace import stops, trace


@pytest.fixture(scope="module")
def seen(people):
    return people.observations


COLD = {"starts": 3, "carried": 2, "iterations": 20}


@pytest.mark.parametrize("changes", [COLD, {"starts": 1, "iterations": 9}, {"solver": "lm"}])
def test_the_last_mark_is_the_registration(body, seen, quick, changes):
    config = replace(quick, **changes, precise_error=0.0, suspect_error=np.inf)
    marks = stops(config)
    along = trace(body, seen, config, marks)
    fits = register(body, seen, config)
    for name in ("pose", "rotation", "scale", "loss"):
        np.testing.assert_array_equal(getattr(along[-1], name), getattr(fits, name))
    assert along[-1].loss.mean() < along[0].loss.mean()
    np.testing.assert_array_equal(along[0].pose, 0)  # the T-pose it begins with
    assert marks[:3] == [0, 1, 2] and len(along) == len(marks) < 60


@pytest.mark.parametrize("mark", [1, 7, 10, 13])
def test_a_mark_is_a_prefix_of_the_whole_plan(body, seen, quick, mark):
    """Against the composed solver in float64, which walks the truncated plan row by row."""
    config = replace(quick, **COLD, refresh=1, roll_starts=False)
    device, dtype = torch.device("cpu"), torch.float64
    start = cold_starts(len(seen), config, device, dtype)
    rig = make_rig(body, seen.keypoint_name, device, dtype)
    plan = schedule.truncated(schedule.cold(config), mark)
    assert len(plan.settings) == mark + 1
    evidence = gather(seen, config, device, dtype)
    flat, loss, _ = solver.fit(reference, start, rig, evidence, plan)
    (fits,) = trace(body, seen, config, [mark])
    floor = config.visibility_weight * visibility_floor(
        body, seen, evidence.point_weight.numpy(), config.visibility_sharpness
    )
    np.testing.assert_allclose(fits.loss + floor, loss, rtol=1e-3)
    np.testing.assert_allclose(fits.translation, AXIS_ANGLE.split(flat).translation, atol=1e-3)


def test_a_warm_trace_begins_with_the_initial_fits(body, seen, quick):
    config = replace(quick, warm_iterations=5)
    initial = register(body, seen, replace(quick, **COLD))
    along = trace(body, seen, config, stops(config, warm_start=True), initial=initial)
    np.testing.assert_array_equal(along[0].pose, initial.pose)
    np.testing.assert_allclose(along[0].rotation, initial.rotation, atol=1e-6)
    np.testing.assert_array_equal(
        along[-1].pose, register(body, seen, config, initial=initial).pose
    )
