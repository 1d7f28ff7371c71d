"""Inputs of the benchmarks: crowds, and counts of operations."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch

from benchmarks import registrations, roofline
from benchmarks.ceilings import fma_peak
from benchmarks.crowd import CHUNK, crowd
from bodyreg import Body, RegistrationConfig, register


def test_a_crowd_is_the_same_every_time_and_fits_its_body():
    body = Body.default()
    people = crowd(body, CHUNK + 2, seed=1, points=30)
    people.check(body)
    assert len(people) == CHUNK + 2 and (np.diff(people.point_start) == 30).all()
    assert people.id.tolist() == list(range(CHUNK + 2))
    again = crowd(body, CHUNK + 2, seed=1, points=30)
    assert np.array_equal(people.point_xy, again.point_xy)
    assert np.array_equal(people.keypoint_depth, again.keypoint_depth)
    assert not np.array_equal(people.point_xy, crowd(body, CHUNK + 2, 2, 30).point_xy)


def test_a_crowd_can_be_fitted():
    """Two pixels of noise leave residuals of a few pixels; a mistake in the maker leaves more."""
    from bodyreg.metrics.reprojection import reprojection_error

    body = Body.default()
    people = crowd(body, 32, seed=0)
    fits = register(body, people, RegistrationConfig.preset("paper"))
    assert not fits.mirrored.any()
    for error in reprojection_error(fits, people, body).values():
        assert np.median(error) < 5


def test_blocks_are_the_pairs_of_joints_that_points_join():
    config = RegistrationConfig.preset("paper")
    _, rig, evidence, plan = registrations.problem(registrations.people(3, 25), config, "cpu")
    joints = [
        set(ids[anchors[:, 3] != 0].tolist())
        for ids, anchors in zip(rig.vertex_ids, rig.vertex_anchors, strict=True)
    ]
    marks = [
        set(ids[anchors[:, 3] != 0].tolist())
        for ids, anchors in zip(rig.keypoint_ids[1:], rig.keypoint_anchors[1:], strict=True)
    ]
    pairs = []
    for person in range(3):
        vertex = evidence.point_vertex[25 * person : 25 * person + 25].tolist()
        points = [set.union(*(joints[v] for v in corners)) for corners in vertex]
        pairs.append({(a, b) for point in points + marks for a in point for b in point if a <= b})
    on = np.mean([sum(a == b for a, b in person) for person in pairs])
    beside = np.mean([sum(a < b for a, b in person) for person in pairs])
    assert roofline.blocks(rig, evidence) == (on, beside)
    # A term of weight zero costs no operations.
    settings = plan.settings.clone()
    settings[:, 2] = 0
    fewer = roofline.operations(rig, evidence, plan._replace(settings=settings))
    pairs_of_depth = float((rig.keypoint_anchors[..., 3] != 0).sum())
    expected = roofline.KEYPOINT_PAIR * pairs_of_depth
    assert roofline.operations(rig, evidence, plan) - fewer == expected


def test_person_iterations_follow_the_candidates():
    config = RegistrationConfig(starts=4, carried=2, iterations=400, explore_share=0.5)
    problem = registrations.problem(registrations.people(3, 25), config, "cpu")
    assert registrations.person_iterations(problem) == 3 * (4 * 200 + 2 * 200)
    assert problem[0].dtype == torch.float32


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no compiler")
def test_the_ceiling_of_a_cpu_is_measured():
    assert fma_peak(1) > 1e8
