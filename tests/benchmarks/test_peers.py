"""The benchmark's peers solve the very problem of `fit`: they follow the composed solver. That of
`raster` draws the same pictures.

Reference: `registration.solver.fit` on plain torch, float64.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks import bench_raster, peers
from benchmarks.crowd import crowd
from benchmarks.peers.llvmpipe import FaceIds
from bodyreg import Body, RegistrationConfig, ops, reference
from bodyreg.ops.fit import Evidence, Plan, Rig
from bodyreg.registration import schedule, solver
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.starts import cold_starts

WAYS = {
    "autograd": {},
    "by hand": {"gradient": "by hand"},
    "mesh, autograd": {"skin": "mesh"},
    "mesh, by hand": {"gradient": "by hand", "skin": "mesh"},
    "blend, autograd": {"skin": "blend"},
}


def problem(preset: str, **changes) -> tuple[torch.Tensor, Rig, Evidence, Plan]:
    body, config = Body.default(), RegistrationConfig.preset(preset, **changes)
    people = crowd(body, 5, seed=3)
    people = people.select([4, 1, 2])
    device, dtype = torch.device("cpu"), torch.float64
    return (
        cold_starts(len(people), config, device, dtype),
        make_rig(body, people.keypoint_name, device, dtype),
        gather(people, config, device, dtype),
        schedule.cold(config),
    )


def assert_follows_the_composed_solver(way: str, *arguments) -> None:
    # The body's anchors are products rounded to float32; a vertex cannot be recovered exactly.
    close = 1e-7 if way.startswith("blend") else 1e-9
    expected, loss, _ = solver.fit(reference, *arguments)
    parameters, ours = peers.fit(*arguments, **WAYS[way])
    torch.testing.assert_close(parameters, expected, rtol=0, atol=close)
    torch.testing.assert_close(ours, loss, rtol=close, atol=0)


@pytest.mark.parametrize("way", WAYS)
def test_paper(way):
    assert_follows_the_composed_solver(way, *problem("paper", iterations=15))


@pytest.mark.parametrize("way", ["autograd", "mesh, autograd", "blend, autograd"])
def test_accurate(way):
    assert_follows_the_composed_solver(way, *problem("accurate", iterations=12))


def test_a_gradient_by_hand_refuses_what_it_does_not_have():
    with pytest.raises(ValueError, match="by hand"):
        peers.fit(*problem("accurate", iterations=2), gradient="by hand")
    with pytest.raises(ValueError, match="by hand"):
        peers.fit(*problem("paper", iterations=2), gradient="by hand", skin="blend")


def test_llvmpipe_draws_what_raster_draws():
    """Reference: `ops.raster`; both round to 1/256 of a pixel, so outlines agree to the pixel."""
    vertices, faces = bench_raster.mesh(3, 0, 96, 0)
    peer = FaceIds(vertices.shape[1], faces.numpy(), 96)
    bench_raster.assert_same_faces(peer, vertices, faces)
    empty = torch.zeros_like(vertices) - 50
    assert (peer.draw(empty.numpy()) == 0).all()


def test_a_finer_mesh_shows_the_same_body():
    coarse, fine = (bench_raster.mesh(2, cuts, 64, 1) for cuts in (0, 1))
    assert len(fine[1]) == 4 * len(coarse[1])
    seen = [ops.raster(*mesh, 64, 64).face >= 0 for mesh in (coarse, fine)]
    assert (seen[0] != seen[1]).float().mean() < 2e-3
