"""register() in whatever state the caller has left torch: the same bits, or an error in words."""

from __future__ import annotations

import contextlib
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.registration import RegistrationConfig, register

from .conftest import ellipsoid_body, make_people

# No other test has this configuration, so that nothing of it has been kept from an earlier call.
SHORT = RegistrationConfig(starts=2, iterations=11)


def pull(parameters, evidence):
    """A term of one's own: towards the straight pose."""
    return 0.01 * parameters.pose.square().sum((1, 2))


@contextlib.contextmanager
def default_device(name: str):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    # Stands for every default device that is not the CPU: it has no numbers to compute with.
    "default device": lambda: default_device("meta"),
    "default dtype": lambda: default_dtype(torch.float64),
}
WAYS = {
    "fit": {},
    "lm": {
        "config": RegistrationConfig(starts=2, solver="lm", lm_adam_iterations=5, lm_iterations=3)
    },
    "ops": {"engine": "ops"},
    "reference": {"engine": "reference"},
    "extra loss": {"extra_loss": pull},
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@every_way
@pytest.mark.parametrize("around", SURROUNDINGS.values(), ids=SURROUNDINGS.keys())
def test_the_state_of_torch_changes_no_bit(around, way):
    people = make_people(ellipsoid_body(), 3, seed=2).observations
    way = {"config": SHORT, **way}

    def cold_and_warm():
        body = ellipsoid_body()  # a new one, which has kept nothing
        cold = register(body, people, **way)
        return cold, register(body, people, initial=cold, **way)

    with around():
        ours = cold_and_warm()
    for mine, expected in zip(ours, cold_and_warm(), strict=True):
        for name in ("pose", "segment_scale", "rotation", "scale", "translation", "loss"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(expected, name))


@every_way
def test_what_is_kept_in_inference_mode_can_be_differentiated_later(way):
    body = ellipsoid_body()
    people = make_people(body, 2, seed=4).observations
    with torch.inference_mode():
        register(body, people, **{"config": SHORT, **way})
        body.vertex_points(), body.keypoints(("pelvis", "left_knee"))
    register(body, people, SHORT, engine="ops")
    transforms = torch.randn(2, 24, 3, 4, requires_grad=True)
    for points in (body.vertex_points(), body.keypoints(("pelvis", "left_knee"))):
        ops.lbs(transforms, points.joint_ids, points.anchors).sum().backward()
    assert transforms.grad.isfinite().all()


FORK = """
import multiprocessing, sys
import torch
torch.set_num_threads(2)
from tests.registration.test_surroundings import SHORT, WAYS, ellipsoid_body, make_people, register

def work(queue):
    fits = register(body, people, **{"config": SHORT, **WAYS[sys.argv[1]]})
    queue.put((fits.pose.tobytes(), torch.ones(1 << 22).sin().sum().item()))

body = ellipsoid_body()
people = make_people(body, 20, seed=3).observations
context = multiprocessing.get_context("fork")
queue = context.Queue()
torch.ones(1 << 22).sin()  # torch's own threads
work(queue)
child = context.Process(target=work, args=(queue,), daemon=True)
child.start()
assert queue.get() == queue.get(timeout=60)
"""


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
@pytest.mark.parametrize("way", ["fit", "extra loss"])
def test_a_process_that_is_forked_after_register_computes_as_well(way):
    result = subprocess.run(
        [sys.executable, "-c", FORK, way], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
