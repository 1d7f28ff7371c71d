"""Evidence against loops over single people and points, written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg.registration import RegistrationConfig
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.padding import pad

CPU, F64 = torch.device("cpu"), torch.float64


def sparse(observations):
    """Three people: one without points, points of no weight, absent keypoints and depths."""
    first = observations.point_start[1]
    observations = replace(
        observations.select([0, 1, 2]),
        point_start=np.maximum(observations.point_start[:4] - first, 0),
        point_xy=observations.point_xy[first : observations.point_start[3]],
        point_vertex=observations.point_vertex[first : observations.point_start[3]],
        point_barycentric=observations.point_barycentric[first : observations.point_start[3]],
        point_weight=observations.point_weight[first : observations.point_start[3]].copy(),
    )  # fmt: skip
    observations.point_weight[::7] = 0
    observations.keypoint_weight[1, 2:5] = 0
    observations.keypoint_depth[2, 1:] = np.nan
    return observations


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ["sum", "mean"])
def test_evidence_written_out(people, rule, dtype):
    o = sparse(people.observations)
    config = RegistrationConfig(evidence=rule)
    got = gather(o, config, CPU, dtype)
    assert got.point_xy.dtype == dtype and got.point_start.tolist() == o.point_start.tolist()
    assert np.array_equal(got.point_vertex, o.point_vertex)
    for person in range(3):
        rows = range(*o.points_of(person).indices(len(o.point_xy)))
        present = sum(o.point_weight[i] > 0 for i in rows)
        centre, half_side = o.frame[person, :2].astype(float), float(o.frame[person, 2])
        for i in rows:
            divisor = config.dense_count if rule == "sum" else present
            assert got.point_weight[i] == pytest.approx(o.point_weight[i] / divisor)
            target = (o.point_xy[i] - centre) / half_side * [1, -1]
            assert got.point_xy[i].numpy() == pytest.approx(target, abs=1e-5)
        used = o.keypoint_weight[person] > 0
        for k in range(len(used)):
            divisor = config.keypoint_count if rule == "sum" else used.sum()
            weight = o.keypoint_weight[person, k] / divisor
            depth = o.keypoint_depth[person, k]
            assert got.keypoint_weight[person, k] == pytest.approx(weight)
            assert got.depth_weight[person, k] == pytest.approx(0 if np.isnan(depth) else weight)
            target = (o.keypoint_xy[person, k] - centre) / half_side * [1, -1] * used[k]
            assert got.keypoint_xy[person, k].numpy() == pytest.approx(target, abs=1e-5)
            if used[k] and not np.isnan(depth):
                assert got.keypoint_depth[person, k] == pytest.approx(depth)
    nothing = gather(replace(o, keypoint_depth=None), config, CPU, dtype)
    assert not nothing.depth_weight.any() and not nothing.keypoint_depth.any()


def test_shares_sum_to_one_in_float64(body, people):
    """A translation is folded into them, and both solvers must read the same numbers."""
    rig = make_rig(body, people.observations.keypoint_name, CPU, F64)
    evidence = gather(people.observations, RegistrationConfig(), CPU, F64)
    for anchors in (rig.vertex_anchors, rig.keypoint_anchors):
        assert (anchors[..., 3].sum(1) - 1).abs().max() < 1e-15
    assert (evidence.point_barycentric.sum(1) - 1).abs().max() < 1e-15


def test_padding_keeps_every_point(body, people):
    """Reference: the body's own surface points, person by person; the rest of the grid is zero."""
    o = sparse(people.observations)
    rig = make_rig(body, o.keypoint_name, CPU, F64)
    padded = pad(rig, gather(o, RegistrationConfig(), CPU, F64))
    points = body.surface_points(o.point_vertex, o.point_barycentric)
    for person in range(3):
        rows = o.points_of(person)
        count = rows.stop - rows.start
        some = points.select(rows)
        assert torch.equal(padded.point_ids[person, :count], some.joint_ids)
        anchors = padded.point_anchors[person]
        torch.testing.assert_close(anchors[:count], some.anchors.double(), atol=1e-6, rtol=0)
        normals = padded.point_normal[person, :count, 0, :3]
        torch.testing.assert_close(normals, some.normals.double(), atol=1e-6, rtol=0)
        assert not anchors[count:].any() and not padded.point_weight[person, count:].any()
        segment = body.segment[o.point_vertex[rows, 0]]
        assert padded.point_segment[person, :count, 0].tolist() == segment.tolist()
        sums = np.bincount(segment, o.point_weight[rows], 24) / 120
        np.testing.assert_allclose(padded.segment_weight[person], sums, rtol=1e-6)


def test_a_depth_weighs_by_its_spread(people):
    o = sparse(people.observations)
    random = np.random.default_rng(4)
    spread = random.uniform(0.01, 0.3, o.keypoint_depth.shape)
    spread[:, ::3] = np.nan
    lifted = o.with_depths(o.keypoint_depth, spread)
    config = RegistrationConfig(depth_spread=0.07)
    before, after = gather(o, config, CPU, F64), gather(lifted, config, CPU, F64)
    share = np.where(np.isnan(spread), 1, (0.07 / spread) ** 2)
    np.testing.assert_allclose(after.depth_weight, before.depth_weight.numpy() * share, rtol=1e-5)
    assert torch.equal(after.keypoint_weight, before.keypoint_weight)
    unread = gather(lifted, RegistrationConfig(depth_spread=0), CPU, F64)
    assert torch.equal(unread.depth_weight, before.depth_weight)
    assert RegistrationConfig.preset("paper").depth_spread == 0
