"""Geodesic point similarity against loops and closed forms, and which part has which kappa."""

import dataclasses
import math

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.metrics.gps import (
    CLASS_OF_PART,
    KAPPA,
    KAPPA_OF_CLASS,
    gps,
    gpsm,
    kappa_of_vertices,
    mask_iou,
)


def test_gps_is_a_mean_of_bells():
    random = np.random.default_rng()
    distance = random.exponential(0.2, (9, 30))
    distance[random.random((9, 30)) < 0.2] = np.inf
    kappa = random.uniform(0.1, 0.4, (9, 30))
    present = random.random((9, 30)) < 0.8
    present[0] = [True] + 29 * [False]
    expected = []
    for person in range(9):
        bells = [
            math.exp(-(d**2) / (2 * k**2)) if math.isfinite(d) else 0.0
            for d, k, p in zip(distance[person], kappa[person], present[person], strict=True)
            if p
        ]
        expected.append(sum(bells) / len(bells))
    np.testing.assert_allclose(gps(distance, present, kappa), expected)


def test_gps_by_hand():
    """At its place 1, kappa away exp(-1/2), on the background 0; nothing compared, no number."""
    distance = np.array([[0, KAPPA, np.inf, np.nan]])
    shown = np.array([[True, True, True, False]])
    np.testing.assert_allclose(gps(distance, shown), (1 + np.exp(-0.5)) / 3)
    assert np.isnan(gps(distance, ~shown & False)).all()


def test_masks_overlap_by_hand():
    one, other = np.zeros((2, 3, 8, 8), bool)
    one[0, :4], other[0, 2:6] = True, True
    one[1] = True
    overlap = mask_iou(one, other)
    np.testing.assert_allclose(overlap, [2 / 6, 0, np.nan])
    np.testing.assert_allclose(gpsm(np.array([0.75, 1, 1]), overlap), [0.5, 0, np.nan])


def test_classes_gather_the_parts_of_both_sides():
    """Torso, hands, feet, upper legs, lower legs, upper arms, lower arms, head."""
    members = [np.flatnonzero(CLASS_OF_PART == number).tolist() for number in range(9)]
    assert members == [
        [0], [1, 2], [3, 4], [5, 6], [7, 8, 9, 10], [11, 12, 13, 14], [15, 16, 17, 18],
        [19, 20, 21, 22], [23, 24],
    ]  # fmt: skip
    assert len(KAPPA_OF_CLASS) == 9


def test_kappa_of_a_body_follows_its_parts():
    body = Body.default()
    kappa = kappa_of_vertices(body)
    for joint, expected in (
        ("spine2", 0.351), ("left_hand", 0.107), ("right_foot", 0.126), ("left_hip", 0.237),
        ("right_knee", 0.173), ("left_shoulder", 0.142), ("right_elbow", 0.128), ("head", 0.150),
    ):  # fmt: skip
        inside = body.segment == body.joint_names.index(joint)
        assert (kappa[inside] == expected).mean() > 0.8, joint
    assert set(kappa) <= set(KAPPA_OF_CLASS[1:])
    plain = dataclasses.replace(body, charts=None)
    np.testing.assert_array_equal(kappa_of_vertices(plain), KAPPA)


def test_a_seam_belongs_to_its_lower_part():
    """Vertex by vertex, in plain Python."""
    body = Body.default()
    parts: dict[int, int] = {}
    for face, part in zip(body.charts.faces.tolist(), body.charts.part.tolist(), strict=True):
        for corner in face:
            vertex = int(body.charts.vertex[corner])
            parts[vertex] = min(parts.get(vertex, 99), part)
    expected = [KAPPA_OF_CLASS[CLASS_OF_PART[parts[v]]] for v in range(len(body.vertices))]
    assert kappa_of_vertices(body) == pytest.approx(expected)
